//! On what terms calls were admitted, kept over a restart.

use bb_core::book::{CallFacts, Entry, Reservation, Terms};
use bb_core::estimate::{Estimate, InputSize};
use bb_proto::ids::{CallId, RunId};
use bb_proto::time::Timestamp;
use bb_proto::units::Tokens;
use bb_proto::usage::Wire;
use uuid::Uuid;

use super::played::provider;
use crate::store::{Group, Store};

fn reserved(number: u128, terms: Terms) -> Entry {
    Entry::Reserved(Reservation {
        facts: CallFacts {
            call: CallId(Uuid::from_u128(number)),
            bottle: "web".parse().expect("a name"),
            run: RunId(Uuid::from_u128(7)),
            agent: None,
            provider: provider("claude"),
            model: "model".to_owned(),
            wire: Wire::AnthropicMessages,
            started_at: Timestamp(0),
            accounts: Vec::new(),
            terms,
        },
        reserved: Tokens(150),
        estimate: Estimate {
            input: 50,
            output: 100,
            ..Estimate::default()
        },
        input: InputSize::text(200),
    })
}

#[test]
fn an_open_call_keeps_what_it_was_capped_to_and_that_nothing_bounds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let capped = Terms::Exact {
        input: 50,
        output: 100,
        cap: Some(100),
    };
    let terms = [Terms::Estimate, capped, Terms::Unbounded];
    let mut group = Group::default();
    for (number, terms) in (1..).zip(terms) {
        let call = u128::from(number);
        group.entries.push((number, reserved(call, terms)));
    }
    let mut store = Store::open(&path).expect("a ledger");
    store.write(&group).expect("written");
    drop(store);
    let (saved, _) = Store::open(&path).expect("a ledger").load().expect("kept");
    let kept: Vec<Terms> = saved
        .open
        .iter()
        .map(|open| open.reservation.facts.terms)
        .collect();
    assert_eq!(kept, terms);
}
