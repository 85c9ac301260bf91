//! `bb-ctl budget`.

mod change;
mod charge;
mod check;
mod explain;
mod key;
mod list;

use super::connection::Connection;
use super::exit::{Failure, Outcome};
use super::output::Output;

/// List budgets, explain them, set them, raise them, reset them, charge them
#[derive(Debug, clap::Subcommand)]
pub(super) enum Budget {
    List(list::List),
    Explain(explain::Explain),
    Check(check::Check),
    Charge(charge::Charge),
    Set(change::Set),
    Unset(change::Unset),
    Raise(change::Raise),
    Reset(change::Reset),
}

impl Budget {
    pub(super) fn run(
        self,
        open: impl FnOnce() -> Result<Connection, Failure>,
        output: Output,
    ) -> Outcome {
        match self {
            Self::List(list) => list.run(&mut open()?, output),
            Self::Explain(explain) => explain.run(&mut open()?, output),
            Self::Check(check) => check.run(&mut open()?, output),
            Self::Charge(charge) => charge.run(&mut open()?, output),
            Self::Set(set) => set.run(open, output),
            Self::Unset(unset) => unset.run(&mut open()?, output),
            Self::Raise(raise) => raise.run(&mut open()?, output),
            Self::Reset(reset) => reset.run(&mut open()?, output),
        }
    }
}
