//! `bb-ctl ledger`: what was charged, entry by entry.

mod backup;
mod correct;
mod csv;
mod export;
mod tail;

use super::connection::Connection;
use super::exit::{Failure, Outcome};
use super::output::Output;

/// Read the ledger entry by entry, export it, copy it, correct it
#[derive(Debug, clap::Subcommand)]
pub(super) enum Ledger {
    Tail(tail::Tail),
    Export(export::Export),
    Backup(backup::Backup),
    Correct(correct::Correct),
}

impl Ledger {
    pub(super) fn run(
        self,
        open: impl FnOnce() -> Result<Connection, Failure>,
        yes: bool,
        output: Output,
    ) -> Outcome {
        match self {
            Self::Tail(tail) => tail.run(&mut open()?, output),
            Self::Export(export) => export.run(open, yes, output),
            Self::Backup(backup) => backup.run(open, output),
            Self::Correct(correct) => correct.run(&mut open()?, output),
        }
    }
}
