//! `bb-ctl ledger correct`.

use bb_proto::ids::CallId;
use bb_proto::request::LedgerCorrect;

use crate::ctl::connection::Connection;
use crate::ctl::exit::{Exit, Outcome};
use crate::ctl::output::Output;
use crate::format;

/// Correct what a call was charged
///
/// CALL is its id, as `ledger tail --json` shows it. Each kind of tokens that is given stands in
/// place of what was charged; the others stay. The difference counts in the windows in which the
/// call was reserved; the entry before it stays as it is.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Correct {
    /// The call
    #[arg(value_name = "CALL")]
    call: CallId,
    /// Prompt tokens neither read from nor written to a cache
    #[arg(long, value_name = "TOKENS")]
    input: Option<u64>,
    /// Prompt tokens read from a cache
    #[arg(long, value_name = "TOKENS")]
    cache_read: Option<u64>,
    /// Prompt tokens written to a cache
    #[arg(long, value_name = "TOKENS")]
    cache_write: Option<u64>,
    /// Generated tokens
    #[arg(long, value_name = "TOKENS")]
    output: Option<u64>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Correct {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let corrected = connection.call(&LedgerCorrect {
            call: self.call,
            input: self.input,
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            output: self.output,
            why: self.why,
            request_id: None,
            dry_run: self.dry_run,
        })?;
        output.show(&corrected, |corrected| {
            let verb = if corrected.dry_run { "would be" } else { "is" };
            format!(
                "{} {verb} charged {}, not {}",
                corrected.call,
                format::tokens(corrected.after.0),
                format::tokens(corrected.before.0)
            )
        })?;
        Ok(Exit::DONE)
    }
}
