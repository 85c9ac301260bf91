//! Which columns there are at a width: whole ones join while they fit, and never in part.

use ratatui::layout::Rect;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Bottle,
    State,
    Agent,
    Provider,
    Budget,
    Percent,
    Used,
    By,
    Rate,
    Recent,
    Left,
    Pace,
    Resets,
    Calls,
    Refused,
    Own,
    Model,
    Uptime,
    Enforced,
}

use Column::{
    Agent, Bottle, Budget, By, Calls, Enforced, Left, Model, Own, Pace, Percent, Provider, Rate,
    Recent, Refused, Resets, State, Uptime, Used,
};

/// In the order of the screen.
const ON_SCREEN: [Column; 19] = [
    Bottle, State, Agent, Provider, Budget, Percent, Used, By, Rate, Recent, Left, Pace, Resets,
    Calls, Refused, Own, Model, Uptime, Enforced,
];

/// In the order in which they join.
const JOINING: [Column; 17] = [
    Budget, Used, Rate, Calls, Provider, By, Enforced, Percent, Pace, Recent, Refused, Agent,
    State, Resets, Own, Model, Uptime,
];

/// What room is given to once no column is left to join.
const GROWING: [(Column, u16, Growth); 8] = [
    (Bottle, NAME_BEFORE_AGENT, Growth::Any),
    (Budget, 12, Growth::Any),
    (By, 14, Growth::Whole),
    (Enforced, 8, Growth::Whole),
    (Budget, 20, Growth::Any),
    (Bottle, 40, Growth::Any),
    (Recent, 20, Growth::Any),
    (Bottle, 60, Growth::Any),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    Any,
    /// To that width or not at all.
    Whole,
}

/// Cursor, sign, and a space.
pub(crate) const MARGIN: u16 = 3;
/// Names are this long before the agent gets a column.
const NAME_BEFORE_AGENT: u16 = 22;

/// A column with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) column: Column,
    pub(crate) x: u16,
    pub(crate) width: u16,
}

impl Column {
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Bottle => "BOTTLE",
            Self::State => "STATE",
            Self::Agent => "AGENT",
            Self::Provider => "PROV",
            Self::Budget => "BUDGET",
            Self::Percent => "%",
            Self::Used => "USED/LIMIT",
            Self::By => "BY",
            Self::Rate => "/MIN",
            Self::Recent => "LAST 10M",
            Self::Left => "LEFT↑",
            Self::Pace => "PACE",
            Self::Resets => "RESETS",
            Self::Calls => "CALLS",
            Self::Refused => "REF",
            Self::Own => "OWN",
            Self::Model => "MODEL",
            Self::Uptime => "UP",
            Self::Enforced => "ENFORCED",
        }
    }

    pub(crate) fn is_right(self) -> bool {
        matches!(
            self,
            Self::Percent
                | Self::Used
                | Self::Rate
                | Self::Left
                | Self::Pace
                | Self::Resets
                | Self::Calls
                | Self::Refused
                | Self::Own
                | Self::Uptime
        )
    }

    fn least(self) -> u16 {
        match self {
            Self::Bottle => 16,
            Self::Enforced => 1,
            Self::Refused => 3,
            Self::Percent | Self::Pace => 4,
            Self::Rate | Self::Calls => 5,
            Self::Provider | Self::By | Self::Resets | Self::Own | Self::Uptime => 6,
            Self::State => 7,
            Self::Left | Self::Budget | Self::Recent => 8,
            Self::Used | Self::Agent => 11,
            Self::Model => 17,
        }
    }
}

/// What there is to show: a column about windows that end is left out where none does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    pub(crate) pace: bool,
    pub(crate) resets: bool,
}

/// Returns the columns of a width with their places.
pub(crate) fn place(area: Rect, need: Need) -> Vec<Placed> {
    let mut widths: Vec<(Column, u16)> = vec![(Bottle, Bottle.least()), (Left, Left.least())];
    let mut free = area
        .width
        .saturating_sub(MARGIN + Bottle.least() + 1 + Left.least());
    for column in JOINING {
        if (column == Pace && !need.pace) || (column == Resets && !need.resets) {
            continue;
        }
        let for_names = if column == Agent {
            NAME_BEFORE_AGENT - Bottle.least()
        } else {
            0
        };
        let takes = column.least() + 1 + for_names;
        let Some(rest) = free.checked_sub(takes) else {
            break;
        };
        free = rest;
        widths.push((column, column.least()));
        grow(&mut widths, Bottle, for_names);
    }
    for (column, to, growth) in GROWING {
        let Some((_, width)) = widths.iter().find(|(c, _)| *c == column) else {
            continue;
        };
        let wanted = to.saturating_sub(*width);
        let by = match growth {
            Growth::Any => wanted.min(free),
            Growth::Whole if wanted <= free => wanted,
            Growth::Whole => 0,
        };
        grow(&mut widths, column, by);
        free -= by;
    }
    let mut x = area.x + MARGIN;
    ON_SCREEN
        .into_iter()
        .filter_map(|column| {
            let (_, width) = widths.iter().find(|(c, _)| *c == column)?;
            let placed = Placed {
                column,
                x,
                width: *width,
            };
            x += width + 1;
            Some(placed)
        })
        .collect()
}

fn grow(widths: &mut [(Column, u16)], column: Column, by: u16) {
    if let Some((_, width)) = widths.iter_mut().find(|(c, _)| *c == column) {
        *width += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Need = Need {
        pace: true,
        resets: true,
    };

    fn at(width: u16) -> Vec<(Column, u16)> {
        place(Rect::new(0, 0, width, 1), ALL)
            .into_iter()
            .map(|placed| (placed.column, placed.width))
            .collect()
    }

    #[test]
    fn at_80_the_columns_fill_the_line_to_its_end() {
        assert_eq!(
            at(80),
            [
                (Bottle, 19),
                (Provider, 6),
                (Budget, 8),
                (Used, 11),
                (By, 6),
                (Rate, 5),
                (Left, 8),
                (Calls, 5),
                (Enforced, 1)
            ]
        );
    }

    #[test]
    fn at_120_names_are_longer_before_the_agent_joins() {
        let columns = at(120);
        assert_eq!(columns.first(), Some(&(Bottle, 22)));
        assert!(columns.contains(&(Agent, 11)));
        assert!(columns.contains(&(Budget, 10)));
        assert!(!columns.iter().any(|(column, _)| *column == State));
    }

    #[test]
    fn at_200_all_are_there() {
        let columns = at(200);
        assert_eq!(columns.len(), ON_SCREEN.len());
        assert!(columns.contains(&(Bottle, 30)));
        assert!(columns.contains(&(Budget, 20)));
        assert!(columns.contains(&(By, 14)));
        assert!(columns.contains(&(Enforced, 8)));
    }

    #[test]
    fn a_wider_terminal_never_shows_fewer_columns_and_none_leaves_the_line() {
        let mut before: Vec<Column> = Vec::new();
        for width in 50..=400 {
            let placed = place(Rect::new(0, 0, width, 1), ALL);
            for column in &placed {
                assert!(column.x + column.width <= width, "{column:?} at {width}");
            }
            let now: Vec<Column> = placed.iter().map(|placed| placed.column).collect();
            let lost = before.iter().find(|column| !now.contains(column));
            assert_eq!(lost, None, "at {width}");
            before = now;
        }
    }
}
