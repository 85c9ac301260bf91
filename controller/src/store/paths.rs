//! Which accounts entries count on, so that their balances can be computed anew.

use bb_core::book::CallFacts;
use rusqlite::{Connection, params};

use super::convert::{count, json, run_bytes};

/// Writes nothing where the run's calls count on what they counted on before.
const KEEP: &str = "
    INSERT OR IGNORE INTO paths (seq, run, accounts)
    SELECT ?1, ?2, ?3 WHERE ?3 IS NOT (
        SELECT accounts FROM paths WHERE run = ?2 AND seq <= ?1 ORDER BY seq DESC LIMIT 1)";

/// Keeps the accounts that an entry of a call counts on.
pub(super) fn keep(connection: &Connection, seq: u64, facts: &CallFacts) -> rusqlite::Result<()> {
    let accounts: Vec<String> = facts.accounts.iter().map(ToString::to_string).collect();
    connection.prepare_cached(KEEP)?.execute(params![
        count(seq),
        run_bytes(facts.run),
        json(&accounts)?
    ])?;
    Ok(())
}
