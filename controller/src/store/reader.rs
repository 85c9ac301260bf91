//! Questions to the ledger, on a connection of their own that cannot write.
//!
//! Every answer is one short read, or many with nothing held between them, so that it does not keep
//! the write-ahead log from being folded back; where one does all the same, it is cut.

use std::path::{Path, PathBuf};

use bb_proto::event::Event;
use bb_proto::ids::{AgentName, BottleName, ProviderKey};
use bb_proto::reply::{CallRow, Ending, Events, UsageRow, UsageSum, Usages};
use bb_proto::request::{UsageBy, UsageQuery};
use bb_proto::time::Timestamp;
use bb_proto::usage::Usage;
use rusqlite::{Connection, OpenFlags, Row, Statement, named_params};

use super::convert::{
    count, parse, run_bytes, to_call, to_count, to_json, to_run, to_tokens, to_word,
};
use super::{BUSY_TIMEOUT, StoreError};

mod backup;
pub(super) mod copy;
mod entries;
mod patience;
mod settled;
mod sums;
mod verify;

pub use backup::{BackupError, Copied};
use patience::{LOOK_EVERY, Patience};

/// The most rows an answer has.
pub const ROWS_MAX: u32 = 1_000;
/// How many rows where nothing is said.
const ROWS_DEFAULT: u32 = 100;

/// The kinds of events that say what was decided and done, as the audit shows them.
const AUDIT_KINDS: &str = "'launched','ended','removed','warned','paced','exhausted','cutoff',\
    'restored','refused','charged','corrected','abandoned','clock','stop_ordered','budget_changed',\
    'settings','ledger','recovered','started','stopped'";

/// Where the ledger can be read.
#[derive(Debug, Clone)]
pub struct Reader {
    path: PathBuf,
}

/// Which events are asked for.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only those before this number.
    pub before: Option<u64>,
    /// Only those of this bottle.
    pub bottle: Option<BottleName>,
    /// Only those with this text in their sentence.
    pub pattern: Option<String>,
    /// The most rows.
    pub limit: Option<u32>,
    /// Only what was decided and done.
    pub audit: bool,
}

impl Reader {
    /// Reads the database at `path`.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let wrap = |error| StoreError::new("opening the database to read", &error);
        let mut connection = Connection::open_with_flags(&self.path, flags).map_err(wrap)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(wrap)?;
        let patience = Patience::begin(&self.path);
        connection
            .progress_handler(LOOK_EVERY, Some(move || patience.is_over()))
            .map_err(wrap)?;
        Ok(connection)
    }

    /// Returns the tokens of the calls asked for, grouped.
    pub fn usage(&self, query: &UsageQuery) -> Result<Usages, StoreError> {
        let wrap = |error| StoreError::new("reading usage", &error);
        let connection = self.connect()?;
        let total = sums(&connection, query, "NULL, NULL, NULL, NULL", "")?
            .pop()
            .map(|row| row.sum)
            .unwrap_or_default();
        let rows = match query.by {
            UsageBy::Bottle => sums(&connection, query, "bottle, NULL, provider, NULL", "1, 3")?,
            UsageBy::Agent => sums(&connection, query, "NULL, agent, provider, NULL", "2, 3")?,
            UsageBy::Provider => sums(&connection, query, "NULL, NULL, provider, NULL", "3")?,
            UsageBy::Model => sums(&connection, query, "NULL, NULL, provider, model", "3, 4")?,
            UsageBy::Call => calls(&connection, query).map_err(wrap)??,
        };
        Ok(Usages { rows, total })
    }

    /// Returns events, newest first.
    pub fn events(&self, filter: &EventFilter) -> Result<Events, StoreError> {
        let wrap = |error| StoreError::new("reading events", &error);
        let connection = self.connect()?;
        let limit = filter.limit.unwrap_or(ROWS_DEFAULT).min(ROWS_MAX);
        let kinds = if filter.audit {
            format!("AND kind IN ({AUDIT_KINDS})")
        } else {
            String::new()
        };
        let sql = format!(
            "SELECT body FROM events
             WHERE (:before IS NULL OR seq < :before) AND (:bottle IS NULL OR bottle = :bottle)
               AND (:pattern IS NULL OR instr(lower(body ->> 'text'), lower(:pattern)) > 0) {kinds}
             ORDER BY seq DESC LIMIT :limit"
        );
        let mut statement = connection.prepare(&sql).map_err(wrap)?;
        let mut rows = statement
            .query(named_params! {
                ":before": filter.before.map(count),
                ":bottle": filter.bottle.as_ref().map(BottleName::as_str),
                ":pattern": filter.pattern,
                ":limit": i64::from(limit) + 1,
            })
            .map_err(wrap)?;
        let mut events: Vec<Event> = Vec::new();
        while let Some(row) = rows.next().map_err(wrap)? {
            let body: String = row.get(0).map_err(wrap)?;
            events.push(to_json("events", &body)?);
        }
        let more = events.len() > limit as usize;
        events.truncate(limit as usize);
        Ok(Events { events, more })
    }
}

const ASKED_FOR: &str = "(:bottle IS NULL OR bottle = :bottle)
    AND (:run IS NULL OR run = :run) AND (:provider IS NULL OR provider = :provider)
    AND (:from IS NULL OR at >= :from) AND (:to IS NULL OR at < :to)";
/// Calls one by one, and those that are rolled up to hours; one statement reads both, so that no
/// roll-up falls between.
const CHARGED: &str = "
    SELECT at, bottle, run, agent, provider, model, kind = 'settle' AS calls,
        kind = 'settle' AND estimated AND NOT EXISTS (
            SELECT 1 FROM entries AS later
            WHERE later.call = entries.call AND later.kind = 'amend' AND NOT later.estimated
        ) AS estimated, input, cache_read, cache_write, output, reasoning, charge
    FROM entries WHERE kind <> 'void'
    UNION ALL
    SELECT hour AS at, bottle, run, agent, provider, model, calls, estimated, input, cache_read,
        cache_write, output, reasoning, charge
    FROM rollups WHERE calls + amended > 0";
/// What a later word of the provider changed of a call: differences, and what holds since.
const AMENDED: &str = "
    SELECT input, cache_read, cache_write, output, reasoning, charge, estimated, ending, status
    FROM entries WHERE call = ?1 AND kind = 'amend' ORDER BY seq";

fn sums(
    connection: &Connection,
    query: &UsageQuery,
    keys: &str,
    group: &str,
) -> Result<Vec<UsageRow>, StoreError> {
    let wrap = |error| StoreError::new("reading usage", &error);
    let (group, order) = match group {
        "" => (String::new(), String::new()),
        group => (
            format!("GROUP BY {group}"),
            "ORDER BY charge DESC LIMIT :limit".to_owned(),
        ),
    };
    let sql = format!(
        "SELECT {keys}, sum(calls), sum(estimated),
            coalesce(sum(input), 0), coalesce(sum(cache_read), 0), coalesce(sum(cache_write), 0),
            coalesce(sum(output), 0), coalesce(sum(reasoning), 0), sum(charge) AS charge
         FROM ({CHARGED}) WHERE {ASKED_FOR} AND (:limit IS NOT NULL) {group} {order}"
    );
    let mut statement = connection.prepare(&sql).map_err(wrap)?;
    let mut rows = statement
        .query(named_params! {
            ":bottle": query.bottle.as_ref().map(BottleName::as_str),
            ":run": query.run.map(run_bytes),
            ":provider": query.provider.as_ref().map(ProviderKey::as_str),
            ":from": query.from.map(|at| at.0),
            ":to": query.to.map(|at| at.0),
            ":limit": i64::from(query.limit.unwrap_or(ROWS_DEFAULT).min(ROWS_MAX)),
        })
        .map_err(wrap)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        found.push(sum_row(row)?);
    }
    Ok(found)
}

fn sum_row(row: &Row<'_>) -> Result<UsageRow, StoreError> {
    let wrap = |error| StoreError::new("reading usage", &error);
    let text = |column: usize| row.get::<_, Option<String>>(column).map_err(wrap);
    let total = |column: usize| row.get::<_, i64>(column).map(to_count).map_err(wrap);
    let number = |column: usize| row.get::<_, Option<i64>>(column).map_err(wrap);
    let table = "entries";
    Ok(UsageRow {
        bottle: text(0)?
            .map(|name| parse::<BottleName>(table, &name))
            .transpose()?,
        agent: text(1)?
            .map(|name| parse::<AgentName>(table, &name))
            .transpose()?,
        provider: text(2)?
            .map(|name| parse::<ProviderKey>(table, &name))
            .transpose()?,
        model: text(3)?,
        call: None,
        sum: UsageSum {
            calls: to_count(number(4)?.unwrap_or(0)),
            estimated: to_count(number(5)?.unwrap_or(0)),
            input: total(6)?,
            cache_read: total(7)?,
            cache_write: total(8)?,
            output: total(9)?,
            reasoning: total(10)?,
            charge: to_tokens(number(11)?.unwrap_or(0)),
        },
    })
}

fn calls(
    connection: &Connection,
    query: &UsageQuery,
) -> rusqlite::Result<Result<Vec<UsageRow>, StoreError>> {
    let sql = format!(
        "SELECT bottle, agent, provider, model, call, run, wire, started_at, at, input, cache_read,
            cache_write, output, reasoning, charge, estimated, ending, status
         FROM entries WHERE kind <> 'amend' AND {ASKED_FOR} ORDER BY seq DESC LIMIT :limit"
    );
    let mut amendments = connection.prepare(AMENDED)?;
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(named_params! {
        ":bottle": query.bottle.as_ref().map(BottleName::as_str),
        ":run": query.run.map(run_bytes),
        ":provider": query.provider.as_ref().map(ProviderKey::as_str),
        ":from": query.from.map(|at| at.0),
        ":to": query.to.map(|at| at.0),
        ":limit": i64::from(query.limit.unwrap_or(ROWS_DEFAULT).min(ROWS_MAX)),
    })?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (call, charge) = (row.get(4)?, row.get(14)?);
        let amended = call_row(row).and_then(|row| amend(row, call, charge, &mut amendments));
        match amended {
            Ok(row) => found.push(row),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(found))
}

fn call_row(row: &Row<'_>) -> Result<UsageRow, StoreError> {
    let wrap = |error| StoreError::new("reading calls", &error);
    let text = |column: usize| row.get::<_, String>(column).map_err(wrap);
    let number = |column: usize| row.get::<_, Option<i64>>(column).map_err(wrap);
    let table = "entries";
    let agent: Option<String> = row.get(1).map_err(wrap)?;
    let counted = |column: usize| number(column).map(|n| n.map(to_count));
    let usage = Usage {
        input: counted(9)?,
        cache_read: counted(10)?,
        cache_write: counted(11)?,
        output: counted(12)?,
        reasoning: counted(13)?,
    };
    let estimated: bool = row.get(15).map_err(wrap)?;
    Ok(UsageRow {
        bottle: Some(parse(table, &text(0)?)?),
        agent: agent.map(|name| parse(table, &name)).transpose()?,
        provider: Some(parse(table, &text(2)?)?),
        model: Some(text(3)?),
        call: Some(CallRow {
            id: to_call(row.get(4).map_err(wrap)?),
            run: to_run(row.get(5).map_err(wrap)?),
            wire: to_word(table, &text(6)?)?,
            started_at: Timestamp(number(7)?.unwrap_or(0)),
            ended_at: Timestamp(number(8)?.unwrap_or(0)),
            usage,
            estimated,
            ending: to_word(table, &text(16)?)?,
            status: row.get(17).map_err(wrap)?,
        }),
        sum: UsageSum::default(),
    })
}

/// Brings a call's row to what holds since its amendments, and sums it up.
fn amend(
    row: UsageRow,
    call: [u8; 16],
    charged: i64,
    amendments: &mut Statement<'_>,
) -> Result<UsageRow, StoreError> {
    let wrap = |error: rusqlite::Error| StoreError::new("reading calls", &error);
    let Some(mut of) = row.call else {
        return Ok(row);
    };
    let mut charge = charged;
    let mut later = amendments.query([call]).map_err(wrap)?;
    while let Some(amended) = later.next().map_err(wrap)? {
        let usage = &mut of.usage;
        let counts = [
            &mut usage.input,
            &mut usage.cache_read,
            &mut usage.cache_write,
            &mut usage.output,
            &mut usage.reasoning,
        ];
        for (column, stated) in counts.into_iter().enumerate() {
            let difference: Option<i64> = amended.get(column).map_err(wrap)?;
            if let Some(difference) = difference {
                *stated = Some(stated.unwrap_or(0).saturating_add_signed(difference));
            }
        }
        charge += amended.get::<_, i64>(5).map_err(wrap)?;
        of.estimated = amended.get(6).map_err(wrap)?;
        of.ending = to_word("entries", &amended.get::<_, String>(7).map_err(wrap)?)?;
        of.status = amended.get(8).map_err(wrap)?;
    }
    let usage = of.usage;
    let is_charged = of.ending != Ending::Voided;
    Ok(UsageRow {
        sum: UsageSum {
            calls: u64::from(is_charged),
            estimated: u64::from(of.estimated),
            input: usage.input.unwrap_or(0),
            cache_read: usage.cache_read.unwrap_or(0),
            cache_write: usage.cache_write.unwrap_or(0),
            output: usage.output.unwrap_or(0),
            reasoning: usage.reasoning.unwrap_or(0),
            charge: to_tokens(charge),
        },
        call: Some(of),
        ..row
    })
}
