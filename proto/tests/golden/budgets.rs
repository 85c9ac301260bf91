//! Messages about budgets.

use bb_proto::budget::Cap;
use bb_proto::reply::{BudgetChanged, Budgets};
use bb_proto::request::{BudgetList, BudgetRaise, BudgetSet, BudgetUnset, Expect};
use bb_proto::units::Tokens;

use crate::method;
use crate::sample::{bare_budget, bottle_name, budget, key};

#[test]
fn listing() {
    let params = [
        BudgetList {
            bottle: Some(bottle_name("web")),
        },
        BudgetList { bottle: None },
    ];
    let answers = [
        Budgets {
            revision: 1_795_168_800_000_042,
            budgets: vec![budget(), bare_budget()],
        },
        Budgets {
            revision: 1_795_168_800_000_000,
            budgets: Vec::new(),
        },
    ];
    method(params, answers);
}

fn changed() -> [BudgetChanged; 2] {
    [
        BudgetChanged {
            dry_run: true,
            budget: Some(budget()),
            limit_before: Some(Tokens(250_000)),
            opened: vec![bottle_name("web")],
            cut_off: vec![bottle_name("nightly")],
        },
        BudgetChanged {
            dry_run: false,
            budget: None,
            limit_before: None,
            opened: Vec::new(),
            cut_off: Vec::new(),
        },
    ]
}

#[test]
fn setting() {
    let whole = BudgetSet {
        expect: None,
        budget: key("bottle:web/claude/run"),
        limit: Tokens(200_000),
        cap: Cap::Soft,
        ceiling: true,
        why: Some("for the weekend".to_owned()),
        request_id: Some("1f".to_owned()),
        dry_run: true,
    };
    let bare = BudgetSet {
        expect: None,
        budget: key("host/all/total"),
        limit: Tokens(5_000_000),
        cap: Cap::Hard,
        ceiling: false,
        why: None,
        request_id: None,
        dry_run: false,
    };
    method([whole, bare], changed());
}

#[test]
fn unsetting() {
    let whole = BudgetUnset {
        expect: None,
        budget: key("agent:reviewer/claude/total"),
        why: Some("no longer".to_owned()),
        request_id: Some("1f".to_owned()),
        dry_run: true,
    };
    let bare = BudgetUnset {
        expect: None,
        budget: key("host/all/total"),
        why: None,
        request_id: None,
        dry_run: false,
    };
    method([whole, bare], changed());
}

#[test]
fn raising() {
    let whole = BudgetRaise {
        expect: Some(Expect {
            run: None,
            revision: Some(81),
        }),
        budget: key("host/claude/total"),
        by: Tokens(1_000_000),
        why: Some("one more day".to_owned()),
        request_id: Some("1f".to_owned()),
        dry_run: true,
    };
    let bare = BudgetRaise {
        expect: None,
        budget: key("host/all/total"),
        by: Tokens(1),
        why: None,
        request_id: None,
        dry_run: false,
    };
    method([whole, bare], changed());
}
