//! Which accounts entries count on, so that their balances can be computed anew.

use std::collections::HashMap;

use bb_core::book::{Account, CallFacts};
use bb_proto::ids::RunId;
use rusqlite::{Connection, params};

use super::convert::{count, json, run_bytes};

/// Of how many runs the list that was written last is remembered.
const RUNS_MAX: usize = 4_096;

/// Writes nothing where the run's calls count on what they counted on before.
const KEEP: &str = "
    INSERT OR IGNORE INTO paths (seq, run, accounts)
    SELECT ?1, ?2, ?3 WHERE ?3 IS NOT (
        SELECT accounts FROM paths WHERE run = ?2 AND seq <= ?1 ORDER BY seq DESC LIMIT 1)";

/// The list of accounts that was written last of each run: most entries change none.
#[derive(Debug, Default)]
pub(super) struct Paths {
    written: HashMap<RunId, Vec<Account>>,
}

impl Paths {
    /// Keeps the accounts that an entry of a call counts on.
    pub(super) fn keep(
        &mut self,
        connection: &Connection,
        seq: u64,
        facts: &CallFacts,
    ) -> rusqlite::Result<()> {
        if self.written.get(&facts.run) == Some(&facts.accounts) {
            return Ok(());
        }
        let accounts: Vec<String> = facts.accounts.iter().map(ToString::to_string).collect();
        connection.prepare_cached(KEEP)?.execute(params![
            count(seq),
            run_bytes(facts.run),
            json(&accounts)?
        ])?;
        if self.written.len() >= RUNS_MAX {
            self.forget();
        }
        self.written.insert(facts.run, facts.accounts.clone());
        Ok(())
    }

    /// Forgets what was written: after a group that may not be there.
    pub(super) fn forget(&mut self) {
        self.written.clear();
    }
}
