//! What a terminal shows of the bytes that were written to it.

/// A screen of characters.
#[derive(Debug)]
pub(crate) struct Glass {
    rows: Vec<Vec<char>>,
    at: (usize, usize),
    /// Bytes of a sequence or a character that is not whole yet.
    rest: Vec<u8>,
}

impl Glass {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self {
            rows: vec![vec![' '; width]; height],
            at: (0, 0),
            rest: Vec::new(),
        }
    }

    /// Takes bytes as they came.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let whole = match std::str::from_utf8(&rest) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let text = std::str::from_utf8(&rest[..whole]).expect("what is valid");
        let mut taken = 0;
        while let Some(c) = text[taken..].chars().next() {
            if c != '\u{1b}' {
                self.put(c);
                taken += c.len_utf8();
                continue;
            }
            let Some(length) = sequence(&text[taken..]) else {
                break;
            };
            self.obey(&text[taken..taken + length]);
            taken += length;
        }
        self.rest = rest[taken..].to_vec();
    }

    fn put(&mut self, c: char) {
        let (row, column) = self.at;
        match c {
            '\r' => self.at.1 = 0,
            '\n' => self.at.0 += 1,
            _ => {
                if let Some(cell) = self.rows.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *cell = c;
                }
                self.at.1 += unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            }
        }
    }

    fn obey(&mut self, sequence: &str) {
        let parameters = sequence
            .trim_start_matches("\u{1b}[")
            .trim_end_matches(|c: char| c.is_ascii_alphabetic());
        if sequence.ends_with('H') {
            let mut numbers = parameters.split(';').map(|n| n.parse().unwrap_or(1));
            let row: usize = numbers.next().unwrap_or(1);
            let column: usize = numbers.next().unwrap_or(1);
            self.at = (row - 1, column - 1);
        } else if sequence.ends_with('J') || sequence == "\u{1b}[?1049l" {
            self.rows.iter_mut().flatten().for_each(|cell| *cell = ' ');
            self.at = (0, 0);
        }
    }

    /// Returns what is on the screen.
    pub(crate) fn text(&self) -> String {
        let rows = self.rows.iter().map(|row| row.iter().collect::<String>());
        rows.collect::<Vec<_>>().join("\n")
    }
}

/// Returns how long a control sequence is, if all of it is there.
fn sequence(text: &str) -> Option<usize> {
    let end = text
        .char_indices()
        .skip(2)
        .find(|(_, c)| ('@'..='~').contains(c));
    end.map(|(at, c)| at + c.len_utf8())
}
