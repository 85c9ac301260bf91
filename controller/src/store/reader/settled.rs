//! One call that was settled, as its entries say all in all.

use bb_core::book::{CallFacts, Settlement, Terms};
use bb_proto::ids::{AgentName, CallId};
use bb_proto::time::Timestamp;
use bb_proto::usage::Usage;
use rusqlite::{OptionalExtension as _, params};

use super::Reader;
use crate::store::StoreError;
use crate::store::convert::{call_bytes, parse, to_count, to_json, to_run, to_tokens, to_word};

/// The call's first entry with the sums of all of them, and the accounts that it counts on.
const SETTLED: &str = "
    SELECT first.bottle, first.run, first.agent, first.provider, first.model, first.wire,
        first.started_at, first.ending, first.status,
        (SELECT accounts FROM paths WHERE run = first.run AND seq <= first.seq
            ORDER BY seq DESC LIMIT 1),
        (SELECT estimated FROM entries AS last WHERE last.call = first.call
            ORDER BY seq DESC LIMIT 1),
        sum(every.charge), sum(every.input), sum(every.cache_read), sum(every.cache_write),
        sum(every.output), sum(every.reasoning), first.at
    FROM entries AS first JOIN (
        SELECT call, charge, input, cache_read, cache_write, output, reasoning FROM entries
            WHERE call = ?1 AND kind <> 'amend'
        UNION ALL
        SELECT call, charge, input, cache_read, cache_write, output, reasoning FROM entries
            WHERE call = ?1 AND kind = 'amend') AS every
    WHERE first.call = ?1 AND first.kind <> 'amend' AND first.kind = 'settle'
    GROUP BY first.seq";

impl Reader {
    /// Returns a call that was charged, how, and when first; `None` where none of that id was.
    pub fn settled(
        &self,
        call: CallId,
    ) -> Result<Option<(CallFacts, Settlement, Timestamp)>, StoreError> {
        let wrap = |error| StoreError::new("reading a call", &error);
        let connection = self.connect()?;
        let mut statement = connection.prepare(SETTLED).map_err(wrap)?;
        let read = |row: &rusqlite::Row<'_>| {
            let count = |column: usize| {
                let number = row.get::<_, Option<i64>>(column)?;
                Ok::<_, rusqlite::Error>(number.map(to_count))
            };
            Ok((
                [0, 3, 4, 5, 7].map(|column| row.get::<_, String>(column)),
                row.get::<_, [u8; 16]>(1)?,
                row.get::<_, Option<String>>(2)?,
                Timestamp(row.get(6)?),
                row.get::<_, Option<u16>>(8)?,
                row.get::<_, Option<String>>(9)?,
                row.get::<_, bool>(10)?,
                row.get::<_, i64>(11)?,
                Usage {
                    input: count(12)?,
                    cache_read: count(13)?,
                    cache_write: count(14)?,
                    output: count(15)?,
                    reasoning: count(16)?,
                },
                Timestamp(row.get(17)?),
            ))
        };
        let found = statement
            .query_row(params![call_bytes(call)], read)
            .optional()
            .map_err(wrap)?;
        let Some((words, run, agent, started_at, status, accounts, estimated, charge, usage, at)) =
            found
        else {
            return Ok(None);
        };
        let [bottle, provider, model, wire, ending] = words;
        let table = "entries";
        let agent: Option<AgentName> = agent.map(|name| parse(table, &name)).transpose()?;
        // Of calls from before any list was kept nobody knows where they count.
        let Some(accounts) = accounts else {
            return Ok(None);
        };
        let accounts: Vec<String> = to_json("paths", &accounts)?;
        let facts = CallFacts {
            call,
            bottle: parse(table, &bottle.map_err(wrap)?)?,
            run: to_run(run),
            agent,
            provider: parse(table, &provider.map_err(wrap)?)?,
            model: model.map_err(wrap)?,
            wire: to_word(table, &wire.map_err(wrap)?)?,
            started_at,
            accounts: accounts
                .iter()
                .map(|account| parse("paths", account))
                .collect::<Result<_, _>>()?,
            // On which terms it was admitted stands in its first entry.
            terms: Terms::Estimate,
        };
        let settlement = Settlement {
            usage,
            charge: to_tokens(charge),
            cache_read: to_tokens(i64::try_from(usage.cache_read.unwrap_or(0)).unwrap_or(i64::MAX)),
            estimated,
            ending: to_word(table, &ending.map_err(wrap)?)?,
            status,
        };
        Ok(Some((facts, settlement, at)))
    }
}
