//! Whether the ledger is what it says: balances against entries, entries against each other, and
//! the file.
//!
//! The entries are read in steps, with nothing held between two of them, which is right since
//! entries never change; the last few are read in one transaction with the balances. So the
//! write-ahead log can be folded back meanwhile. Where entries were rolled up meanwhile, it begins
//! anew. The file is looked through in one go, and that is given up where the log grows too long.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bb_core::book::Account;
use bb_proto::ids::RunId;
use bb_proto::reply::{BalanceDifference, EntryFault, FileCheck, LedgerVerified};
use rusqlite::{Connection, Error, ErrorCode, Row};

use super::Reader;
use super::patience::{length, log_of};
use super::sums::{Lists, Sums};

mod rolled_up;
use crate::store::StoreError;
use crate::store::convert::{count, parse, to_count, to_run};

/// How many entries are read in one step: some ten milliseconds.
const STEP_ENTRIES: u32 = 4_000;
/// How often it begins anew where entries are rolled up meanwhile.
const BEGINNINGS_MAX: u32 = 10;
/// Between two steps, for the write-ahead log to be folded back.
const PAUSE: Duration = Duration::from_millis(2);
/// The file is not looked through to its end where the write-ahead log grows by so much meanwhile.
const LOG_GROWTH_MAX: u64 = 64 << 20;
/// How often that is looked at, in steps of the database library.
const LOOK_EVERY: i32 = 2_000;
/// How many of each kind of fault are listed.
const LISTED_MAX: usize = 100;

const STEP: &str = "
    SELECT seq, kind, call, run, provider, charge, overrun, input, cache_read, cache_write, output,
        reasoning, (SELECT count(*) FROM entries AS other
                    WHERE other.call = entries.call AND other.kind <> 'amend'), started_at
    FROM entries WHERE seq > ?1 ORDER BY seq LIMIT ?2";
/// What was said of a call up to an entry: how often it was charged, and each charge's counts.
const SAID: &str = "
    SELECT kind = 'settle', charge, input, cache_read, cache_write, output, reasoning
    FROM entries WHERE call = ?1 AND kind <> 'amend' AND seq < ?2
    UNION ALL
    SELECT 0, charge, input, cache_read, cache_write, output, reasoning
    FROM entries WHERE call = ?1 AND kind = 'amend' AND seq <= ?2";

const DOING: &str = "verifying the ledger";

/// Says of an error what was being done.
const WRAP: fn(rusqlite::Error) -> StoreError = |error| StoreError::new(DOING, &error);

impl Reader {
    /// Computes every balance anew, and looks through the entries and the file.
    ///
    /// Returns `None` where `stopping` turned true meanwhile.
    pub fn verify(
        &self,
        stopping: impl Fn() -> bool + Clone + Send + 'static,
    ) -> Result<Option<LedgerVerified>, StoreError> {
        let begun = Instant::now();
        let mut connection = self.connect()?;
        let mut found = Found::default();
        for beginning in 1.. {
            match found.compare(&mut connection, &stopping) {
                Ok(Compared::All) => break,
                Ok(Compared::Stopped) => return Ok(None),
                Ok(Compared::RolledUp) if beginning < BEGINNINGS_MAX => found = Found::default(),
                Ok(Compared::RolledUp) => {
                    return Err(StoreError::Database {
                        doing: DOING,
                        what: "entries are rolled up all the time".to_owned(),
                    });
                }
                Err(StoreError::Damaged { what, .. }) => {
                    found.damage.push(what);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let log = log_of(&self.path);
        let most = length(&log).saturating_add(LOG_GROWTH_MAX);
        let told = stopping.clone();
        let file = found.look_through(&mut connection, move || told() || length(&log) > most)?;
        if stopping() {
            return Ok(None);
        }
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Some(found.into_reply(file, took_ms)))
    }
}

/// How far entries and balances were compared.
enum Compared {
    /// To the end.
    All,
    /// Until it was to end.
    Stopped,
    /// Until it was seen that entries were rolled up meanwhile: sums of both would be none.
    RolledUp,
}

/// What was looked at, and what of it is wrong.
#[derive(Debug, Default)]
struct Found {
    entries: u64,
    rolled_up: u64,
    balances: u64,
    differences: Vec<BalanceDifference>,
    faults: Vec<EntryFault>,
    damage: Vec<String>,
    unlisted: u64,
}

impl Found {
    /// Reads all roll-ups and entries, and compares.
    fn compare(
        &mut self,
        connection: &mut Connection,
        stopping: &impl Fn() -> bool,
    ) -> Result<Compared, StoreError> {
        let mut sums = Sums::begin(connection)?;
        let rolled_up = rolled_up::last(connection)?;
        let mut last = 0;
        while self.rolled_up_step(connection, &mut last, &mut sums)? == STEP_ENTRIES {
            if stopping() {
                return Ok(Compared::Stopped);
            }
            std::thread::park_timeout(PAUSE);
        }
        let mut last = 0;
        loop {
            let read = self.step(connection, &mut last, &mut sums)?;
            if stopping() {
                return Ok(Compared::Stopped);
            }
            if rolled_up::last(connection)? != rolled_up {
                return Ok(Compared::RolledUp);
            }
            if read < STEP_ENTRIES {
                break;
            }
            std::thread::park_timeout(PAUSE);
        }
        let transaction = connection.transaction().map_err(WRAP)?;
        if rolled_up::last(&transaction)? != rolled_up {
            return Ok(Compared::RolledUp);
        }
        while self.step(&transaction, &mut last, &mut sums)? > 0 {}
        self.balances(&transaction, sums)?;
        Ok(Compared::All)
    }

    /// Reads some entries after the last one; returns how many.
    fn step(
        &mut self,
        connection: &Connection,
        last: &mut u64,
        sums: &mut Sums,
    ) -> Result<u32, StoreError> {
        let after = count(*last);
        let mut entries = connection.prepare_cached(STEP).map_err(WRAP)?;
        let mut lists = connection.prepare_cached(Lists::QUERY).map_err(WRAP)?;
        let mut rows = entries
            .query([after, i64::from(STEP_ENTRIES)])
            .map_err(WRAP)?;
        // The first entry is read before the first list is: its lists are there, then.
        let mut first = rows.next().map_err(WRAP)?;
        let mut lists = Lists::begin(lists.query([after]).map_err(WRAP)?)?;
        let mut read = 0;
        while let Some(row) = first.take() {
            let seq = to_count(row.get(0).map_err(WRAP)?);
            lists.up_to(seq, sums)?;
            match self.entry(connection, row, seq, sums) {
                Ok(()) => {}
                Err(Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..)) => {
                    self.fault(seq, "it cannot be read");
                }
                Err(error) => return Err(WRAP(error)),
            }
            *last = seq;
            read += 1;
            first = rows.next().map_err(WRAP)?;
        }
        self.entries += u64::from(read);
        Ok(read)
    }

    fn entry(
        &mut self,
        connection: &Connection,
        row: &Row<'_>,
        seq: u64,
        sums: &mut Sums,
    ) -> rusqlite::Result<()> {
        let kind = row.get_ref(1)?.as_str()?;
        let call: [u8; 16] = row.get(2)?;
        let charge: i64 = row.get(5)?;
        let resolved: u32 = row.get(12)?;
        let is_less_than_nothing = || -> rusqlite::Result<bool> {
            for column in 5..=11 {
                if row.get::<_, Option<i64>>(column)?.is_some_and(|n| n < 0) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        if kind == "amend" {
            if let Some(text) = amendment(connection, call, seq)?
                && !rolled_up::is_of_call(connection, row.get(13)?)?
            {
                self.fault(seq, text);
            }
        } else {
            match resolved {
                1 => {}
                0 => self.fault(seq, "its call is not in the index of resolved calls"),
                _ => self.fault(seq, "its call is resolved more than once"),
            }
            if is_less_than_nothing()? {
                self.fault(seq, "it has a count or a charge below zero");
            }
        }
        if kind == "void" && charge != 0 {
            self.fault(seq, "it takes a call back, and charges for it");
        }
        let provider = row.get_ref(4)?.as_str()?;
        if !sums.add(seq, row.get(3)?, provider, charge) {
            self.fault(seq, "it is not known which accounts it counts on");
        }
        Ok(())
    }

    fn fault(&mut self, seq: u64, text: impl Into<String>) {
        let text = text.into();
        if self.faults.len() < LISTED_MAX {
            self.faults.push(EntryFault { seq, text });
        } else {
            self.unlisted += 1;
        }
    }

    /// Compares the balances with the sums. Those of a run that is over are gone, or go unread.
    fn balances(&mut self, connection: &Connection, sums: Sums) -> Result<(), StoreError> {
        let runs = runs(connection).map_err(WRAP)?;
        let counts = |account: &str| match account.parse() {
            Ok(Account::Launch(run) | Account::BottleRun(run)) => runs.contains(&run),
            _ => true,
        };
        let mut computed = sums.by_account();
        computed.retain(|(account, _), _| counts(account));
        let mut statement = connection
            .prepare("SELECT account, provider, posted, cache_read FROM balances")
            .map_err(WRAP)?;
        let mut rows = statement.query([]).map_err(WRAP)?;
        while let Some(row) = rows.next().map_err(WRAP)? {
            let account: String = row.get(0).map_err(WRAP)?;
            let provider: String = row.get(1).map_err(WRAP)?;
            let kept: i64 = row.get(2).map_err(WRAP)?;
            let cache_read: i64 = row.get(3).map_err(WRAP)?;
            if !counts(&account) {
                continue;
            }
            self.balances += 1;
            if !(0..=kept).contains(&cache_read) {
                self.damaged(format!(
                    "the balance of {account} at {provider} has {cache_read} tokens of cache reads \
                     in {kept}"
                ));
            }
            let key = (account, provider);
            let sum = computed.remove(&key).unwrap_or(0);
            self.difference(&key, kept, sum)?;
        }
        for (key, sum) in computed {
            self.difference(&key, 0, sum)?;
        }
        Ok(())
    }

    fn difference(
        &mut self,
        (account, provider): &(String, String),
        kept: i64,
        computed: i64,
    ) -> Result<(), StoreError> {
        if kept == computed {
            return Ok(());
        }
        if self.differences.len() < LISTED_MAX {
            self.differences.push(BalanceDifference {
                account: account.clone(),
                provider: parse("balances", provider)?,
                kept,
                computed,
            });
        } else {
            self.unlisted += 1;
        }
        Ok(())
    }

    fn damaged(&mut self, text: String) {
        if self.damage.len() < LISTED_MAX {
            self.damage.push(text);
        } else {
            self.unlisted += 1;
        }
    }

    /// Looks through the file until it is to be given up.
    fn look_through(
        &mut self,
        connection: &mut Connection,
        give_up: impl FnMut() -> bool + Send + 'static,
    ) -> Result<FileCheck, StoreError> {
        connection
            .progress_handler(LOOK_EVERY, Some(give_up))
            .map_err(WRAP)?;
        let looked = connection
            .prepare("PRAGMA quick_check(100)")
            .and_then(|mut statement| {
                let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
                lines.collect::<Result<Vec<_>, _>>()
            });
        match looked {
            Ok(lines) => {
                for line in lines.into_iter().filter(|line| line != "ok") {
                    self.damaged(line);
                }
                Ok(FileCheck::Whole)
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                Ok(FileCheck::GivenUp)
            }
            Err(error) => match WRAP(error) {
                StoreError::Damaged { what, .. } => {
                    self.damaged(what);
                    Ok(FileCheck::Whole)
                }
                other => Err(other),
            },
        }
    }

    fn into_reply(self, file: FileCheck, took_ms: u64) -> LedgerVerified {
        LedgerVerified {
            agrees: self.differences.is_empty() && self.faults.is_empty() && self.damage.is_empty(),
            entries: self.entries,
            rolled_up: self.rolled_up,
            balances: self.balances,
            took_ms,
            file,
            differences: self.differences,
            faults: self.faults,
            damage: self.damage,
            unlisted: self.unlisted,
        }
    }
}

/// Returns what is wrong with an amendment.
fn amendment(
    connection: &Connection,
    call: [u8; 16],
    seq: u64,
) -> rusqlite::Result<Option<&'static str>> {
    let mut statement = connection.prepare_cached(SAID)?;
    let mut rows = statement.query((call, count(seq)))?;
    let mut charges = 0_u32;
    let mut sums = [0_i64; 6];
    while let Some(row) = rows.next()? {
        charges += row.get::<_, u32>(0)?;
        for (sum, column) in sums.iter_mut().zip(1..) {
            *sum = sum.saturating_add(row.get::<_, Option<i64>>(column)?.unwrap_or(0));
        }
    }
    Ok(if charges != 1 {
        Some("it amends a call that was not charged once before it")
    } else if sums.iter().any(|sum| *sum < 0) {
        Some("it brings a count or the charge of its call below zero")
    } else {
        None
    })
}

/// Returns the runs that balances are kept of.
fn runs(connection: &Connection) -> rusqlite::Result<HashSet<RunId>> {
    let mut statement = connection.prepare("SELECT run FROM bottles")?;
    let runs = statement.query_map([], |row| row.get(0).map(to_run))?;
    runs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_file_is_given_up_where_that_holds_the_ledger_up_and_is_not_called_damaged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        let store = Store::open(&path).expect("a ledger");
        store
            .connection
            .execute_batch(
                "WITH RECURSIVE n (seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n LIMIT 9000)
                 INSERT INTO events SELECT seq, 1, 'refused', NULL, '{}' FROM n",
            )
            .expect("events");
        let mut connection = Reader::new(&path).connect().expect("a connection");
        let mut found = Found::default();
        for (limit, expected) in [(u32::MAX, FileCheck::Whole), (2, FileCheck::GivenUp)] {
            let mut looks = 0;
            let give_up = move || {
                looks += 1;
                looks > limit
            };
            let file = found.look_through(&mut connection, give_up);
            assert_eq!(file.expect("looked through"), expected);
        }
        assert!(found.into_reply(FileCheck::GivenUp, 0).agrees);
    }
}
