//! Budgets that were set by command, and raises.

use bb_core::budget::Declared;
use bb_proto::budget::{BudgetKey, Scope};
use bb_proto::ids::RunId;
use bb_proto::time::Timestamp;
use bb_proto::view::{Raise, Source};
use rusqlite::{Connection, params};

use super::StoreError;
use super::convert::{count, json, parse, to_json, to_tokens, to_word, tokens, word};

const SET: &str = "
    INSERT OR REPLACE INTO budgets (key, max_tokens, cap, ceiling, warn, uid, per_call, policy, gate)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const RAISE: &str = "
    INSERT OR IGNORE INTO raises (seq, key, by, at, uid, why, until)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

pub(super) fn set(connection: &Connection, declared: &Declared) -> rusqlite::Result<()> {
    let key = declared.key.to_string();
    let uid = match declared.source {
        Source::Command { uid } => uid,
        Source::Settings { .. } | Source::Launch { .. } => 0,
    };
    connection
        .prepare_cached("DELETE FROM raises WHERE key = ?1")?
        .execute([&key])?;
    connection.prepare_cached(SET)?.execute(params![
        key,
        tokens(declared.limit),
        word(&declared.cap)?,
        declared.ceiling,
        json(&declared.warn)?,
        uid,
        declared.per_call.map(tokens),
        declared.policy.as_ref().map(word).transpose()?,
        declared.gate.as_ref().map(word).transpose()?,
    ])?;
    Ok(())
}

pub(super) fn unset(connection: &Connection, key: &BudgetKey) -> rusqlite::Result<()> {
    let key = key.to_string();
    connection
        .prepare_cached("DELETE FROM raises WHERE key = ?1")?
        .execute([&key])?;
    connection
        .prepare_cached("DELETE FROM budgets WHERE key = ?1")?
        .execute([&key])?;
    Ok(())
}

pub(super) fn raise(
    connection: &Connection,
    seq: u64,
    key: &BudgetKey,
    raise: &Raise,
) -> rusqlite::Result<()> {
    connection.prepare_cached(RAISE)?.execute(params![
        count(seq),
        key.to_string(),
        tokens(raise.by),
        raise.at.0,
        raise.uid,
        raise.why,
        raise.until.map(|until| until.0),
    ])?;
    Ok(())
}

pub(super) fn end_raise(
    connection: &Connection,
    key: &BudgetKey,
    raise: &Raise,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM raises WHERE key = ?1 AND at = ?2 AND until = ?3")?
        .execute(params![
            key.to_string(),
            raise.at.0,
            raise.until.map(|until| until.0)
        ])?;
    Ok(())
}

/// Forgets the raises of a run's budgets; the events keep who gave them and why.
pub(super) fn forget_launch(connection: &Connection, run: RunId) -> rusqlite::Result<()> {
    let prefix = format!("{}/%", Scope::Launch(run));
    connection
        .prepare_cached("DELETE FROM raises WHERE key LIKE ?1")?
        .execute([prefix])?;
    Ok(())
}

pub(super) fn load(connection: &Connection) -> Result<Vec<Declared>, StoreError> {
    let wrap = |error| StoreError::new("reading the budgets", &error);
    let table = "budgets";
    let mut statement = connection
        .prepare(
            "SELECT key, max_tokens, cap, ceiling, warn, uid, per_call, policy, gate
            FROM budgets ORDER BY key",
        )
        .map_err(wrap)?;
    let mut rows = statement.query([]).map_err(wrap)?;
    let mut budgets = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let text = |column: usize| row.get::<_, String>(column).map_err(wrap);
        let source = Source::Command {
            uid: row.get(5).map_err(wrap)?,
        };
        let limit = to_tokens(row.get(1).map_err(wrap)?);
        let per_call: Option<i64> = row.get(6).map_err(wrap)?;
        let maybe_text = |column: usize| row.get::<_, Option<String>>(column).map_err(wrap);
        budgets.push(Declared {
            cap: to_word(table, &text(2)?)?,
            ceiling: row.get(3).map_err(wrap)?,
            warn: to_json(table, &text(4)?)?,
            per_call: per_call.map(to_tokens),
            policy: maybe_text(7)?.map(|it| to_word(table, &it)).transpose()?,
            gate: maybe_text(8)?.map(|it| to_word(table, &it)).transpose()?,
            ..Declared::hard(parse(table, &text(0)?)?, limit, source)
        });
    }
    Ok(budgets)
}

pub(super) fn load_raises(connection: &Connection) -> Result<Vec<(BudgetKey, Raise)>, StoreError> {
    let wrap = |error| StoreError::new("reading the raises", &error);
    let mut statement = connection
        .prepare("SELECT key, by, at, uid, why, until FROM raises ORDER BY seq")
        .map_err(wrap)?;
    let mut rows = statement.query([]).map_err(wrap)?;
    let mut raises = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let key: String = row.get(0).map_err(wrap)?;
        let until: Option<i64> = row.get(5).map_err(wrap)?;
        let raise = Raise {
            by: to_tokens(row.get(1).map_err(wrap)?),
            at: Timestamp(row.get(2).map_err(wrap)?),
            uid: row.get(3).map_err(wrap)?,
            why: row.get(4).map_err(wrap)?,
            until: until.map(Timestamp),
        };
        raises.push((parse("raises", &key)?, raise));
    }
    Ok(raises)
}
