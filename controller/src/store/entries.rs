//! Calls: those that are open, and those that were resolved.

use bb_core::book::{CallFacts, Corrected, OpenCall, PastCall, Reservation, Settlement, Terms};
use bb_core::estimate::{Estimate, InputSize};
use bb_proto::ids::{AgentName, CallId};
use bb_proto::reply::Ending;
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::usage::Usage;
use rusqlite::{Connection, named_params};

use super::StoreError;
use super::convert::{
    call_bytes, count, json, optional, parse, run_bytes, to_call, to_count, to_json, to_run,
    to_tokens, to_word, tokens, word,
};

const OPEN: &str = "
    INSERT OR REPLACE INTO open_calls (call, started_at, bottle, run, agent, provider, wire, model,
        accounts, reserved, estimate_input, estimate_output, body_bytes,
        capped, unbounded)
    VALUES (:call, :started_at, :bottle, :run, :agent, :provider, :wire, :model,
        :accounts, :reserved, :estimate_input, :estimate_output, :body_bytes,
        :capped, :unbounded)";
const MARK: &str = "UPDATE open_calls SET flowed = :flowed WHERE call = :call";
const CLOSE: &str = "DELETE FROM open_calls WHERE call = ?1";
const RESOLVE: &str = "
    INSERT OR IGNORE INTO entries (seq, kind, call, at, started_at, bottle, run, agent, provider,
        wire, model, input, cache_read, cache_write, output, reasoning, charge, overrun,
        estimated, ending, status, uid, why, capped,
        unbounded)
    VALUES (:seq, :kind, :call, :at, :started_at, :bottle, :run, :agent, :provider,
        :wire, :model, :input, :cache_read, :cache_write, :output, :reasoning, :charge, :overrun,
        :estimated, :ending, :status, :uid, :why, :capped, :unbounded)";
const LOAD_OPEN: &str = "
    SELECT call, started_at, bottle, run, agent, provider, wire, model, accounts, reserved,
        estimate_input, estimate_output, body_bytes, flowed, capped, unbounded
    FROM open_calls ORDER BY call";

/// How many of the last entries are looked through for calls that estimates learn from.
const PAST_ENTRIES_MAX: u32 = 1_000;
const LOAD_PAST: &str = "
    SELECT provider, wire, model, input, cache_read, cache_write, output, reasoning FROM entries
    WHERE seq > (SELECT max(seq) FROM entries) - ?1 AND kind = 'settle' AND NOT estimated
        AND ending <> 'outside'
    ORDER BY seq";

pub(super) fn open(connection: &Connection, reservation: &Reservation) -> rusqlite::Result<()> {
    let facts = &reservation.facts;
    let accounts: Vec<String> = facts.accounts.iter().map(ToString::to_string).collect();
    connection.prepare_cached(OPEN)?.execute(named_params! {
        ":call": call_bytes(facts.call),
        ":started_at": facts.started_at.0,
        ":bottle": facts.bottle.as_str(),
        ":run": run_bytes(facts.run),
        ":agent": facts.agent.as_ref().map(AgentName::as_str),
        ":provider": facts.provider.as_str(),
        ":wire": facts.wire.as_str(),
        ":model": facts.model,
        ":accounts": json(&accounts)?,
        ":reserved": tokens(reservation.reserved),
        ":estimate_input": count(reservation.estimate.input),
        ":estimate_output": count(reservation.estimate.output),
        ":body_bytes": count(reservation.input.body_bytes()),
        ":capped": facts.terms.cap().map(count),
        ":unbounded": facts.terms == Terms::Unbounded,
    })?;
    Ok(())
}

pub(super) fn mark(connection: &Connection, call: CallId, flowed: Tokens) -> rusqlite::Result<()> {
    connection
        .prepare_cached(MARK)?
        .execute(named_params! { ":flowed": tokens(flowed), ":call": call_bytes(call) })?;
    Ok(())
}

/// The columns in which the kinds of a resolved call differ; counts are signed differences.
struct Row<'a> {
    kind: &'static str,
    usage: [Option<i64>; 5],
    charge: i64,
    overrun: i64,
    estimated: bool,
    ending: Ending,
    status: Option<u16>,
    by: Option<&'a Corrected>,
}

/// Writes a resolved call; returns whether it was not there before.
fn resolve(
    connection: &Connection,
    seq: u64,
    facts: &CallFacts,
    at: Timestamp,
    row: &Row<'_>,
) -> rusqlite::Result<bool> {
    let [input, cache_read, cache_write, output, reasoning] = row.usage;
    let written = connection.prepare_cached(RESOLVE)?.execute(named_params! {
        ":seq": count(seq),
        ":kind": row.kind,
        ":call": call_bytes(facts.call),
        ":at": at.0,
        ":started_at": facts.started_at.0,
        ":bottle": facts.bottle.as_str(),
        ":run": run_bytes(facts.run),
        ":agent": facts.agent.as_ref().map(AgentName::as_str),
        ":provider": facts.provider.as_str(),
        ":wire": facts.wire.as_str(),
        ":model": facts.model,
        ":input": input,
        ":cache_read": cache_read,
        ":cache_write": cache_write,
        ":output": output,
        ":reasoning": reasoning,
        ":charge": row.charge,
        ":overrun": row.overrun,
        ":estimated": row.estimated,
        ":ending": word(&row.ending)?,
        ":status": row.status,
        ":uid": row.by.map(|by| by.uid),
        ":why": row.by.and_then(|by| by.why.as_deref()),
        ":capped": facts.terms.cap().map(count),
        ":unbounded": facts.terms == Terms::Unbounded,
    })?;
    Ok(written > 0)
}

fn counts(usage: &Usage) -> [Option<i64>; 5] {
    [
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.output,
        usage.reasoning,
    ]
    .map(optional)
}

/// Writes a charge; returns whether it was not there before.
pub(super) fn settle(
    connection: &Connection,
    seq: u64,
    facts: &CallFacts,
    at: Timestamp,
    settlement: &Settlement,
    overrun: Tokens,
) -> rusqlite::Result<bool> {
    let row = Row {
        kind: "settle",
        usage: counts(&settlement.usage),
        charge: tokens(settlement.charge),
        overrun: tokens(overrun),
        estimated: settlement.estimated,
        ending: settlement.ending,
        status: settlement.status,
        by: None,
    };
    let is_new = resolve(connection, seq, facts, at, &row)?;
    connection
        .prepare_cached(CLOSE)?
        .execute([call_bytes(facts.call)])?;
    Ok(is_new)
}

/// Writes an amendment; returns whether it was not there before.
pub(super) fn amend(
    connection: &Connection,
    seq: u64,
    facts: &CallFacts,
    at: Timestamp,
    before: &Settlement,
    after: &Settlement,
    by: Option<&Corrected>,
) -> rusqlite::Result<bool> {
    let mut usage = counts(&after.usage);
    for (now, then) in usage.iter_mut().zip(counts(&before.usage)) {
        *now = match (*now, then) {
            (None, None) => None,
            (now, then) => Some(now.unwrap_or(0) - then.unwrap_or(0)),
        };
    }
    let row = Row {
        kind: "amend",
        usage,
        charge: tokens(after.charge) - tokens(before.charge),
        overrun: 0,
        estimated: after.estimated,
        ending: after.ending,
        status: after.status,
        by,
    };
    resolve(connection, seq, facts, at, &row)
}

pub(super) fn void(
    connection: &Connection,
    seq: u64,
    facts: &CallFacts,
    at: Timestamp,
    status: Option<u16>,
) -> rusqlite::Result<()> {
    let row = Row {
        kind: "void",
        usage: [None; 5],
        charge: 0,
        overrun: 0,
        estimated: false,
        ending: Ending::Voided,
        status,
        by: None,
    };
    resolve(connection, seq, facts, at, &row)?;
    connection
        .prepare_cached(CLOSE)?
        .execute([call_bytes(facts.call)])?;
    Ok(())
}

/// Returns the latest reservation among the last entries and the calls that are open.
pub(super) fn latest(connection: &Connection) -> Result<Timestamp, StoreError> {
    const LATEST: &str = "
        SELECT max(
            coalesce((SELECT max(started_at) FROM entries
                WHERE seq > (SELECT max(seq) FROM entries) - ?1), 0),
            coalesce((SELECT max(started_at) FROM open_calls), 0))";
    connection
        .query_row(LATEST, [PAST_ENTRIES_MAX], |row| row.get(0).map(Timestamp))
        .map_err(|error| StoreError::new("reading the latest reservation", &error))
}

/// Returns the number of the next entry, which raises share.
pub(super) fn next(connection: &Connection) -> Result<u64, StoreError> {
    const NEXT: &str = "
        SELECT 1 + max((SELECT coalesce(max(seq), 0) FROM entries),
                       (SELECT coalesce(max(last), 0) FROM rolled_up),
                       (SELECT coalesce(max(seq), 0) FROM raises))";
    connection
        .query_row(NEXT, [], |row| row.get(0).map(to_count))
        .map_err(|error| StoreError::new("reading the number of the next entry", &error))
}

pub(super) fn load_open(connection: &Connection) -> Result<Vec<OpenCall>, StoreError> {
    let doing = "reading the calls that were open";
    let wrap = |error| StoreError::new(doing, &error);
    let mut statement = connection.prepare(LOAD_OPEN).map_err(wrap)?;
    let mut rows = statement.query([]).map_err(wrap)?;
    let mut open = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let text = |column: usize| row.get::<_, String>(column).map_err(wrap);
        let number = |column: usize| row.get::<_, i64>(column).map_err(wrap);
        let table = "open_calls";
        let accounts: Vec<String> = to_json(table, &text(8)?)?;
        let agent: Option<String> = row.get(4).map_err(wrap)?;
        let capped: Option<i64> = row.get(14).map_err(wrap)?;
        let terms = match (capped.map(to_count), row.get(15).map_err(wrap)?) {
            (_, true) => Terms::Unbounded,
            (Some(cap), false) => Terms::Exact {
                input: to_count(number(10)?),
                output: cap,
                cap: Some(cap),
            },
            (None, false) => Terms::Estimate,
        };
        open.push(OpenCall {
            reservation: Reservation {
                facts: CallFacts {
                    call: to_call(row.get(0).map_err(wrap)?),
                    started_at: Timestamp(number(1)?),
                    bottle: parse(table, &text(2)?)?,
                    run: to_run(row.get(3).map_err(wrap)?),
                    agent: agent.map(|agent| parse(table, &agent)).transpose()?,
                    provider: parse(table, &text(5)?)?,
                    wire: to_word(table, &text(6)?)?,
                    model: text(7)?,
                    accounts: accounts
                        .iter()
                        .map(|account| parse(table, account))
                        .collect::<Result<_, _>>()?,
                    terms,
                },
                reserved: to_tokens(number(9)?),
                estimate: Estimate {
                    input: to_count(number(10)?),
                    output: to_count(number(11)?),
                    ..Estimate::default()
                },
                input: InputSize::text(to_count(number(12)?)),
            },
            flowed: to_tokens(number(13)?),
        });
    }
    Ok(open)
}

/// Returns the last calls that were settled as their provider stated, oldest first.
pub(super) fn load_past(connection: &Connection) -> Result<Vec<PastCall>, StoreError> {
    let wrap = |error| StoreError::new("reading the calls settled last", &error);
    let mut statement = connection.prepare(LOAD_PAST).map_err(wrap)?;
    let mut rows = statement.query([PAST_ENTRIES_MAX]).map_err(wrap)?;
    let mut past = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let text = |column: usize| row.get::<_, String>(column).map_err(wrap);
        let count = |column: usize| {
            let number = row.get::<_, Option<i64>>(column).map_err(wrap)?;
            Ok::<_, StoreError>(number.map(to_count))
        };
        past.push(PastCall {
            provider: parse("entries", &text(0)?)?,
            wire: to_word("entries", &text(1)?)?,
            model: text(2)?,
            usage: Usage {
                input: count(3)?,
                cache_read: count(4)?,
                cache_write: count(5)?,
                output: count(6)?,
                reasoning: count(7)?,
            },
        });
    }
    Ok(past)
}
