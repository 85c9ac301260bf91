//! What was charged to whom when: written with the entries, folded and forgotten as it grows old.

use std::collections::BTreeMap;

use bb_core::book::history::{MINUTE_MS, MINUTES_KEPT_MS, QUARTER_MS, QUARTERS_KEPT_MS};
use bb_core::book::{Account, Balance, CallFacts, Charged};
use bb_proto::ids::ProviderKey;
use bb_proto::time::Timestamp;
use rusqlite::{Connection, params};

use super::StoreError;
use super::convert::{parse, to_tokens, tokens};

const ADD: &str = "
    INSERT INTO charged (account, provider, at, posted, cache_read) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (account, provider, at)
    DO UPDATE SET posted = posted + excluded.posted, cache_read = cache_read + excluded.cache_read";
const FOLD: &str = "
    INSERT INTO charged (account, provider, at, posted, cache_read)
    SELECT account, provider, at - at % ?1, sum(posted), sum(cache_read) FROM charged
    WHERE at < ?2 AND at % ?1 <> 0 GROUP BY 1, 2, 3
    ON CONFLICT (account, provider, at)
    DO UPDATE SET posted = posted + excluded.posted, cache_read = cache_read + excluded.cache_read";
const DROP_FOLDED: &str = "DELETE FROM charged WHERE at < ?2 AND at % ?1 <> 0";
const FORGET: &str = "DELETE FROM charged WHERE at < ?1";

/// What the entries of one transaction charge, by account, provider and minute, as differences.
#[derive(Debug, Default)]
pub(super) struct Changes(BTreeMap<(Account, ProviderKey, i64), (i64, i64)>);

impl Changes {
    /// Adds what an entry of a call charges, and takes off what it charged before.
    pub(super) fn add(&mut self, facts: &CallFacts, charge: Balance, before: Balance) {
        let minute = facts.started_at.0 - facts.started_at.0.rem_euclid(MINUTE_MS);
        for account in facts
            .accounts
            .iter()
            .filter(|account| account.has_windows())
        {
            let key = (account.clone(), facts.provider.clone(), minute);
            let (posted, cache_read) = self.0.entry(key).or_default();
            *posted += tokens(charge.posted) - tokens(before.posted);
            *cache_read += tokens(charge.cache_read) - tokens(before.cache_read);
        }
    }

    /// Writes them down.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(ADD)?;
        for ((account, provider, at), (posted, cache_read)) in &self.0 {
            statement.execute(params![
                account.to_string(),
                provider.as_str(),
                at,
                posted,
                cache_read
            ])?;
        }
        Ok(())
    }
}

/// Folds minutes that are more than a day old into quarters of an hour, and forgets what no window
/// looks back on.
pub(super) fn fold(connection: &mut Connection, now: Timestamp) -> rusqlite::Result<()> {
    // A whole quarter at a time, so that none is in part by minutes.
    let minutes_from = now.0 - MINUTES_KEPT_MS;
    let minutes_from = minutes_from - minutes_from.rem_euclid(QUARTER_MS);
    let transaction = connection.transaction()?;
    transaction
        .prepare_cached(FOLD)?
        .execute([QUARTER_MS, minutes_from])?;
    transaction
        .prepare_cached(DROP_FOLDED)?
        .execute([QUARTER_MS, minutes_from])?;
    transaction
        .prepare_cached(FORGET)?
        .execute([now.0 - QUARTERS_KEPT_MS])?;
    transaction.commit()
}

pub(super) fn load(connection: &Connection) -> Result<Vec<Charged>, StoreError> {
    const LOAD: &str = "
        SELECT account, provider, at, posted, cache_read FROM charged ORDER BY account, provider, at";
    let wrap = |error| StoreError::new("reading what was charged when", &error);
    let mut statement = connection.prepare(LOAD).map_err(wrap)?;
    let mut rows = statement.query([]).map_err(wrap)?;
    let mut charged: Vec<Charged> = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let account = row.get_ref(0).map_err(wrap)?;
        let provider = row.get_ref(1).map_err(wrap)?;
        let text = |value: rusqlite::types::ValueRef<'_>| {
            let text = value.as_str().map(str::to_owned);
            text.map_err(|error| StoreError::Row {
                table: "charged",
                what: error.to_string(),
            })
        };
        charged.push(Charged {
            account: parse("charged", &text(account)?)?,
            provider: parse("charged", &text(provider)?)?,
            at: Timestamp(row.get(2).map_err(wrap)?),
            charge: Balance {
                posted: to_tokens(row.get(3).map_err(wrap)?),
                cache_read: to_tokens(row.get(4).map_err(wrap)?),
            },
        });
    }
    Ok(charged)
}
