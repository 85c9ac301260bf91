//! What is kept of the windows of budgets: when blocks began, and what resets take off.

use bb_core::book::{Balance, Reset};
use bb_proto::budget::{BudgetKey, Scope};
use bb_proto::ids::{BottleName, RunId};
use bb_proto::time::Timestamp;
use rusqlite::{Connection, params};

use super::StoreError;
use super::convert::{parse, to_tokens, tokens};

pub(super) fn put_block(
    connection: &Connection,
    key: &BudgetKey,
    from: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO blocks (key, from_at) VALUES (?1, ?2)")?
        .execute(params![key.to_string(), from.0])?;
    Ok(())
}

pub(super) fn put_reset(
    connection: &Connection,
    key: &BudgetKey,
    reset: &Reset,
) -> rusqlite::Result<()> {
    const PUT: &str = "
        INSERT OR REPLACE INTO resets (key, at, from_at, posted, cache_read)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.prepare_cached(PUT)?.execute(params![
        key.to_string(),
        reset.at.0,
        reset.from.map(|from| from.0),
        tokens(reset.less.posted),
        tokens(reset.less.cache_read),
    ])?;
    Ok(())
}

/// Forgets the resets of a run's budgets; the events keep who gave them and why.
pub(super) fn forget_run(
    connection: &Connection,
    name: &BottleName,
    run: RunId,
) -> rusqlite::Result<()> {
    const FORGET: &str = "
        DELETE FROM resets WHERE substr(key, 1, length(?1)) = ?1
            OR substr(key, 1, length(?2)) = ?2 AND substr(key, -4) = '/run'";
    let of_launch = format!("{}/", Scope::Launch(run));
    let of_bottle = format!("{}/", Scope::Bottle(name.clone()));
    connection
        .prepare_cached(FORGET)?
        .execute([of_launch, of_bottle])?;
    Ok(())
}

pub(super) fn load_blocks(
    connection: &Connection,
) -> Result<Vec<(BudgetKey, Timestamp)>, StoreError> {
    let wrap = |error| StoreError::new("reading the blocks", &error);
    let mut statement = connection
        .prepare("SELECT key, from_at FROM blocks")
        .map_err(wrap)?;
    let mut rows = statement.query([]).map_err(wrap)?;
    let mut blocks = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let key: String = row.get(0).map_err(wrap)?;
        blocks.push((parse("blocks", &key)?, Timestamp(row.get(1).map_err(wrap)?)));
    }
    Ok(blocks)
}

pub(super) fn load_resets(connection: &Connection) -> Result<Vec<(BudgetKey, Reset)>, StoreError> {
    let wrap = |error| StoreError::new("reading the resets", &error);
    let mut statement = connection
        .prepare("SELECT key, at, from_at, posted, cache_read FROM resets")
        .map_err(wrap)?;
    let mut rows = statement.query([]).map_err(wrap)?;
    let mut resets = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let key: String = row.get(0).map_err(wrap)?;
        let from: Option<i64> = row.get(2).map_err(wrap)?;
        let reset = Reset {
            at: Timestamp(row.get(1).map_err(wrap)?),
            from: from.map(Timestamp),
            less: Balance {
                posted: to_tokens(row.get(3).map_err(wrap)?),
                cache_read: to_tokens(row.get(4).map_err(wrap)?),
            },
        };
        resets.push((parse("resets", &key)?, reset));
    }
    Ok(resets)
}

pub(super) fn put_seen(connection: &Connection, at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE seen SET at = max(at, ?1)")?
        .execute([at.0])?;
    Ok(())
}

/// Returns the latest instant that was seen when the clock went back.
pub(super) fn seen(connection: &Connection) -> Result<Timestamp, StoreError> {
    connection
        .query_row("SELECT at FROM seen", [], |row| row.get(0).map(Timestamp))
        .map_err(|error| StoreError::new("reading the latest time", &error))
}
