//! `bb-ctl verify`.

use bb_proto::reply::{FileCheck, LedgerVerified};
use bb_proto::request::LedgerVerify;

use super::connection::Connection;
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::words;

/// Compute every balance anew from the ledger's entries, and compare
///
/// Looks through the entries and the file as well; calls go on meanwhile. Ends with 0 where all
/// agrees, with 1 where anything does not.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {}

impl Verify {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let Self {} = self;
        connection.expect_whole_read()?;
        let verified = connection.call(&LedgerVerify {})?;
        output.show(&verified, report)?;
        if verified.agrees && verified.file != FileCheck::Whole {
            output.warn(
                "the file was not looked through to its end, since so much was written meanwhile; \
                 try again at a quieter time",
            );
        }
        Ok(if verified.agrees {
            Exit::DONE
        } else {
            Exit::FAILED
        })
    }
}

fn report(verified: &LedgerVerified) -> String {
    let rolled_up = match verified.rolled_up {
        0 => String::new(),
        count => format!(" ({count} more are rolled up)"),
    };
    let looked = format!(
        "{}{rolled_up} and {} looked at in {} ms",
        words::entries(verified.entries),
        words::count(verified.balances, "balance"),
        verified.took_ms
    );
    if verified.agrees {
        return format!("the ledger agrees: {looked}");
    }
    let mut lines = vec![format!("the ledger does not agree: {looked}")];
    for differs in &verified.differences {
        lines.push(format!(
            "  {} at {}: the balance is {}, its entries sum to {}",
            differs.account, differs.provider, differs.kept, differs.computed
        ));
    }
    for fault in &verified.faults {
        lines.push(format!("  entry {}: {}", fault.seq, fault.text));
    }
    for damage in &verified.damage {
        lines.push(format!("  the file: {damage}"));
    }
    if verified.unlisted > 0 {
        lines.push(format!("  and {} more", verified.unlisted));
    }
    lines.push(what_to_do(verified).to_owned());
    lines.join("\n")
}

fn what_to_do(verified: &LedgerVerified) -> &'static str {
    if verified.damage.is_empty() {
        "Budgets count by these balances. Keep what there is with bb-ctl ledger backup FILE, find \
         out who changed the database besides the controller, and make up for a difference by \
         raising or setting the budgets that count it; or stop the controller and put the last \
         backup that agrees in the ledger's place."
    } else {
        "The file is damaged, so look at the disk first. Keep what can be read with bb-ctl ledger \
         export FILE, then stop the controller and put the last backup that agrees in the ledger's \
         place."
    }
}
