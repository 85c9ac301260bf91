//! A book put together from what was written is the one that wrote it.

use std::collections::BTreeMap;

use bb_proto::budget::{ProviderSelector, Window};
use bb_proto::ids::ProviderKey;
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;

use super::args::parse;
use super::script::check;
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
            // How far a rolling window has fallen below a level is not written down.
            .filter(|_| !matches!(budget.key().window, Window::Rolling(_)))
            .filter(|levels| !levels.is_empty())
    };
    let budgets = book.budgets.iter();
    budgets
        .map(|b| {
            let (warned, sum) = (warned(b), book.sum_of(b.key()).balance);
            format!("{b:?} warned {warned:?} spent {} {sum:?}", spent(b))
        })
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
        for account in stage.book.live(&facts.accounts) {
            let cell = marked
                .entry((account.clone(), facts.provider.clone()))
                .or_default();
            *cell = (cell.0.plus(aside), cell.1.saturating_add(1));
        }
    }
    marked
}

#[test]
fn calls_that_were_open_are_charged_the_larger_of_their_last_mark_and_their_reservation() {
    check(
        "
        settings host/claude 1000
        launch web
        reserve 1 web claude 40+10
        reserve 2 web claude 40+10
        flow 2 40+80               => 2 marked 120
        flow 2 40+90               =>                         | host 0+180
        reserve 3 web claude 40+10
        flow 3 40+1                => 3 marked 41
        restart                                               | host 0+220
        recover                    => 3 charged; 1 charged ~50; 2 charged ~120 over 70
                                   => 3 charged ~50           | host 220+0, launch:web 220+0
        settle 1 40+10             => 1 already               | host 220+0
        recover                    => 0 charged
        ",
    );
}

#[test]
fn a_call_for_which_nothing_was_set_aside_is_charged_what_was_sent() {
    check(
        "
        settings gate off; host/claude 60
        launch web
        reserve 1 web claude 40+10 => 1 admitted 0
        reserve 2 web codex 30+10  => 2 admitted 0
        restart
        recover                    => 2 charged; 1 charged ~40 over 40; 2 charged ~30 over 30
        ",
    );
}

#[test]
fn what_was_open_at_a_crash_may_spend_a_budget() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 40+10
        reserve 2 api claude 40+10
        reserve 3 api claude 1+1   => 3 waits
        restart
        recover                    => 2 charged; 1 charged ~50; 2 charged ~50; host/claude spent
                                   => web closed: claude by host/claude
                                   => api closed: claude by host/claude
        reserve 3 api claude 1+1   => 3 refused by host/claude 100/100; api refusals noted: 1
        ",
    );
}

#[test]
fn a_budget_is_spent_since_it_first_closed_a_way_also_after_a_restart() {
    let mut stage = Stage::default();
    for line in [
        "settings host/claude 100",
        "launch web",
        "reserve 1 web claude 50+50",
        "wait 20",
        "settle 1 50+50",
        "wait 20",
        "restart",
    ] {
        stage.run(line);
    }
    let key = parse("host/claude/total");
    let budget = stage.book.budget_view_of(&key, stage.now);
    assert_eq!(
        budget.and_then(|budget| budget.exhausted_since),
        Some(Timestamp(20_000))
    );
}

#[test]
fn everything_the_operator_and_the_budgets_said_stands_after_a_restart() {
    check(
        "
        settings host/claude 100 warn=50; bottle:web/codex 10; bottle web parents=base agent=dev
        launch web budget=gemini:70
        launch api
        set bottle:api/claude 80
        raise bottle:api/claude 5
        raise launch:web/gemini 5
        reserve 1 web claude 60+0
        settle 1 60+0              => 1 charged 60; host/claude warned 50
        reserve 2 web codex 11+0   => 2 refused by bottle:web/codex 0/10; bottle:web/codex spent
                                   => web closed: codex by bottle:web/codex; web refusals noted: 1
        cutoff api
        restart
        show web                   => cutoff; codex by bottle:web/codex
                                   => claude bound by host/claude; codex bound by bottle:web/codex
                                   => gemini bound by launch/gemini
        show api                   => cutoff; all by operator; claude bound by bottle:api/claude
        budget bottle:api/claude   => 0 of 85, from command
        budget host/claude         => 60 of 100, from settings, warned [50]
        settings host/claude 100 warn=50; bottle:web/codex 10; bottle web parents=base agent=dev
                                   =>
        raise bottle:web/codex 1   => done, was 10, opens web; web open: codex by bottle:web/codex
        reserve 3 web claude 30+20 => 3 admitted 40           | bottle:base 60+40, agent:dev 60+40
        ",
    );
}
