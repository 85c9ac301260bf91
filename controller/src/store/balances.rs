//! Balances: the sums of the entries.

use bb_core::book::{Account, Balance};
use bb_proto::ids::{ProviderKey, RunId};
use rusqlite::{Connection, params};

use super::StoreError;
use super::convert::{parse, to_tokens, tokens};

const PUT: &str = "
    INSERT INTO balances (account, provider, posted, cache_read) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (account, provider)
    DO UPDATE SET posted = excluded.posted, cache_read = excluded.cache_read";

pub(super) fn put(
    connection: &Connection,
    account: &Account,
    provider: &ProviderKey,
    balance: Balance,
) -> rusqlite::Result<()> {
    connection.prepare_cached(PUT)?.execute(params![
        account.to_string(),
        provider.as_str(),
        tokens(balance.posted),
        tokens(balance.cache_read),
    ])?;
    Ok(())
}

/// Forgets the balances of a run that no budget can count any more; its entries stay.
pub(super) fn forget_run(connection: &Connection, run: RunId) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("DELETE FROM balances WHERE account IN (?1, ?2)")?;
    statement.execute([
        Account::Launch(run).to_string(),
        Account::BottleRun(run).to_string(),
    ])?;
    Ok(())
}

pub(super) fn load(
    connection: &Connection,
) -> Result<Vec<(Account, ProviderKey, Balance)>, StoreError> {
    let wrap = |error| StoreError::new("reading the balances", &error);
    let mut statement = connection
        .prepare("SELECT account, provider, posted, cache_read FROM balances")
        .map_err(wrap)?;
    let mut rows = statement.query([]).map_err(wrap)?;
    let mut balances = Vec::new();
    while let Some(row) = rows.next().map_err(wrap)? {
        let account: String = row.get(0).map_err(wrap)?;
        let provider: String = row.get(1).map_err(wrap)?;
        let balance = Balance {
            posted: to_tokens(row.get(2).map_err(wrap)?),
            cache_read: to_tokens(row.get(3).map_err(wrap)?),
        };
        balances.push((
            parse("balances", &account)?,
            parse("balances", &provider)?,
            balance,
        ));
    }
    Ok(balances)
}
