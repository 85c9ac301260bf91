//! What the ledger has of a bottle, beside what the provider has.

use anyhow::{Context as _, Result};
use bb_proto::budget::{BudgetKey, ProviderSelector, Scope};
use bb_proto::event::{Event, EventKind};
use bb_proto::home::Home;
use bb_proto::ids::{BottleName, CallId};
use bb_proto::reply::Ending;
use bb_proto::request::{BottleShow, BudgetList, EventsList, UsageBy, UsageQuery};
use bb_proto::usage::{Usage, Wire};
use bb_proto::view::{self, Bottle as BottleView};
use bb_tests::harness::{Bottle, System, call};
use bb_tests::provider::{Call, Provider};
use rusqlite::{Connection, OpenFlags};

/// A call that was resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) id: CallId,
    pub(super) wire: Wire,
    pub(super) model: String,
    pub(super) usage: Usage,
    pub(super) tokens: u64,
    pub(super) is_estimated: bool,
    pub(super) ending: Ending,
    pub(super) status: Option<u16>,
}

/// Returns a bottle's calls as the ledger has them, in the order they were made.
pub(super) async fn charges(system: &System, bottle: &Bottle) -> Result<Vec<Charge>> {
    charges_at(system.home(), &bottle.name).await
}

/// The same of any controller.
pub(super) async fn charges_at(home: &Home, bottle: &BottleName) -> Result<Vec<Charge>> {
    let query = UsageQuery {
        bottle: Some(bottle.clone()),
        by: UsageBy::Call,
        limit: Some(1_000),
        ..UsageQuery::default()
    };
    let usages = call(home, query).await?;
    let mut charges = Vec::new();
    for row in usages.rows {
        let call = row.call.context("a row of a call")?;
        let sum = row.sum;
        let counted = (sum.input, sum.cache_read, sum.cache_write, sum.output);
        let stated = call.usage;
        if call.ending != Ending::Voided {
            let of = |count: Option<u64>| count.unwrap_or(0);
            let said = (
                of(stated.input),
                of(stated.cache_read),
                of(stated.cache_write),
                of(stated.output),
            );
            assert_eq!(counted, said, "the sums of {call:?}");
        }
        charges.push(Charge {
            id: call.id,
            wire: call.wire,
            model: row.model.unwrap_or_default(),
            usage: call.usage,
            tokens: sum.charge.0,
            is_estimated: call.estimated,
            ending: call.ending,
            status: call.status,
        });
    }
    charges.sort_by_key(|charge| charge.id);
    Ok(charges)
}

/// Returns the one call that a bottle made.
pub(super) async fn only_charge(system: &System, bottle: &Bottle) -> Result<Charge> {
    system.settled().await?;
    let mut charges = charges(system, bottle).await?;
    anyhow::ensure!(charges.len() == 1, "not one call: {charges:?}");
    charges.pop().context("one call")
}

/// Returns the one model call that the provider saw.
pub(super) fn only_call(provider: &Provider) -> Call {
    let calls = provider.calls();
    let [call] = calls.as_slice() else {
        panic!("not one call: {calls:?}")
    };
    call.clone()
}

/// Asserts that the ledger has all calls of a bottle, its only client, as the provider stated them.
pub(super) async fn assert_exact(system: &System, bottle: &Bottle, what: &str) -> Result<()> {
    let charges = charges(system, bottle).await?;
    let calls = system.provider.calls();
    assert_eq!(charges.len(), calls.len(), "{what}");
    for (charge, call) in charges.iter().zip(&calls) {
        assert_exact_one(charge, call, what);
    }
    Ok(())
}

/// Asserts that a charge is what the provider stated, to the token.
pub(super) fn assert_exact_one(charge: &Charge, call: &Call, what: &str) {
    let (path, stated) = (&call.request.path, call.answer.stated);
    assert!(stated.total() > 0, "{what}: {path} states nothing");
    assert_eq!(charge.usage, stated, "{what}: {path}");
    assert_eq!(charge.tokens, stated.total(), "{what}: {path}");
    assert_eq!(charge.wire, call.request.wire, "{what}: {path}");
    assert_eq!(charge.model, call.request.model, "{what}: {path}");
    assert!(!charge.is_estimated, "{what}: {path}");
    assert_eq!(charge.ending, Ending::Complete, "{what}: {path}");
}

/// Returns a bottle as it is shown.
pub(super) async fn shown(system: &System, bottle: &Bottle) -> Result<BottleView> {
    let name = bottle.name.clone();
    Ok(system.call(BottleShow { name }).await?.bottle)
}

/// Returns the budget of a scope and a provider, such as `("host", "claude")`.
pub(super) async fn budget(system: &System, scope: &str, provider: &str) -> Result<view::Budget> {
    let budgets = system.call(BudgetList { bottle: None }).await?.budgets;
    let (scope, provider): (Scope, ProviderSelector) = (scope.parse()?, provider.parse()?);
    let found = budgets
        .into_iter()
        .find(|budget| budget.scope == scope && budget.provider == provider);
    found.with_context(|| format!("no budget of {scope} for {provider}"))
}

/// Returns the key of the budget that a bottle was launched with.
pub(super) fn launch_key(bottle: &Bottle, provider: &str) -> Result<BudgetKey> {
    Ok(format!("launch:{}/{provider}/run", bottle.registered.run).parse()?)
}

/// Returns the events of a kind, the oldest first.
pub(super) async fn events(system: &System, kind: EventKind) -> Result<Vec<Event>> {
    let query = EventsList {
        limit: Some(1_000),
        ..EventsList::default()
    };
    let mut events = system.call(query).await?.events;
    events.retain(|event| event.kind == kind);
    events.reverse();
    Ok(events)
}

/// The ledger's file, read past the controller: what is in it survives the controller's end.
#[derive(Debug)]
pub(super) struct File(Connection);

impl File {
    pub(super) fn open(system: &System) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(system.home().database(), flags)?;
        Ok(Self(connection))
    }

    /// Returns how many calls are charged.
    pub(super) fn charged(&self) -> Result<i64> {
        let count = "SELECT count(*) FROM entries WHERE kind = 'settle'";
        Ok(self.0.query_row(count, [], |row| row.get(0))?)
    }

    /// Returns how many calls are open.
    pub(super) fn open_calls(&self) -> Result<i64> {
        let count = "SELECT count(*) FROM open_calls";
        Ok(self.0.query_row(count, [], |row| row.get(0))?)
    }

    /// Keeps everybody from writing until the lock is given back.
    pub(super) fn lock(&self) -> Result<Locked<'_>> {
        self.0.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Locked(&self.0))
    }
}

/// Nobody writes while this is kept.
#[derive(Debug)]
pub(super) struct Locked<'a>(&'a Connection);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0
            .execute_batch("ROLLBACK")
            .expect("a lock that is held can be given back");
    }
}
