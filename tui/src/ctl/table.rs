//! Tables that fit: columns that matter least go first, then the wide ones are shortened.

use crate::format::text;

/// Between two columns.
const GAP: usize = 2;

/// On which side a column's texts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A column: its head, and what happens to it where there is no room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    head: &'static str,
    side: Side,
    /// The larger, the earlier it goes; zero stays.
    drops: u8,
    /// The width down to which its texts may be shortened.
    narrowest: Option<usize>,
}

impl Column {
    pub(super) const fn left(head: &'static str) -> Self {
        Self {
            head,
            side: Side::Left,
            drops: 0,
            narrowest: None,
        }
    }

    pub(super) const fn right(head: &'static str) -> Self {
        Self {
            side: Side::Right,
            ..Self::left(head)
        }
    }

    /// Says when the column goes: the larger, the earlier.
    pub(super) const fn drops(mut self, drops: u8) -> Self {
        self.drops = drops;
        self
    }

    /// Makes a text as wide as its column is to be at least.
    pub(super) fn pad(self, cell: &str, width: usize) -> String {
        match self.side {
            Side::Left => text::pad_end(cell, width),
            Side::Right => text::pad_start(cell, width),
        }
    }

    /// Lets the column's texts be shortened in the middle, down to a width.
    pub(super) const fn down_to(mut self, narrowest: usize) -> Self {
        self.narrowest = Some(narrowest);
        self
    }
}

/// Draws a table into `width` cells; empty columns are left out.
pub(super) fn draw(columns: &[Column], rows: &[Vec<String>], width: usize) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| text::clean(cell)).collect())
        .collect();
    let natural = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| text::width(cell)).max().unwrap_or(0)
    };
    let mut shown: Vec<Shown> = columns
        .iter()
        .enumerate()
        .filter(|(at, _)| rows.is_empty() || natural(*at) > 0)
        .map(|(at, column)| Shown {
            at,
            column: *column,
            width: natural(at).max(text::width(column.head)),
        })
        .collect();
    fit(&mut shown, width);
    let head: Vec<String> = columns
        .iter()
        .map(|column| column.head.to_owned())
        .collect();
    std::iter::once(&head)
        .chain(&rows)
        .map(|row| line(&shown, row))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A column that is shown, with the width it got.
#[derive(Debug)]
struct Shown {
    at: usize,
    column: Column,
    width: usize,
}

impl Shown {
    fn narrowest(&self) -> usize {
        let head = text::width(self.column.head);
        self.column
            .narrowest
            .map_or(self.width, |narrowest| self.width.min(narrowest.max(head)))
    }
}

fn total(shown: &[Shown], width_of: impl Fn(&Shown) -> usize) -> usize {
    let gaps = GAP * shown.len().saturating_sub(1);
    shown.iter().map(width_of).sum::<usize>() + gaps
}

fn fit(shown: &mut Vec<Shown>, width: usize) {
    while total(shown, Shown::narrowest) > width {
        let last = shown
            .iter()
            .enumerate()
            .filter(|(_, one)| one.column.drops > 0)
            .max_by_key(|(_, one)| one.column.drops)
            .map(|(index, _)| index);
        match last {
            Some(index) => {
                shown.remove(index);
            }
            None => break,
        }
    }
    shrink(shown, width, Shown::narrowest);
    // Where nothing else is left to give: rather a letter of a name than a broken line.
    shrink(shown, width, |one| {
        one.column.narrowest.map_or(one.width, |_| 1)
    });
}

fn shrink(shown: &mut [Shown], width: usize, narrowest: impl Fn(&Shown) -> usize) {
    while total(shown, |one| one.width) > width {
        let widest = shown
            .iter_mut()
            .filter(|one| one.width > narrowest(one))
            .max_by_key(|one| (one.column.drops, one.width));
        match widest {
            Some(one) => one.width -= 1,
            None => break,
        }
    }
}

fn line(shown: &[Shown], row: &[String]) -> String {
    let cells: Vec<String> = shown
        .iter()
        .map(|one| {
            let cell = row.get(one.at).map_or("", String::as_str);
            let cell = text::shorten_middle(cell, one.width);
            one.column.pad(&cell, one.width)
        })
        .collect();
    cells.join(&" ".repeat(GAP)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::left("NAME").down_to(12),
        Column::left("STATE"),
        Column::right("USED").drops(1),
        Column::left("AGENT").drops(2).down_to(6),
    ];

    fn row(cells: [&str; 4]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    fn sample() -> Vec<Vec<String>> {
        vec![
            row(["web", "running", "610k/1M", "implementer"]),
            row(["api-gateway-linux-arm64", "cutoff", "1.24M/2M", ""]),
            row(["translate-日本語", "running", "98M/200M", "translator"]),
        ]
    }

    #[test]
    fn a_table_with_room_has_every_column() {
        insta::assert_snapshot!(draw(&COLUMNS, &sample(), 80), @r"
        NAME                     STATE        USED  AGENT
        web                      running   610k/1M  implementer
        api-gateway-linux-arm64  cutoff   1.24M/2M
        translate-日本語         running  98M/200M  translator
        ");
    }

    #[test]
    fn names_are_shortened_before_a_column_goes_and_columns_go_before_it_breaks() {
        insta::assert_snapshot!(draw(&COLUMNS, &sample(), 42), @r"
        NAME             STATE        USED  AGENT
        web              running   610k/1M  imp…er
        api-gat…x-arm64  cutoff   1.24M/2M
        transla…-日本語  running  98M/200M  tra…or
        ");
        insta::assert_snapshot!(draw(&COLUMNS, &sample(), 30), @r"
        NAME                   STATE
        web                    running
        api-gatewa…inux-arm64  cutoff
        translate-日本語       running
        ");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_down_to_the_narrowest() {
        for width in 10..120 {
            for line in draw(&COLUMNS, &sample(), width).lines() {
                assert!(text::width(line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn a_column_that_says_nothing_is_left_out() {
        let rows = [row(["web", "running", "", ""])];
        assert_eq!(draw(&COLUMNS, &rows, 80), "NAME  STATE\nweb   running");
    }

    #[test]
    fn what_is_foreign_cannot_break_the_table() {
        let rows = [row(["a\u{1b}[2Jb\nc", "running", "", ""])];
        assert_eq!(
            draw(&COLUMNS, &rows, 80),
            "NAME      STATE\na␛[2Jb␊c  running"
        );
    }
}
