//! Bottles, and what is closed to them.

use bb_core::bottle::{Bottle, Closing, Lifecycle};
use bb_proto::ids::{AgentName, BottleName, ProviderKey, RunId};
use bb_proto::process::Process;
use bb_proto::time::Timestamp;
use bb_proto::view::ClosedBy;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};

use super::StoreError;
use super::convert::{count, json, parse, run_bytes, to_count, to_json, to_run, to_tokens, tokens};

const TABLE: &str = "bottles";
const PUT: &str = "
    INSERT INTO bottles (name, run, parents, agent, provider, token, command, pid, start_ticks,
        budgets, lifecycle, launched_at, ended_at, exit_code, stop_ordered_at, refusals)
    VALUES (:name, :run, :parents, :agent, :provider, :token, :command, :pid, :start_ticks,
        :budgets, :lifecycle, :launched_at, :ended_at, :exit_code, :stop_ordered_at, :refusals)
    ON CONFLICT (name) DO UPDATE SET run = excluded.run, parents = excluded.parents,
        agent = excluded.agent, provider = excluded.provider, token = excluded.token,
        command = excluded.command, pid = excluded.pid, start_ticks = excluded.start_ticks,
        budgets = excluded.budgets, lifecycle = excluded.lifecycle,
        launched_at = excluded.launched_at, ended_at = excluded.ended_at,
        exit_code = excluded.exit_code, stop_ordered_at = excluded.stop_ordered_at,
        refusals = excluded.refusals";
const LOAD: &str = "
    SELECT name, run, parents, agent, provider, token, command, pid, start_ticks, budgets,
        lifecycle, launched_at, ended_at, exit_code, stop_ordered_at, refusals
    FROM bottles ORDER BY name";
const CLOSE: &str = "
    INSERT INTO closings (bottle, position, provider, budget, since, why, at_room)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const CLOSINGS: &str = "
    SELECT provider, budget, since, why, at_room FROM closings WHERE bottle = ?1
    ORDER BY position";

fn lifecycle_word(lifecycle: Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Running => "running",
        Lifecycle::Stopped => "stopped",
        Lifecycle::Failed => "failed",
    }
}

pub(super) fn put(connection: &Connection, bottle: &Bottle) -> rusqlite::Result<()> {
    connection.prepare_cached(PUT)?.execute(named_params! {
        ":name": bottle.name.as_str(),
        ":run": run_bytes(bottle.run),
        ":parents": json(&bottle.parents)?,
        ":agent": bottle.agent.as_ref().map(AgentName::as_str),
        ":provider": bottle.provider.as_ref().map(ProviderKey::as_str),
        ":token": bottle.token,
        ":command": json(&bottle.command)?,
        ":pid": bottle.process.map(|process| process.pid),
        ":start_ticks": bottle.process.map(|process| count(process.start_ticks)),
        ":budgets": json(&bottle.budgets)?,
        ":lifecycle": lifecycle_word(bottle.lifecycle),
        ":launched_at": bottle.launched_at.0,
        ":ended_at": bottle.ended_at.map(|at| at.0),
        ":exit_code": bottle.exit_code,
        ":stop_ordered_at": bottle.stop_ordered_at.map(|at| at.0),
        ":refusals": count(bottle.refusals),
    })?;
    let name = bottle.name.as_str();
    connection
        .prepare_cached("DELETE FROM closings WHERE bottle = ?1")?
        .execute([name])?;
    for (position, closing) in bottle.closings.iter().enumerate() {
        let budget = match &closing.by {
            ClosedBy::Budget(key) => Some(key.to_string()),
            ClosedBy::Operator => None,
        };
        connection.prepare_cached(CLOSE)?.execute(params![
            name,
            count(position as u64),
            closing.provider.to_string(),
            budget,
            closing.since.0,
            closing.why,
            closing.room.map(tokens),
        ])?;
    }
    Ok(())
}

/// Returns the run a bottle was last written with.
pub(super) fn run_of(
    connection: &Connection,
    name: &BottleName,
) -> rusqlite::Result<Option<RunId>> {
    let mut statement = connection.prepare_cached("SELECT run FROM bottles WHERE name = ?1")?;
    statement
        .query_row([name.as_str()], |row| row.get(0))
        .optional()
        .map(|run| run.map(to_run))
}

pub(super) fn remove(connection: &Connection, name: &BottleName) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM bottles WHERE name = ?1")?
        .execute([name.as_str()])?;
    Ok(())
}

pub(super) fn load(connection: &Connection) -> Result<Vec<Bottle>, StoreError> {
    let wrap = |error| StoreError::new("reading the bottles", &error);
    let mut statement = connection.prepare(LOAD).map_err(wrap)?;
    let mut rows = statement.query([]).map_err(wrap)?;
    let mut bottles = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let mut bottle = read(row)?;
        bottle.closings = closings(connection, &bottle.name)?;
        bottles.push(bottle);
    }
    Ok(bottles)
}

fn read(row: &Row<'_>) -> Result<Bottle, StoreError> {
    let wrap = |error| StoreError::new("reading the bottles", &error);
    let text = |column: usize| row.get::<_, String>(column).map_err(wrap);
    let maybe_text = |column: usize| row.get::<_, Option<String>>(column).map_err(wrap);
    let maybe_number = |column: usize| row.get::<_, Option<i64>>(column).map_err(wrap);
    let pid: Option<u32> = row.get(7).map_err(wrap)?;
    let lifecycle = match text(10)?.as_str() {
        "running" => Lifecycle::Running,
        "stopped" => Lifecycle::Stopped,
        _ => Lifecycle::Failed,
    };
    Ok(Bottle {
        name: parse(TABLE, &text(0)?)?,
        run: to_run(row.get(1).map_err(wrap)?),
        parents: to_json(TABLE, &text(2)?)?,
        agent: maybe_text(3)?
            .map(|agent| parse(TABLE, &agent))
            .transpose()?,
        provider: maybe_text(4)?
            .map(|provider| parse(TABLE, &provider))
            .transpose()?,
        token: text(5)?,
        command: to_json(TABLE, &text(6)?)?,
        process: pid.zip(maybe_number(8)?).map(|(pid, ticks)| Process {
            pid,
            start_ticks: to_count(ticks),
        }),
        budgets: to_json(TABLE, &text(9)?)?,
        lifecycle,
        launched_at: Timestamp(row.get(11).map_err(wrap)?),
        ended_at: maybe_number(12)?.map(Timestamp),
        exit_code: row.get(13).map_err(wrap)?,
        stop_ordered_at: maybe_number(14)?.map(Timestamp),
        closings: Vec::new(),
        refusals: to_count(row.get(15).map_err(wrap)?),
    })
}

fn closings(connection: &Connection, name: &BottleName) -> Result<Vec<Closing>, StoreError> {
    let wrap = |error| StoreError::new("reading what is closed", &error);
    let table = "closings";
    let mut statement = connection.prepare_cached(CLOSINGS).map_err(wrap)?;
    let mut rows = statement.query([name.as_str()]).map_err(wrap)?;
    let mut closings = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let provider: String = row.get(0).map_err(wrap)?;
        let budget: Option<String> = row.get(1).map_err(wrap)?;
        let room: Option<i64> = row.get(4).map_err(wrap)?;
        closings.push(Closing {
            provider: parse(table, &provider)?,
            by: match budget {
                Some(key) => ClosedBy::Budget(parse(table, &key)?),
                None => ClosedBy::Operator,
            },
            since: Timestamp(row.get(2).map_err(wrap)?),
            why: row.get(3).map_err(wrap)?,
            room: room.map(to_tokens),
        });
    }
    Ok(closings)
}
