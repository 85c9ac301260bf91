//! What must be true, after each step and at each start, by the provider's own count.

use std::collections::BTreeMap;

use bb_core::book::{Account, Balance, Book, Entry};
use bb_core::ledger::Group;
use bb_proto::budget::{ProviderSelector, Scope, Window};
use bb_proto::ids::{CallId, ProviderKey};
use bb_proto::reply::Ending;
use bb_proto::time::Millis;
use bb_proto::units::Tokens;

use super::call::{OTHER, number};
use super::disk::{Mood, Row, Rows};
use super::world::World;

/// A law that does not hold, and what was seen.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) law: &'static str,
    pub(crate) seen: String,
}

/// Fails where a law does not hold.
pub(crate) fn law(
    holds: bool,
    law: &'static str,
    seen: impl FnOnce() -> String,
) -> Result<(), Broken> {
    if holds {
        return Ok(());
    }
    let seen = seen();
    Err(Broken { law, seen })
}

impl World {
    /// Writes a group, and holds what is new of it against the provider's count.
    pub(crate) fn commit(&mut self, group: &Group) -> Result<Result<(), String>, Broken> {
        for (_, entry) in &group.entries {
            self.entry_is_true(entry)?;
            self.count(entry);
        }
        if self.disk.mood == Mood::Slow {
            self.now = self.now.plus(Millis(self.random.number(40_000)));
        }
        let entries = self.disk.rows.entries.len();
        let written = self.disk.write(group, &mut self.random);
        let resolved = self.disk.rows.resolved.len();
        let amended = |row: &&Row| matches!(row, Row::Amended(..));
        if self.disk.rows.entries.len() != entries {
            let amended = self.disk.rows.entries.values().filter(amended).count();
            law(
                self.disk.rows.entries.len() == resolved + amended,
                "nothing is charged twice",
                || format!("{group:?}"),
            )?;
        }
        Ok(written)
    }

    fn entry_is_true(&mut self, entry: &Entry) -> Result<(), Broken> {
        match entry {
            Entry::Settled {
                facts, settlement, ..
            } => {
                let call = facts.call;
                let before = self.disk.rows.resolved.get(&call);
                let before = before.and_then(|seq| self.disk.rows.entries.get(seq));
                let same = before.is_none_or(|row| match row {
                    Row::Settled(_, known) => known == settlement,
                    _ => false,
                });
                law(same, "a call resolves at most once", || {
                    format!("{entry:?} after {before:?}")
                })?;
                let truth = self.provider.billed.get(&call).cloned().unwrap_or_default();
                let billed = Tokens(truth.input + truth.output);
                if !settlement.estimated {
                    return law(
                        truth.complete && settlement.charge == billed,
                        "what is charged as stated is what the provider counted",
                        || format!("{entry:?}, but {truth:?}"),
                    );
                }
                if settlement.ending == Ending::Crash {
                    let open = self.disk.rows.open.get(&call);
                    let least =
                        open.map(|open| open.reservation.reserved.max(open.flowed).max(Tokens(1)));
                    return law(
                        before.is_some() || least.is_some_and(|least| settlement.charge >= least),
                        "what was open is charged what was set aside and what flowed at least",
                        || format!("{entry:?} of {open:?}"),
                    );
                }
                law(
                    settlement.charge > Tokens(truth.input),
                    "an estimate has what the provider stated at least",
                    || format!("{entry:?}, but {truth:?}"),
                )
            }
            Entry::Voided { facts, .. } => law(
                !self.provider.bills(facts.call),
                "only what was surely not billed is taken back",
                || format!("{entry:?}"),
            ),
            _ => Ok(()),
        }
    }

    /// A charge that was acknowledged survives the power.
    pub(crate) fn is_charged_for_good(&self, call: CallId) -> Result<(), Broken> {
        let rows = &self.disk.durable;
        law(
            charge_of(rows, call).is_some(),
            "a client that saw the end was charged",
            || format!("call {} is not on disk", number(call)),
        )
    }

    /// What is left after a crash has all that anybody was told of.
    pub(crate) fn nothing_said_is_lost(&mut self, lost_power: bool) -> Result<(), Broken> {
        self.answered_orders_stand()?;
        let rows = &self.disk.rows;
        balances_are_sums(rows)?;
        for (call, truth) in &mut self.provider.billed {
            let charge = charge_of(rows, *call);
            if truth.end_shown {
                law(
                    charge.is_some(),
                    "a client that saw the end was charged",
                    || format!("call {} is not on disk: {truth:?}", number(*call)),
                )?;
            }
            if let Some(acknowledged) = truth.acknowledged {
                let stands = charge == Some(acknowledged)
                    // A correction that is on disk, of which nobody could be told any more.
                    || truth.complete && charge == Some(Tokens(truth.input + truth.output));
                law(stands, "an acknowledged charge stands", || {
                    format!("call {} has {charge:?}, but {truth:?}", number(*call))
                })?;
            }
            let is_kept = charge.is_some() || rows.open.contains_key(call);
            // What other models used is known at the end of the call alone.
            let is_other = number(*call) >= OTHER;
            truth.lost_with_the_power |= !is_kept && lost_power && truth.acknowledged.is_none();
            law(
                is_kept || truth.lost_with_the_power || is_other,
                "what was forwarded is charged, or set aside until it is",
                || format!("call {}: {truth:?}", number(*call)),
            )?;
        }
        Ok(())
    }

    /// After a start nothing is open, and everything is counted that is on disk.
    pub(crate) fn after_a_start(&mut self) -> Result<(), Broken> {
        let rows = &self.disk.rows;
        law(rows.open.is_empty(), "at a start all is resolved", || {
            format!("{:?}", rows.open)
        })?;
        balances_are_sums(rows)?;
        let acknowledged = self.provider.billed.iter().filter_map(|(call, truth)| {
            // A correction may be on disk of which nobody could be told any more.
            let corrected = charge_of(rows, *call).unwrap_or(truth.acknowledged?);
            Some(corrected.min(truth.acknowledged?).0)
        });
        let acknowledged: u64 = acknowledged.sum();
        let posted = self.host(&ProviderSelector::All).posted;
        law(
            posted.0 >= acknowledged,
            "a start takes nothing off a balance",
            || format!("{posted} posted, {acknowledged} acknowledged"),
        )
    }

    fn host(&self, of: &ProviderSelector) -> Balance {
        let owner = self.owner.as_ref();
        let balance = |book: &Book| book.accounts().sum(&Account::Host, of).balance;
        owner.map_or(Balance::default(), |owner| balance(owner.ledger.book()))
    }

    /// Between two rounds the book knows of no call that nobody knows of, and what is written is
    /// what it has in memory.
    pub(crate) fn at_rest(&mut self) -> Result<(), Broken> {
        let (waiting, held) = self.told();
        let Some(owner) = &self.owner else {
            return Ok(());
        };
        let book = owner.ledger.book();
        let (waits, open) = (book.waiting_calls(), book.open_calls());
        self.counts.waited += waits;
        law(open == held, "no reservation outlives its call", || {
            format!("{open} are open, {held} calls hold one")
        })?;
        law(waits == waiting, "nobody waits for nobody", || {
            format!("{waits} wait in the book, {waiting} calls do")
        })?;
        let pending = self.pending();
        law(
            held > 0 || pending == 0,
            "what is set aside is given back",
            || format!("{pending} are set aside for nobody"),
        )?;
        if !owner.ledger.unwritten().is_empty() {
            return Ok(());
        }
        for provider in ["claude", "codex"] {
            let key: ProviderKey = provider.parse().expect("a name");
            let kept = self.disk.rows.balances.get(&(Account::Host, key.clone()));
            let kept = kept.copied().unwrap_or_default();
            let posted = self.host(&ProviderSelector::One(key));
            law(posted == kept, "memory is what is written", || {
                format!("{posted:?} in memory, {kept:?} on disk")
            })?;
        }
        if self.random.one_in(30) {
            self.a_restored_book_is_the_same()?;
        }
        if self.random.one_in(5) {
            self.windows_turn_in_time()?;
        }
        Ok(())
    }

    /// A window of time counts what was reserved in it: all of it until it is over, and nothing of
    /// what was before.
    fn windows_turn_in_time(&mut self) -> Result<(), Broken> {
        let Some(owner) = &self.owner else {
            return Ok(());
        };
        let (book, now) = (owner.ledger.book(), owner.latest);
        for budget in book.budgets().iter() {
            let key = budget.key();
            let account = match &key.scope {
                Scope::Agent(agent) => Account::Agent(agent.clone()),
                Scope::Bottle(bottle) => Account::Bottle(bottle.clone()),
                Scope::Host => Account::Host,
                Scope::Launch(_) => continue,
            };
            let Some(from) = window_from(key.window, now.0) else {
                continue;
            };
            if self.reset.contains(key) {
                continue;
            }
            let charged = self.disk.rows.entries.values().map(|row| {
                let facts = row.facts();
                let counts = facts.started_at.0 >= from
                    && facts.accounts.contains(&account)
                    && key.provider.matches(&facts.provider);
                match row {
                    Row::Settled(_, settlement) if counts => signed(settlement.charge),
                    Row::Amended(_, before, after) if counts => {
                        signed(after.charge) - signed(before.charge)
                    }
                    _ => 0,
                }
            });
            let (counted, charged) = (book.budget_view_of(key, now), charged.sum::<i64>());
            let counted = counted.map_or(0, |view| signed(view.used));
            let seen = || format!("{key} has {counted} at {}, {charged} were charged", now.0);
            law(counted >= charged, "no window turns early", seen)?;
            law(counted <= charged, "no window turns late", seen)?;
            self.counts.windows += usize::from(charged > 0);
        }
        Ok(())
    }

    fn a_restored_book_is_the_same(&self) -> Result<(), Broken> {
        let Some(owner) = &self.owner else {
            return Ok(());
        };
        let book = owner.ledger.book();
        let again = Book::restore(self.disk.rows.saved(), self.rules(), self.now);
        let said = |book: &Book| {
            let bottles = book.bottles().iter().cloned().map(|mut bottle| {
                bottle.refusals = 0;
                bottle
            });
            let budgets: Vec<_> = book.budgets().iter().cloned().collect();
            (bottles.collect::<Vec<_>>(), budgets, book.open_calls())
        };
        law(
            said(book) == said(&again),
            "a restored book is the one that was written",
            || format!("{:?}\n{:?}", said(book), said(&again)),
        )?;
        for ((account, provider), kept) in &self.disk.rows.balances {
            if !self.disk.rows.is_live(account) {
                continue;
            }
            let of = ProviderSelector::One(provider.clone());
            let balance = book.accounts().sum(account, &of).balance;
            law(balance == *kept, "memory is what is written", || {
                format!("{account} at {provider}: {balance:?}, on disk {kept:?}")
            })?;
        }
        Ok(())
    }

    /// At the very end every call that the provider bills was charged once.
    pub(crate) fn all_is_charged(&mut self) -> Result<(), Broken> {
        let rows = &self.disk.rows;
        law(rows.open.is_empty(), "at the end all is resolved", || {
            format!("{:?}", rows.open)
        })?;
        for (call, truth) in &self.provider.billed {
            let charge = charge_of(rows, *call);
            let is_other = number(*call) >= OTHER;
            law(
                charge.is_some() || truth.lost_with_the_power || is_other,
                "what the provider bills is charged",
                || format!("call {}: {truth:?}", number(*call)),
            )?;
        }
        balances_are_sums(rows)
    }
}

/// Returns from when a window counts that has charges of some time only; of a block that depends on
/// its first call.
fn window_from(window: Window, now: i64) -> Option<i64> {
    let floor = |at: i64, grain: i64| at - at.rem_euclid(grain);
    match window {
        Window::Hour => Some(floor(now, 3_600_000)),
        Window::Day(_) => Some(floor(now, 86_400_000)),
        Window::Rolling(length) => Some(floor(now - i64::from(length.get()) * 60_000, 60_000)),
        _ => None,
    }
}

fn signed(tokens: Tokens) -> i64 {
    i64::try_from(tokens.0).expect("few")
}

/// Returns what a call was charged, with its corrections.
fn charge_of(rows: &Rows, call: CallId) -> Option<Tokens> {
    let row = rows.entries.get(rows.resolved.get(&call)?)?;
    let Row::Settled(_, settlement) = row else {
        return None;
    };
    let mut later = rows.entries.values().rev();
    let amended = later.find_map(|row| match row {
        Row::Amended(facts, _, after) if facts.call == call => Some(after.charge),
        _ => None,
    });
    Some(amended.unwrap_or(settlement.charge))
}

/// Each balance is the sum of the entries that count on its account, and each has its balance.
fn balances_are_sums(rows: &Rows) -> Result<(), Broken> {
    let mut sums: BTreeMap<(Account, ProviderKey), (u64, u64)> = BTreeMap::new();
    for row in rows.entries.values() {
        let facts = row.facts();
        for account in facts
            .accounts
            .iter()
            .filter(|account| rows.is_live(account))
        {
            let sum = sums
                .entry((account.clone(), facts.provider.clone()))
                .or_default();
            match row {
                Row::Settled(_, settlement) => {
                    sum.0 += settlement.charge.0;
                    sum.1 += settlement.cache_read.0;
                }
                Row::Amended(_, before, after) => {
                    sum.0 = sum.0 + after.charge.0 - before.charge.0;
                    sum.1 = sum.1 + after.cache_read.0 - before.cache_read.0;
                }
                Row::Voided(_) => {}
            }
        }
    }
    for (key, (posted, cache_read)) in &sums {
        let kept = rows.balances.get(key).copied().unwrap_or_default();
        law(
            (kept.posted.0, kept.cache_read.0) == (*posted, *cache_read),
            "balances are the sums of the entries",
            || format!("{key:?} is {kept:?}, the entries sum to {posted} and {cache_read}"),
        )?;
    }
    for (key, kept) in &rows.balances {
        let is_known = sums.contains_key(key) || !rows.is_live(&key.0);
        law(
            is_known || *kept == Balance::default(),
            "balances are the sums of the entries",
            || format!("{key:?} is {kept:?} without an entry"),
        )?;
    }
    Ok(())
}
