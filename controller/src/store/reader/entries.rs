//! The entries as they are, page by page.

use bb_proto::ids::{BottleName, CallId};
use bb_proto::reply::{EntryKind, EntryUsage, LedgerEntries, LedgerEntry, RolledUp};
use bb_proto::request::{LedgerExport, LedgerTail};
use bb_proto::time::Timestamp;
use rusqlite::{Connection, Row, named_params};
use serde::Serialize;

use super::{ROWS_DEFAULT, ROWS_MAX, Reader};
use crate::store::StoreError;
use crate::store::convert::{
    call_bytes, count, parse, to_call, to_count, to_run, to_tokens, to_word,
};

mod rolled_up;

/// How many entries one page of an export looks through at most, whether they are asked for or not.
const SCANNED_MAX: u32 = 10_000;
/// How long the entries of a page may be together: what is left of a line is the answer around it.
const PAGE_BYTES_MAX: usize = 900 << 10;

const COLUMNS: &str = "seq, kind, call, at, started_at, bottle, run, agent, provider, wire, model,
    input, cache_read, cache_write, output, reasoning, charge, overrun, estimated, ending, status,
    uid, why, capped, unbounded";
const DOING: &str = "reading entries";

/// Says of an error what was being done.
const WRAP: fn(rusqlite::Error) -> StoreError = |error| StoreError::new(DOING, &error);

impl Reader {
    /// Returns the newest entries, or those after a number; oldest first.
    pub fn tail(&self, query: &LedgerTail) -> Result<LedgerEntries, StoreError> {
        let connection = self.connect()?;
        let limit = query.limit.unwrap_or(ROWS_DEFAULT).min(ROWS_MAX);
        let bottle = query.bottle.as_ref();
        match query.after {
            Some(after) => after_number(&connection, after, bottle, limit),
            None => newest(&connection, bottle, limit),
        }
    }

    /// Returns how a call was resolved.
    pub fn resolved(&self, call: CallId) -> Result<Option<LedgerEntry>, StoreError> {
        let connection = self.connect()?;
        let sql = format!("SELECT {COLUMNS} FROM entries WHERE call = ?1 AND kind <> 'amend'");
        let mut statement = connection.prepare(&sql).map_err(WRAP)?;
        let mut rows = statement.query([call_bytes(call)]).map_err(WRAP)?;
        rows.next().map_err(WRAP)?.map(entry).transpose()
    }

    /// Returns a page of all entries, oldest first, and of what entries were rolled up to.
    ///
    /// Returns `None` where what stands behind `after` was rolled up with what stands before it.
    pub fn export(&self, query: &LedgerExport) -> Result<Option<LedgerEntries>, StoreError> {
        let mut connection = self.connect()?;
        // Both are read of one instant, so that no roll-up falls between.
        let instant = connection.transaction().map_err(WRAP)?;
        let after = query.after.unwrap_or(0);
        if rolled_up::is_within(&instant, after).map_err(WRAP)? {
            return Ok(None);
        }
        let is_asked_for = |at: Timestamp| {
            query.from.is_none_or(|from| at >= from) && query.to.is_none_or(|to| at < to)
        };
        let limit = query.limit.unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX);
        let sql = format!("SELECT {COLUMNS} FROM entries WHERE seq > ?1 ORDER BY seq LIMIT ?2");
        let mut statement = instant.prepare(&sql).map_err(WRAP)?;
        let mut rolled = instant.prepare(rolled_up::AFTER).map_err(WRAP)?;
        let bounds = [count(after), i64::from(SCANNED_MAX) + 1];
        let mut rows = statement.query(bounds).map_err(WRAP)?;
        let mut rolled = rolled.query(bounds).map_err(WRAP)?;
        let mut page = Page::new(limit);
        let mut scanned = 0;
        let mut last = after;
        let (mut one, mut sum) = (rows.next().map_err(WRAP)?, rolled.next().map_err(WRAP)?);
        loop {
            let number = |row: Option<&Row<'_>>| -> Result<u64, StoreError> {
                row.map_or(Ok(u64::MAX), |row| row.get(0).map(to_count).map_err(WRAP))
            };
            let (one_at, sum_at) = (number(one)?, number(sum)?);
            let has_room = match (one, sum) {
                _ if scanned == SCANNED_MAX && one_at.min(sum_at) < u64::MAX => false,
                (Some(row), _) if one_at < sum_at => {
                    let at = Timestamp(row.get(3).map_err(WRAP)?);
                    !is_asked_for(at) || page.put(entry(row)?)?
                }
                (_, Some(row)) => {
                    let row = rolled_up::row(row)?;
                    !is_asked_for(row.hour) || page.put_rolled_up(row)?
                }
                _ => break,
            };
            if !has_room {
                page.more = true;
                break;
            }
            scanned += 1;
            last = one_at.min(sum_at);
            if one_at < sum_at {
                one = rows.next().map_err(WRAP)?;
            } else {
                sum = rolled.next().map_err(WRAP)?;
            }
        }
        Ok(Some(LedgerEntries {
            entries: page.entries,
            rolled_up: page.rolled_up,
            last,
            more: page.more,
        }))
    }
}

fn after_number(
    connection: &Connection,
    after: u64,
    bottle: Option<&BottleName>,
    limit: u32,
) -> Result<LedgerEntries, StoreError> {
    let condition = if bottle.is_some() {
        "bottle = :bottle"
    } else {
        ":bottle IS NULL"
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM entries WHERE {condition} AND seq > :after ORDER BY seq LIMIT :limit"
    );
    let mut statement = connection.prepare(&sql).map_err(WRAP)?;
    let mut rows = statement
        .query(named_params! {
            ":bottle": bottle.map(BottleName::as_str),
            ":after": count(after),
            ":limit": i64::from(limit) + 1,
        })
        .map_err(WRAP)?;
    let mut page = Page::new(limit);
    while let Some(row) = rows.next().map_err(WRAP)? {
        if !page.put(entry(row)?)? {
            page.more = true;
            break;
        }
    }
    Ok(LedgerEntries {
        last: page.entries.last().map_or(after, |entry| entry.seq),
        entries: page.entries,
        rolled_up: Vec::new(),
        more: page.more,
    })
}

/// The newest entries; where none is wanted, only the number of the newest one.
fn newest(
    connection: &Connection,
    bottle: Option<&BottleName>,
    limit: u32,
) -> Result<LedgerEntries, StoreError> {
    // One statement: what is written between two would be left out by who reads on.
    let condition = if bottle.is_some() {
        "bottle = :bottle"
    } else {
        ":bottle IS NULL"
    };
    let sql =
        format!("SELECT {COLUMNS} FROM entries WHERE {condition} ORDER BY seq DESC LIMIT :limit");
    let mut statement = connection.prepare(&sql).map_err(WRAP)?;
    let mut rows = statement
        .query(named_params! {
            ":bottle": bottle.map(BottleName::as_str),
            ":limit": i64::from(limit) + 1,
        })
        .map_err(WRAP)?;
    let mut page = Page::new(limit);
    let mut last = None;
    while let Some(row) = rows.next().map_err(WRAP)? {
        last = last.or(Some(to_count(row.get(0).map_err(WRAP)?)));
        if !page.put(entry(row)?)? {
            page.more = true;
            break;
        }
    }
    page.entries.reverse();
    Ok(LedgerEntries {
        entries: page.entries,
        rolled_up: Vec::new(),
        last: last.unwrap_or(0),
        more: page.more,
    })
}

/// Entries until there are enough of them, or a line has no room for more.
struct Page {
    entries: Vec<LedgerEntry>,
    rolled_up: Vec<RolledUp>,
    room: u32,
    bytes: usize,
    more: bool,
}

impl Page {
    fn new(limit: u32) -> Self {
        Self {
            entries: Vec::new(),
            rolled_up: Vec::new(),
            room: limit,
            bytes: 0,
            more: false,
        }
    }

    /// Takes an entry where there is room; the first one always has it where one is wanted.
    fn put(&mut self, entry: LedgerEntry) -> Result<bool, StoreError> {
        let has_room = self.has_room_for(&entry)?;
        if has_room {
            self.entries.push(entry);
        }
        Ok(has_room)
    }

    fn put_rolled_up(&mut self, row: RolledUp) -> Result<bool, StoreError> {
        let has_room = self.has_room_for(&row)?;
        if has_room {
            self.rolled_up.push(row);
        }
        Ok(has_room)
    }

    fn has_room_for(&mut self, row: &impl Serialize) -> Result<bool, StoreError> {
        let line = serde_json::to_string(row).map_err(|error| StoreError::Row {
            table: "entries",
            what: error.to_string(),
        })?;
        let bytes = self.bytes.saturating_add(line.len() + 1);
        let is_first = self.entries.is_empty() && self.rolled_up.is_empty();
        if self.room == 0 || (bytes > PAGE_BYTES_MAX && !is_first) {
            return Ok(false);
        }
        self.room -= 1;
        self.bytes = bytes;
        Ok(true)
    }
}

fn entry(row: &Row<'_>) -> Result<LedgerEntry, StoreError> {
    let table = "entries";
    let text = |column: usize| row.get::<_, String>(column).map_err(WRAP);
    let number = |column: usize| row.get::<_, i64>(column).map_err(WRAP);
    let stated = |column: usize| row.get::<_, Option<i64>>(column).map_err(WRAP);
    let agent: Option<String> = row.get(7).map_err(WRAP)?;
    Ok(LedgerEntry {
        seq: to_count(number(0)?),
        kind: to_word::<EntryKind>(table, &text(1)?)?,
        call: to_call(row.get(2).map_err(WRAP)?),
        at: Timestamp(number(3)?),
        started_at: Timestamp(number(4)?),
        bottle: parse(table, &text(5)?)?,
        run: to_run(row.get(6).map_err(WRAP)?),
        agent: agent.map(|name| parse(table, &name)).transpose()?,
        provider: parse(table, &text(8)?)?,
        wire: to_word(table, &text(9)?)?,
        model: text(10)?,
        usage: EntryUsage {
            input: stated(11)?,
            cache_read: stated(12)?,
            cache_write: stated(13)?,
            output: stated(14)?,
            reasoning: stated(15)?,
        },
        charge: number(16)?,
        overrun: to_tokens(number(17)?),
        estimated: row.get(18).map_err(WRAP)?,
        ending: to_word(table, &text(19)?)?,
        status: row.get(20).map_err(WRAP)?,
        uid: row.get(21).map_err(WRAP)?,
        why: row.get(22).map_err(WRAP)?,
        capped: stated(23)?.map(to_count),
        unbounded: row.get(24).map_err(WRAP)?,
    })
}
