//! `bb-ctl ledger backup`.

use std::path::PathBuf;

use bb_proto::request::LedgerBackup;

use super::super::connection::Connection;
use super::super::exit::{Exit, Failure, Outcome};
use super::super::output::Output;
use super::super::words;

/// Copy the ledger into a new file while the controller works
///
/// The copy is of one instant, is on disk at the end, and can be read by you alone: the bottles'
/// tokens are in it. To restore it, stop the controller and put it in the place of the ledger.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Backup {
    /// The file to make; one that is there is never overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub(super) fn run(
        self,
        open: impl FnOnce() -> Result<Connection, Failure>,
        output: Output,
    ) -> Outcome {
        let path = std::path::absolute(&self.file)
            .map_err(|error| Failure::usage(format!("FILE is no path: {error}")))?;
        let Some(path) = path.to_str().map(str::to_owned) else {
            return Err(Failure::usage("the path of FILE is no UTF-8"));
        };
        let mut connection = open()?;
        connection.expect_whole_read()?;
        let made = connection.call(&LedgerBackup { path })?;
        output.show(&made, |made| {
            format!(
                "{} ({} bytes) copied to {} in {} ms",
                words::entries(made.entries),
                made.bytes,
                made.path,
                made.took_ms
            )
        })?;
        Ok(Exit::DONE)
    }
}
