//! What entries were rolled up to, as rows of an export.

use bb_proto::reply::{EntryUsage, RolledUp};
use bb_proto::time::Timestamp;
use rusqlite::{Connection, Row};

use super::WRAP;
use crate::store::StoreError;
use crate::store::convert::{count, parse, to_count, to_run, to_tokens};

pub(super) const AFTER: &str = "
    SELECT seq, first, hour, bottle, run, agent, provider, model, calls, estimated, voided, amended,
        input, cache_read, cache_write, output, reasoning, charge, overrun
    FROM rollups WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const IS_WITHIN: &str = "
    SELECT coalesce((SELECT first FROM rolled_up WHERE last > ?1 ORDER BY last LIMIT 1) <= ?1, 0)";

/// Returns whether one transaction rolled up this entry and some after it: the sums of what comes
/// after it alone are not known any more.
pub(super) fn is_within(connection: &Connection, seq: u64) -> rusqlite::Result<bool> {
    connection.query_row(IS_WITHIN, [count(seq)], |row| row.get(0))
}

pub(super) fn row(row: &Row<'_>) -> Result<RolledUp, StoreError> {
    let table = "rollups";
    let text = |column: usize| row.get::<_, String>(column).map_err(WRAP);
    let number = |column: usize| row.get::<_, i64>(column).map_err(WRAP);
    let stated = |column: usize| row.get::<_, Option<i64>>(column).map_err(WRAP);
    let agent: Option<String> = row.get(5).map_err(WRAP)?;
    Ok(RolledUp {
        seq: to_count(number(0)?),
        first: to_count(number(1)?),
        hour: Timestamp(number(2)?),
        bottle: parse(table, &text(3)?)?,
        run: to_run(row.get(4).map_err(WRAP)?),
        agent: agent.map(|name| parse(table, &name)).transpose()?,
        provider: parse(table, &text(6)?)?,
        model: text(7)?,
        calls: to_count(number(8)?),
        estimated: to_count(number(9)?),
        voided: to_count(number(10)?),
        amended: to_count(number(11)?),
        usage: EntryUsage {
            input: stated(12)?,
            cache_read: stated(13)?,
            cache_write: stated(14)?,
            output: stated(15)?,
            reasoning: stated(16)?,
        },
        charge: number(17)?,
        overrun: to_tokens(number(18)?),
    })
}
