//! Entries of calls that are kept one by one no longer: rolled up to hours.
//!
//! A roll-up is written in the transaction that takes away the entries it stands for, so that
//! every sum is the same before, in the midst and after. They are rolled up from the oldest on,
//! without a gap; a correction by the operator stays as it is, with who made it and why.

use std::ops::RangeInclusive;

use bb_proto::time::Timestamp;
use rusqlite::{Connection, params};

use super::{Store, StoreError};

/// How many entries one transaction rolls up at most: a call that comes meanwhile waits for it.
pub const ROLL_UP_ENTRIES_MAX: u32 = 128;

/// The oldest entries that are not rolled up, as many as one transaction takes.
const NEXT: &str = "
    SELECT seq, at FROM entries
    WHERE seq > (SELECT coalesce(max(last), 0) FROM rolled_up) ORDER BY seq LIMIT ?1";
const ROLL_UP: &str = "
    INSERT INTO rollups (seq, first, hour, bottle, run, agent, provider, model, path, calls,
        voided, amended, estimated, input, cache_read, cache_write, output, reasoning, charge,
        overrun)
    SELECT max(seq), min(seq), at - at % 3600000, bottle, run, agent, provider, model,
        CASE WHEN seq <= (SELECT coalesce(max(seq), 0) FROM opened_after) THEN 0
             ELSE (SELECT list.seq FROM paths AS list
                   WHERE list.run = entries.run AND list.seq <= entries.seq
                   ORDER BY list.seq DESC LIMIT 1) END,
        count(*) FILTER (WHERE kind = 'settle'), count(*) FILTER (WHERE kind = 'void'),
        count(*) FILTER (WHERE kind = 'amend'),
        count(*) FILTER (WHERE kind = 'settle' AND estimated AND NOT EXISTS (
            SELECT 1 FROM entries AS later
            WHERE later.call = entries.call AND later.kind = 'amend' AND NOT later.estimated)),
        sum(input), sum(cache_read), sum(cache_write), sum(output), sum(reasoning), sum(charge),
        sum(overrun)
    FROM entries WHERE seq BETWEEN ?1 AND ?2 AND kind IN ('settle', 'void', 'amend')
        AND uid IS NULL
    GROUP BY 3, 4, 5, 6, 7, 8, 9";
const TAKE_AWAY: &str = "
    DELETE FROM entries WHERE seq BETWEEN ?1 AND ?2 AND kind IN ('settle', 'void', 'amend')
        AND uid IS NULL";
const NOTE: &str = "INSERT INTO rolled_up (last, first, entries) VALUES (?2, ?1, ?3)";

/// What one transaction rolled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolledUp {
    /// Entries that are gone.
    pub entries: u32,
    /// Whether there may be more that are as old.
    pub more: bool,
}

impl Store {
    /// Rolls up some of the entries that were made before an instant, the oldest first. One that
    /// says it was made after `now` was made by a wrong clock, and holds none up that follow it.
    ///
    /// Nothing is waited for: where power is lost, the entries are there again and the roll-up is
    /// not.
    pub fn roll_up(&mut self, before: Timestamp, now: Timestamp) -> Result<RolledUp, StoreError> {
        self.roll_up_some(before, now)
            .map_err(|error| StoreError::new("rolling up entries", &error))
    }

    fn roll_up_some(&mut self, before: Timestamp, now: Timestamp) -> rusqlite::Result<RolledUp> {
        let kept = before.0..=now.0;
        let Some((first, last, more)) = next(&self.connection, &kept)? else {
            return Ok(RolledUp {
                entries: 0,
                more: false,
            });
        };
        self.set_synced(false)?;
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached(ROLL_UP)?
            .execute([first, last])?;
        let entries = transaction
            .prepare_cached(TAKE_AWAY)?
            .execute([first, last])?;
        let entries = u32::try_from(entries).unwrap_or(u32::MAX);
        transaction
            .prepare_cached(NOTE)?
            .execute(params![first, last, entries])?;
        transaction.commit()?;
        Ok(RolledUp { entries, more })
    }
}

/// Returns the first and the last of the entries to roll up now, and whether there may be more.
fn next(
    connection: &Connection,
    kept: &RangeInclusive<i64>,
) -> rusqlite::Result<Option<(i64, i64, bool)>> {
    let mut statement = connection.prepare_cached(NEXT)?;
    let mut rows = statement.query([ROLL_UP_ENTRIES_MAX])?;
    let (mut range, mut found): (Option<(i64, i64)>, u32) = (None, 0);
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        if kept.contains(&row.get(1)?) {
            return Ok(range.map(|(first, last)| (first, last, false)));
        }
        range = Some((range.map_or(seq, |(first, _)| first), seq));
        found += 1;
    }
    Ok(range.map(|(first, last)| (first, last, found == ROLL_UP_ENTRIES_MAX)))
}
