//! `bb-ctl budget`.

mod change;
mod key;
mod list;

use super::connection::Connection;
use super::exit::Outcome;
use super::output::Output;

/// List budgets, set them, raise them
#[derive(Debug, clap::Subcommand)]
pub(super) enum Budget {
    List(list::List),
    Set(change::Set),
    Unset(change::Unset),
    Raise(change::Raise),
}

impl Budget {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        match self {
            Self::List(list) => list.run(connection, output),
            Self::Set(set) => set.run(connection, output),
            Self::Unset(unset) => unset.run(connection, output),
            Self::Raise(raise) => raise.run(connection, output),
        }
    }
}
