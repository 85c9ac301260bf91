//! A book put together from what was written is the one that wrote it.

use std::collections::BTreeMap;

use bb_proto::budget::ProviderSelector;
use bb_proto::ids::ProviderKey;
use bb_proto::units::Tokens;

use super::args::parse;
use super::stage::Stage;
use crate::book::{Account, Book};
use crate::bottle::Bottle;

/// Asserts that nothing of the book is lost over a restart, but what is kept in memory only: the
/// calls that wait, refusals since a bottle was last written, rates, and what flowed since the
/// last mark.
pub(super) fn assert_same(stage: &Stage) {
    let restored = stage.restored();
    let book = &stage.book;
    assert_eq!(restored.next_event, book.next_event);
    assert_eq!(bottles(&restored), bottles(book));
    assert_eq!(restored.bottles.declared(), book.bottles.declared());
    assert_eq!(budgets(&restored), budgets(book));
    assert_eq!(bindings(&restored), bindings(book));
    for ((account, provider), aside) in marked(stage) {
        let selector = ProviderSelector::One(provider);
        let sum = |book: &Book| book.accounts.sum(&account, &selector);
        assert_eq!(
            sum(&restored).balance,
            sum(book).balance,
            "{account} at {selector}"
        );
        let put_back = sum(&restored).aside;
        assert_eq!(
            (put_back.pending, put_back.calls),
            aside,
            "set aside: {account} at {selector}"
        );
    }
}

fn bottles(book: &Book) -> Vec<Bottle> {
    let bottles = book.bottles.iter().cloned();
    bottles
        .map(|bottle| Bottle {
            refusals: 0,
            ..bottle
        })
        .collect()
}

fn budgets(book: &Book) -> Vec<String> {
    let spent = |budget: &crate::budget::Budget| {
        book.sum_of(budget.key()).balance.posted >= budget.limit()
            && book.exhausted.contains_key(budget.key())
    };
    let warned = |budget: &crate::budget::Budget| {
        book.warned
            .get(budget.key())
            .filter(|levels| !levels.is_empty())
    };
    let budgets = book.budgets.iter();
    budgets
        .map(|b| format!("{b:?} warned {:?} spent {}", warned(b), spent(b)))
        .collect()
}

fn bindings(book: &Book) -> Vec<String> {
    let providers = ["claude", "codex"].map(parse::<ProviderKey>);
    let mut bindings = Vec::new();
    for bottle in book.bottles.iter() {
        for provider in &providers {
            let path = book.bottles.path(&bottle.name);
            let keys = path.binding(&book.budgets, provider);
            let keys: Vec<String> = keys.iter().map(|b| b.key().to_string()).collect();
            bindings.push(format!("{} {provider} {keys:?}", bottle.name));
        }
    }
    bindings
}

type Pending = BTreeMap<(Account, ProviderKey), (Tokens, u64)>;

/// Returns what the calls that are open have set aside, by their last marks.
fn marked(stage: &Stage) -> Pending {
    let balances = stage.kept.balances.keys().cloned();
    let mut marked: Pending = balances.map(|key| (key, Default::default())).collect();
    for open in stage.kept.open.values() {
        let facts = &open.reservation.facts;
        let aside = open.reservation.reserved.max(open.flowed);
        for account in &facts.accounts {
            let cell = marked
                .entry((account.clone(), facts.provider.clone()))
                .or_default();
            *cell = (cell.0.plus(aside), cell.1.saturating_add(1));
        }
    }
    marked
}
