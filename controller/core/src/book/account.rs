//! Accounts: what was charged to whom, and what is set aside.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::str::FromStr;

use bb_proto::budget::ProviderSelector;
use bb_proto::ids::{AgentName, BottleName, ProviderKey, RunId};
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;

use super::history::{Asides, History};
use super::rate::{MOVES_MS, RECENT_BUCKETS, Recent};
use crate::budget::Path;

/// Whose tokens are counted. Every charge counts on every account of its path, each once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// One run of a bottle, without its descendants.
    Launch(RunId),
    /// An agent's name, over all bottles that run it.
    Agent(AgentName),
    /// A bottle's name, with its descendants, over all runs.
    Bottle(BottleName),
    /// A bottle with its descendants, since this run of it began.
    BottleRun(RunId),
    /// The host.
    Host,
}

impl Account {
    /// Returns the accounts of a path, most specific first.
    pub fn of(path: &Path) -> Vec<Self> {
        let mut accounts = Vec::new();
        accounts.extend(path.run.map(Self::Launch));
        accounts.extend(path.agent.clone().map(Self::Agent));
        for (name, run) in &path.lineage {
            accounts.push(Self::Bottle(name.clone()));
            accounts.extend(run.map(Self::BottleRun));
        }
        accounts.push(Self::Host);
        accounts
    }
}

impl Account {
    /// Returns whether windows of time count on it, so that its charges are kept by time.
    pub fn has_windows(&self) -> bool {
        match self {
            Self::Agent(_) | Self::Bottle(_) | Self::Host => true,
            Self::Launch(_) | Self::BottleRun(_) => false,
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch(run) => write!(f, "launch:{run}"),
            Self::Agent(name) => write!(f, "agent:{name}"),
            Self::Bottle(name) => write!(f, "bottle:{name}"),
            Self::BottleRun(run) => write!(f, "run:{run}"),
            Self::Host => f.write_str("host"),
        }
    }
}

impl FromStr for Account {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no account");
        match text.split_once(':') {
            None if text == "host" => Ok(Self::Host),
            Some(("launch", run)) => run.parse().map(Self::Launch).map_err(|_| wrong()),
            Some(("agent", name)) => AgentName::new(name).map(Self::Agent).map_err(|_| wrong()),
            Some(("bottle", name)) => BottleName::new(name).map(Self::Bottle).map_err(|_| wrong()),
            Some(("run", run)) => run.parse().map(Self::BottleRun).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

/// What is charged to an account at one provider: kept with the entries it is the sum of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Charged so far.
    pub posted: Tokens,
    /// The part of it that is cache reads.
    pub cache_read: Tokens,
}

impl Balance {
    /// Returns the sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            posted: self.posted.plus(other.posted),
            cache_read: self.cache_read.plus(other.cache_read),
        }
    }

    /// Returns the difference, zero where `other` is larger.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            posted: self.posted.minus(other.posted),
            cache_read: self.cache_read.minus(other.cache_read),
        }
    }
}

/// What is set aside at one provider, and what of it has flowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aside {
    /// Reserved for calls that are not resolved: the larger of reservation and flow, of each.
    pub pending: Tokens,
    /// What has flowed of those calls.
    pub flowed: Tokens,
    /// How many calls.
    pub calls: u64,
}

impl Aside {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            pending: self.pending.plus(other.pending),
            flowed: self.flowed.plus(other.flowed),
            calls: self.calls.saturating_add(other.calls),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            pending: self.pending.minus(other.pending),
            flowed: self.flowed.minus(other.flowed),
            calls: self.calls.saturating_sub(other.calls),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Cell {
    balance: Balance,
    asides: Asides,
    recent: Recent,
    history: History,
}

/// What was charged at one time, as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charged {
    /// To whom.
    pub account: Account,
    /// At which provider.
    pub provider: ProviderKey,
    /// When: the beginning of a minute, or of a quarter of an hour.
    pub at: Timestamp,
    /// How much.
    pub charge: Balance,
}

/// The sum of an account over the providers a budget selects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sum {
    /// Charged so far.
    pub balance: Balance,
    /// Set aside.
    pub aside: Aside,
}

/// An account, by provider.
#[derive(Debug, Default)]
struct OfAccount {
    cells: BTreeMap<ProviderKey, Cell>,
    moves_until: Timestamp,
}

/// All accounts.
#[derive(Debug, Default)]
pub struct Accounts {
    of: HashMap<Account, OfAccount>,
    moves_until: Timestamp,
    dirty: BTreeSet<(Account, ProviderKey)>,
}

impl Accounts {
    /// Puts back a balance that was kept.
    pub fn restore(&mut self, account: Account, provider: ProviderKey, balance: Balance) {
        let of_account = self.of.entry(account).or_default();
        of_account.cells.entry(provider).or_default().balance = balance;
    }

    /// Takes the balances that changed since the last time.
    pub fn take_dirty(&mut self) -> Vec<(Account, ProviderKey, Balance)> {
        std::mem::take(&mut self.dirty)
            .into_iter()
            .map(|(account, provider)| {
                let balance = self
                    .cell(&account, &provider)
                    .map(|c| c.balance)
                    .unwrap_or_default();
                (account, provider, balance)
            })
            .collect()
    }

    fn cell(&self, account: &Account, provider: &ProviderKey) -> Option<&Cell> {
        self.of.get(account)?.cells.get(provider)
    }

    fn cell_mut(&mut self, account: &Account, provider: &ProviderKey) -> &mut Cell {
        let of_account = self.of.entry(account.clone()).or_default();
        of_account.cells.entry(provider.clone()).or_default()
    }

    fn selected<'a>(
        &'a self,
        account: &Account,
        selector: &'a ProviderSelector,
    ) -> impl Iterator<Item = &'a Cell> {
        let of_account = self.of.get(account).into_iter();
        of_account
            .flat_map(|of_account| &of_account.cells)
            .filter(move |(provider, _)| selector.matches(provider))
            .map(|(_, cell)| cell)
    }

    /// Puts back what was kept of charges by time, in their order, after the balances.
    ///
    /// What an account was charged besides them was charged before all of them.
    pub fn restore_history(&mut self, charged: &[Charged]) {
        let mut kept: BTreeMap<(&Account, &ProviderKey), Vec<&Charged>> = BTreeMap::new();
        for it in charged {
            kept.entry((&it.account, &it.provider))
                .or_default()
                .push(it);
        }
        for ((account, provider), of_cell) in kept {
            let cell = self.cell_mut(account, provider);
            let all = of_cell.iter().map(|it| it.charge);
            let all = all.fold(Balance::default(), Balance::plus);
            let mut total = cell.balance.minus(all);
            for it in of_cell {
                cell.history.add(it.at, it.charge, total);
                total = total.plus(it.charge);
            }
        }
    }

    /// Returns an account's sum over the providers that are selected.
    pub fn sum(&self, account: &Account, selector: &ProviderSelector) -> Sum {
        let cells = self.selected(account, selector);
        cells.fold(Sum::default(), |sum, cell| Sum {
            balance: sum.balance.plus(cell.balance),
            aside: sum.aside.plus(cell.asides.since(None)),
        })
    }

    /// Returns the same of calls that were reserved from an instant on.
    pub fn sum_since(
        &self,
        account: &Account,
        selector: &ProviderSelector,
        from: Timestamp,
        now: Timestamp,
    ) -> Sum {
        let cells = self.selected(account, selector);
        cells.fold(Sum::default(), |sum, cell| Sum {
            balance: sum
                .balance
                .plus(cell.history.since(from, now, cell.balance)),
            aside: sum.aside.plus(cell.asides.since(Some(from))),
        })
    }

    /// Returns when calls of an account were reserved, those that were charged and those that are
    /// open, as finely as the grain of a window is, in order.
    pub(super) fn called_at(
        &self,
        account: &Account,
        selector: &ProviderSelector,
        grain: i64,
    ) -> Vec<Timestamp> {
        let cells = self.selected(account, selector);
        let times =
            cells.flat_map(|cell| cell.history.times(grain).chain(cell.asides.times(grain)));
        let mut times: Vec<Timestamp> = times.collect();
        times.sort_unstable();
        times
    }

    /// Adds the charge of a call that was reserved at a time.
    pub fn post(
        &mut self,
        account: &Account,
        provider: &ProviderKey,
        charge: Balance,
        at: Timestamp,
    ) {
        let has_windows = account.has_windows();
        let cell = self.cell_mut(account, provider);
        if has_windows {
            cell.history.add(at, charge, cell.balance);
        }
        cell.balance = cell.balance.plus(charge);
        self.dirty.insert((account.clone(), provider.clone()));
    }

    /// Takes back the charge of a call that was reserved at a time, down to zero at most.
    pub fn unpost(
        &mut self,
        account: &Account,
        provider: &ProviderKey,
        charge: Balance,
        at: Timestamp,
    ) {
        let has_windows = account.has_windows();
        let cell = self.cell_mut(account, provider);
        if has_windows {
            cell.history.take_back(at, charge, cell.balance);
        }
        cell.balance = cell.balance.minus(charge);
        self.dirty.insert((account.clone(), provider.clone()));
    }

    /// Sets aside for a call that was reserved at a time.
    pub fn put_aside(
        &mut self,
        account: &Account,
        provider: &ProviderKey,
        aside: Aside,
        at: Timestamp,
    ) {
        self.cell_mut(account, provider).asides.put(at, aside);
    }

    /// Gives back what was set aside for a call that was reserved at a time.
    pub fn give_back(
        &mut self,
        account: &Account,
        provider: &ProviderKey,
        aside: Aside,
        at: Timestamp,
    ) {
        self.cell_mut(account, provider).asides.give_back(at, aside);
    }

    /// Counts tokens into the rate of an account.
    pub fn flow(
        &mut self,
        account: &Account,
        provider: &ProviderKey,
        tokens: Tokens,
        now: Timestamp,
    ) {
        let of_account = self.of.entry(account.clone()).or_default();
        let cell = of_account.cells.entry(provider.clone()).or_default();
        cell.recent.add(tokens, now);
        of_account.moves_until = now.plus(Millis(MOVES_MS));
        self.moves_until = self.moves_until.max(of_account.moves_until);
    }

    /// Forgets the rates: the clock they went by is another now.
    pub(super) fn forget_rates(&mut self, now: Timestamp) {
        for of_account in self.of.values_mut() {
            of_account.moves_until = Timestamp(i64::MIN);
            for cell in of_account.cells.values_mut() {
                cell.recent = Recent::beginning(now);
            }
        }
        self.moves_until = Timestamp(i64::MIN);
    }

    /// Returns whether an account's rate changes by itself as time goes.
    pub fn moves(&self, account: &Account, now: Timestamp) -> bool {
        let of_account = self.of.get(account);
        of_account.is_some_and(|of_account| of_account.moves_until > now)
    }

    /// Returns the accounts whose rate came to rest after an instant, up to `now`, and when the next
    /// one will.
    pub(super) fn at_rest(
        &self,
        after: Timestamp,
        now: Timestamp,
    ) -> (Vec<Account>, Option<Timestamp>) {
        let mut rest = Vec::new();
        let mut next: Option<Timestamp> = None;
        for (account, of_account) in &self.of {
            let until = of_account.moves_until;
            if until > now {
                next = Some(next.map_or(until, |known| known.min(until)));
            } else if until > after {
                rest.push(account.clone());
            }
        }
        (rest, next)
    }

    /// Returns whether any account's rate changes by itself as time goes.
    pub fn any_moves(&self, now: Timestamp) -> bool {
        self.moves_until > now
    }

    /// Returns the charges of the last 20 half minutes, oldest first, the current one last.
    pub fn recent(
        &self,
        account: &Account,
        selector: &ProviderSelector,
        now: Timestamp,
    ) -> [u64; RECENT_BUCKETS] {
        let mut sums = [0_u64; RECENT_BUCKETS];
        for cell in self.selected(account, selector) {
            for (sum, bucket) in sums.iter_mut().zip(cell.recent.by_half_minute(now)) {
                *sum = sum.saturating_add(bucket);
            }
        }
        sums
    }

    /// Forgets an account that nothing can be charged to any more.
    pub fn forget(&mut self, account: &Account) {
        self.of.remove(account);
        self.dirty.retain(|(dirty, _)| dirty != account);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rate::per_minute;
    use super::*;

    fn provider(text: &str) -> ProviderKey {
        ProviderKey::new(text).expect(text)
    }

    fn posted(n: u64) -> Balance {
        Balance {
            posted: Tokens(n),
            cache_read: Tokens(0),
        }
    }

    #[test]
    fn all_is_the_sum_over_the_providers() {
        let mut accounts = Accounts::default();
        let at = Timestamp(0);
        accounts.post(&Account::Host, &provider("claude"), posted(10), at);
        accounts.post(&Account::Host, &provider("codex"), posted(5), at);
        let sum =
            |selector: &ProviderSelector| accounts.sum(&Account::Host, selector).balance.posted;
        assert_eq!(sum(&ProviderSelector::All), Tokens(15));
        assert_eq!(sum(&ProviderSelector::One(provider("codex"))), Tokens(5));
    }

    #[test]
    fn a_rate_forgets_after_a_minute_and_the_chart_after_ten() {
        let mut accounts = Accounts::default();
        let claude = provider("claude");
        accounts.flow(&Account::Host, &claude, Tokens(600), Timestamp(0));
        let at = |ms: i64| {
            let recent = accounts.recent(&Account::Host, &ProviderSelector::All, Timestamp(ms));
            (
                per_minute(&recent, Timestamp(ms)),
                recent.iter().sum::<u64>(),
            )
        };
        assert_eq!(at(10_000), (600, 600));
        assert_eq!(at(59_999), (600, 600));
        assert_eq!(at(75_000), (300, 600));
        assert_eq!(at(95_000), (0, 600));
        assert_eq!(at(600_000), (0, 0));
    }

    #[test]
    fn an_account_is_read_back_as_it_was_written() {
        for text in [
            "host",
            "agent:dev",
            "bottle:日本",
            "run:00000000-0000-0000-0000-000000000001",
        ] {
            assert_eq!(
                text.parse::<Account>().map(|a| a.to_string()),
                Ok(text.to_owned())
            );
        }
        assert!("planet".parse::<Account>().is_err());
    }
}
