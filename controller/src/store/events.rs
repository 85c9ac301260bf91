//! What happened.

use bb_proto::event::Event;
use bb_proto::ids::BottleName;
use rusqlite::{Connection, params};

use super::StoreError;
use super::convert::{count, json, to_count, word};

const PUT: &str = "
    INSERT OR IGNORE INTO events (seq, at, kind, bottle, body) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) fn put(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    connection.prepare_cached(PUT)?.execute(params![
        count(event.seq),
        event.at.0,
        word(&event.kind)?,
        event.bottle.as_ref().map(BottleName::as_str),
        json(event)?,
    ])?;
    Ok(())
}

/// Returns the number of the next event; the first one is 1.
pub(super) fn next(connection: &Connection) -> Result<u64, StoreError> {
    connection
        .query_row("SELECT 1 + coalesce(max(seq), 0) FROM events", [], |r| {
            r.get(0).map(to_count)
        })
        .map_err(|error| StoreError::new("reading the number of the next event", &error))
}
