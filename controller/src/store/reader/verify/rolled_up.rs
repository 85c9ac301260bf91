//! The part of a check that looks at what was rolled up.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, OptionalExtension as _};

use super::{DOING, Found, STEP_ENTRIES, WRAP};
use crate::store::StoreError;
use crate::store::convert::{count, to_count};
use crate::store::reader::sums::Sums;

const STEP: &str = "
    SELECT seq, provider, charge, path, calls, voided, amended, estimated, overrun, first,
        (SELECT first FROM rolled_up WHERE last >= seq ORDER BY last LIMIT 1)
    FROM rollups WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const LEFT_OVER: &str = "
    SELECT seq FROM entries
    WHERE seq <= (SELECT max(last) FROM rolled_up) AND kind IN ('settle', 'void', 'amend')
        AND uid IS NULL
    ORDER BY seq LIMIT 1";
/// Calls that began before the last entry that was rolled up was made may be rolled up.
const IS_OF_CALL: &str = "SELECT EXISTS (SELECT 1 FROM rollups WHERE hour + 3600000 > ?1)";

/// Returns the number of the last entry that was rolled up.
pub(super) fn last(connection: &Connection) -> Result<i64, StoreError> {
    connection
        .prepare_cached("SELECT coalesce(max(last), 0) FROM rolled_up")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(WRAP)
}

/// Returns whether the call that began then may have been rolled up.
pub(super) fn is_of_call(connection: &Connection, started_at: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(IS_OF_CALL)?
        .query_row([started_at], |row| row.get(0))
}

impl Found {
    /// Reads some roll-ups after the last one; returns how many.
    pub(super) fn rolled_up_step(
        &mut self,
        connection: &Connection,
        last: &mut u64,
        sums: &mut Sums,
    ) -> Result<u32, StoreError> {
        if *last == 0 {
            let mut statement = connection.prepare_cached(LEFT_OVER).map_err(WRAP)?;
            let seq = statement.query_row([], |row| row.get::<_, i64>(0));
            if let Some(seq) = seq.optional().map_err(WRAP)? {
                self.fault(to_count(seq), "it is rolled up, and is there all the same");
            }
        }
        let mut lists: HashMap<i64, Option<String>> = HashMap::new();
        let mut statement = connection.prepare_cached(STEP).map_err(WRAP)?;
        let mut rows = statement
            .query([count(*last), i64::from(STEP_ENTRIES)])
            .map_err(WRAP)?;
        let mut read = 0;
        while let Some(row) = rows.next().map_err(WRAP)? {
            let number = |column: usize| row.get::<_, i64>(column).map_err(WRAP);
            let seq = to_count(number(0)?);
            let (charge, calls) = (number(2)?, number(4)?);
            let counts = [calls, number(5)?, number(6)?, number(7)?, number(8)?];
            if counts.iter().any(|count| *count < 0) || number(7)? > calls {
                self.fault(
                    seq,
                    "it rolls up less than nothing, or more estimates than calls",
                );
            }
            if calls + number(6)? == 0 && charge != 0 {
                self.fault(seq, "it charges for no call");
            }
            let begins: Option<i64> = row.get(10).map_err(WRAP)?;
            if begins.is_none_or(|begins| row.get(9).is_ok_and(|first: i64| first < begins)) {
                self.fault(seq, "it is in no transaction that rolled entries up");
            }
            match row.get::<_, Option<i64>>(3).map_err(WRAP)? {
                // In the balances from before any list was kept.
                Some(0) => {}
                _ if charge == 0 => {}
                path => {
                    let provider = row.get_ref(1).map_err(WRAP)?;
                    let provider = provider.as_str().map_err(|error| StoreError::Row {
                        table: DOING,
                        what: error.to_string(),
                    })?;
                    match accounts(connection, path, &mut lists).map_err(WRAP)? {
                        Some(accounts) => sums.add_rolled_up(accounts, provider, charge)?,
                        None => self.fault(seq, "it is not known which accounts it counts on"),
                    }
                }
            }
            *last = seq;
            read += 1;
            self.rolled_up += to_count(counts.iter().take(3).sum());
        }
        Ok(read)
    }
}

/// Returns the list of accounts at a number.
fn accounts<'a>(
    connection: &Connection,
    path: Option<i64>,
    lists: &'a mut HashMap<i64, Option<String>>,
) -> rusqlite::Result<Option<&'a str>> {
    let Some(path) = path else { return Ok(None) };
    let list = match lists.entry(path) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(unknown) => {
            let list = connection
                .prepare_cached("SELECT accounts FROM paths WHERE seq = ?1")?
                .query_row([path], |row| row.get(0))
                .optional()?;
            unknown.insert(list)
        }
    };
    Ok(list.as_deref())
}
