//! The ledger's database: one SQLite file, one writing connection.
//!
//! This module knows tables and transactions. It decides nothing: what is written was decided by
//! the book, and no type of the database library leaves it.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use bb_core::book::{Balance, Entry, Saved};
use bb_core::ledger::Group;
use bb_proto::ids::{BottleName, RunId};
use bb_proto::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags};

mod balances;
mod bottles;
mod budgets;
mod charged;
mod convert;
mod entries;
mod events;
mod migrate;
mod paths;
mod place;
pub mod reader;
mod rollups;
mod windows;

use charged::Changes;
use paths::Paths;
use place::Place;

pub use migrate::SCHEMA_VERSION;
pub use rollups::{ROLL_UP_ENTRIES_MAX, RolledUp};

/// How long a statement waits for another connection's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The write-ahead log is folded back into the database where it is longer than this, in pages.
const CHECKPOINT_PAGES: u32 = 2_000;

/// The write-ahead log keeps so much of its length when it begins anew.
const LOG_KEPT_BYTES: u32 = 64 << 20;

/// Why the database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database was written by a newer version.
    #[error(
        "it is of schema version {found}, newer than the {SCHEMA_VERSION} that this program knows, \
         and is left untouched"
    )]
    Newer {
        /// Its version.
        found: u32,
    },
    /// The file is damaged, or no database.
    #[error("{doing}: {what}")]
    Damaged {
        /// What was being done.
        doing: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// A row says what no row can say.
    #[error("a row of {table} cannot be read: {what}")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The file cannot be made or written.
    #[error("making the file")]
    File(#[source] io::Error),
    /// The file was taken away.
    #[error("its file is gone")]
    Gone,
    /// The file was taken away, and another one is there.
    #[error(
        "another file is in its place; take that away, and it is written anew, or start the \
         controller again to use it"
    )]
    Replaced,
    /// So much is written behind a reader that it was cut.
    #[error("{doing}: so much was written meanwhile that it was given up")]
    GivenUp {
        /// What was being done.
        doing: &'static str,
    },
    /// The disk is full.
    #[error("the disk is full while {doing}")]
    Full {
        /// What was being done.
        doing: &'static str,
    },
    /// Anything else the database library says.
    #[error("{doing}: {what}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        what: String,
    },
}

impl StoreError {
    fn new(doing: &'static str, error: &rusqlite::Error) -> Self {
        let what = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { doing },
            Some(ErrorCode::OperationInterrupted) => Self::GivenUp { doing },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { doing, what }
            }
            _ => Self::Database { doing, what },
        }
    }
}

/// The writing connection.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    synced: bool,
    paths: Paths,
    place: Place,
}

impl Store {
    /// Opens the database, makes it where there is none, and brings its schema up to date.
    ///
    /// Fails with [`StoreError::Newer`] where a newer version wrote it; it is not touched then.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        migrate::refuse_newer(path)?;
        make_private(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let doing = "opening the database";
        let mut connection = Connection::open_with_flags(path, flags)
            .map_err(|error| StoreError::new(doing, &error))?;
        configure(&connection).map_err(|error| StoreError::new(doing, &error))?;
        migrate::run(&mut connection)?;
        Ok(Self {
            connection,
            synced: true,
            paths: Paths::default(),
            place: Place::of(path)?,
        })
    }

    /// Fails where the path that the file was opened by leads elsewhere now, or nowhere: what would
    /// be written is lost with the last who has it open.
    pub fn check_place(&self) -> Result<(), StoreError> {
        self.place.check()
    }

    /// Opens the database anew after an error; one that is gone is written anew.
    ///
    /// What the log holds is folded back before anything is written to it: after a failed sync
    /// the system may take for written what never was.
    pub fn reopened(&self) -> Result<Self, StoreError> {
        match self.place.check() {
            Err(StoreError::Gone) => self.place.put_back(&self.connection)?,
            checked => checked?,
        }
        let store = Self::open(self.place.path())?;
        store.fold_back_all()?;
        Ok(store)
    }

    fn fold_back_all(&self) -> Result<(), StoreError> {
        let doing = "folding back the write-ahead log";
        let held_up: rusqlite::Result<bool> =
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        match held_up {
            Ok(false) => Ok(()),
            Ok(true) => Err(StoreError::Database {
                doing,
                what: "somebody reads".to_owned(),
            }),
            Err(error) => Err(StoreError::new(doing, &error)),
        }
    }

    /// Reads what is kept of the book, and the number of the next entry.
    pub fn load(&self) -> Result<(Saved, u64), StoreError> {
        let connection = &self.connection;
        let saved = Saved {
            bottles: bottles::load(connection)?,
            commands: budgets::load(connection)?,
            raises: budgets::load_raises(connection)?,
            balances: balances::load(connection)?,
            charged: charged::load(connection)?,
            blocks: windows::load_blocks(connection)?,
            resets: windows::load_resets(connection)?,
            left_at: entries::latest(connection)?.max(windows::seen(connection)?),
            open: entries::load_open(connection)?,
            past: entries::load_past(connection)?,
            next_event: events::next(connection)?,
        };
        Ok((saved, entries::next(connection)?))
    }

    /// Writes a group in one transaction; it is on disk at return where it needs to be.
    ///
    /// Writing the same group again, after an error, changes nothing that is there already.
    pub fn write(&mut self, group: &Group) -> Result<(), StoreError> {
        let doing = "writing to the ledger";
        let written = self.write_group(group);
        if written.is_err() {
            self.paths.forget();
        }
        written.map_err(|error| StoreError::new(doing, &error))
    }

    fn write_group(&mut self, group: &Group) -> rusqlite::Result<()> {
        self.set_synced(group.needs_sync())?;
        if let ([(_, Entry::Reserved(reservation))], []) =
            (group.entries.as_slice(), group.balances.as_slice())
        {
            // A call waits for it, and a single statement is a transaction by itself.
            return entries::open(&self.connection, reservation);
        }
        let transaction = self.connection.transaction()?;
        let mut charged = Changes::default();
        for (seq, entry) in &group.entries {
            match entry {
                Entry::Reserved(reservation) => entries::open(&transaction, reservation)?,
                Entry::Marked { call, flowed, .. } => entries::mark(&transaction, *call, *flowed)?,
                Entry::Settled {
                    facts,
                    at,
                    settlement,
                    overrun,
                } => {
                    if entries::settle(&transaction, *seq, facts, *at, settlement, *overrun)? {
                        charged.add(facts, settlement.balance(), Balance::default());
                    }
                    self.paths.keep(&transaction, *seq, facts)?;
                }
                Entry::Amended {
                    facts,
                    at,
                    before,
                    after,
                    by,
                } => {
                    let by = by.as_ref();
                    if entries::amend(&transaction, *seq, facts, *at, before, after, by)? {
                        charged.add(facts, after.balance(), before.balance());
                    }
                    self.paths.keep(&transaction, *seq, facts)?;
                }
                Entry::Voided { facts, at, status } => {
                    entries::void(&transaction, *seq, facts, *at, *status)?;
                }
                Entry::Bottle(bottle) => {
                    let before = bottles::run_of(&transaction, &bottle.name)?;
                    if let Some(over) = before.filter(|before| *before != bottle.run) {
                        forget_run(&transaction, &bottle.name, over)?;
                    }
                    bottles::put(&transaction, bottle)?;
                }
                Entry::BottleRemoved { name, run } => {
                    bottles::remove(&transaction, name)?;
                    forget_run(&transaction, name, *run)?;
                }
                Entry::BudgetSet(declared) => budgets::set(&transaction, declared)?,
                Entry::BudgetUnset(key) => budgets::unset(&transaction, key)?,
                Entry::Raised(key, raise) => budgets::raise(&transaction, *seq, key, raise)?,
                Entry::RaiseEnded(key, raise) => budgets::end_raise(&transaction, key, raise)?,
                Entry::Reset(key, reset) | Entry::ResetAmended(key, reset) => {
                    windows::put_reset(&transaction, key, reset)?;
                }
                Entry::BlockBegan(key, from) => windows::put_block(&transaction, key, *from)?,
                Entry::Seen(at) => windows::put_seen(&transaction, *at)?,
                Entry::Happened(event) => events::put(&transaction, event)?,
            }
        }
        charged.write(&transaction)?;
        for (account, provider, balance) in &group.balances {
            balances::put(&transaction, account, provider, *balance)?;
        }
        transaction.commit()
    }

    /// Makes ready for a group that needs no sync: the one that a call waits for most.
    ///
    /// To be asked when nobody waits; where it fails, the next group fails with the reason.
    pub fn rest(&mut self) {
        if let Err(error) = self.set_synced(false) {
            tracing::debug!(%error, "the database could not be made ready");
        }
    }

    fn set_synced(&mut self, synced: bool) -> rusqlite::Result<()> {
        if synced != self.synced {
            let level = if synced { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.synced = synced;
        }
        Ok(())
    }

    /// Folds the write-ahead log back into the database where it has grown long.
    ///
    /// A reader that holds it up is not waited for: what can be is folded back, the rest another
    /// time. Returns whether the log begins anew.
    pub fn checkpoint_if_long(&self) -> Result<bool, StoreError> {
        let doing = "folding back the write-ahead log";
        let pages = self
            .log_pages()
            .map_err(|error| StoreError::new(doing, &error))?;
        if pages < CHECKPOINT_PAGES {
            return Ok(false);
        }
        self.checkpoint()
            .map_err(|error| StoreError::new(doing, &error))
    }

    /// Folds what was charged when, where it is too old to be told apart so finely.
    pub fn fold(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let doing = "folding what was charged when";
        charged::fold(&mut self.connection, now).map_err(|error| StoreError::new(doing, &error))
    }

    fn checkpoint(&self) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let held_up: rusqlite::Result<bool> =
            self.connection
                .query_row("PRAGMA wal_checkpoint(RESTART)", [], |row| row.get(0));
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        held_up.map(|held_up| !held_up)
    }

    fn log_pages(&self) -> rusqlite::Result<u32> {
        let (_, pages): (i64, i64) =
            self.connection
                .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
        Ok(u32::try_from(pages).unwrap_or(0))
    }
}

/// Makes the file where there is none, for its owner only, since it has the bottles' tokens in it;
/// the files beside it get the same mode.
///
/// One that is there is never opened here: closing it again would let go of the locks that another
/// connection of this process holds on it.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let private = if path.exists() {
        std::fs::set_permissions(path, Permissions::from_mode(0o600))
    } else {
        let made = OpenOptions::new()
            .create_new(true)
            .append(true)
            .mode(0o600)
            .open(path);
        made.map(drop)
    };
    private.map_err(StoreError::File)
}

/// Forgets what was kept of a run that no budget can count on any more; its entries stay.
fn forget_run(connection: &Connection, name: &BottleName, run: RunId) -> rusqlite::Result<()> {
    budgets::forget_launch(connection, run)?;
    windows::forget_run(connection, name, run)?;
    balances::forget_run(connection, run)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

#[cfg(test)]
mod tests;
