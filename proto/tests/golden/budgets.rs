//! Messages about budgets.

use bb_proto::budget::Cap;
use bb_proto::reply::{BudgetChanged, BudgetCharged, BudgetChecked, Budgets, Explanation, Would};
use bb_proto::request::{
    BudgetCharge, BudgetCheck, BudgetExplain, BudgetList, BudgetRaise, BudgetReset, BudgetSet,
    BudgetUnset, Expect,
};
use bb_proto::time::{Millis, Timestamp};
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};
use bb_proto::view::{ClosedBy, Explained, ExplainedBudget, PathRole, Verdict};

use crate::method;
use crate::sample::{bare_budget, bottle_name, budget, call_id, claude, key};

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

#[test]
fn explaining() {
    let params = [
        BudgetExplain {
            bottle: bottle_name("web"),
            provider: Some(claude()),
        },
        BudgetExplain {
            bottle: bottle_name("web"),
            provider: None,
        },
    ];
    let explained = |verdict, budgets| Explained {
        provider: Some(claude()),
        verdict,
        budgets,
    };
    let first = ExplainedBudget {
        budget: budget(),
        role: PathRole::Binds,
        left: Tokens(99_900),
        binds_first: true,
        binds_next: false,
    };
    let next = ExplainedBudget {
        budget: bare_budget(),
        role: PathRole::Counted,
        left: Tokens(4_939_000),
        binds_first: false,
        binds_next: true,
    };
    let whole = explained(
        Verdict::Admitted {
            binds: key("host/claude/total"),
            left: Tokens(99_900),
        },
        vec![first, next],
    );
    let spent = Verdict::Spent {
        budget: key("host/claude/total"),
    };
    let by_operator = Verdict::Closed {
        by: ClosedBy::Operator,
    };
    let any = Explained {
        provider: None,
        verdict: Verdict::Unlimited,
        budgets: Vec::new(),
    };
    let answers = [
        Explanation {
            revision: 1_795_168_800_000_042,
            bottle: bottle_name("web"),
            providers: vec![whole],
        },
        Explanation {
            revision: 1_795_168_800_000_000,
            bottle: bottle_name("web"),
            providers: vec![
                explained(spent, Vec::new()),
                explained(by_operator, Vec::new()),
                explained(Verdict::Stopping, Vec::new()),
                explained(Verdict::Ended, Vec::new()),
                any,
            ],
        },
    ];
    method(params, answers);
}

#[test]
fn checking() {
    let ask = |tokens| BudgetCheck {
        bottle: bottle_name("web"),
        provider: claude(),
        tokens: Tokens(tokens),
    };
    let bare = |would| BudgetChecked {
        would,
        budget: None,
        limit: None,
        used: None,
    };
    let over = BudgetChecked {
        budget: Some(key("host/claude/total")),
        limit: Some(Tokens(5_000_000)),
        used: Some(Tokens(4_999_000)),
        ..bare(Would::BeOverBudget)
    };
    method([ask(60_000), ask(1)], [over, bare(Would::Pass)]);
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
        per_call: Some(Tokens(60_000)),
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
        per_call: None,
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
        for_ms: Some(Millis(7_200_000)),
        once: false,
        why: Some("one more day".to_owned()),
        request_id: Some("1f".to_owned()),
        dry_run: true,
    };
    let bare = BudgetRaise {
        expect: None,
        budget: key("host/all/total"),
        by: Tokens(1),
        for_ms: None,
        once: true,
        why: None,
        request_id: None,
        dry_run: false,
    };
    method([whole, bare], changed());
}

#[test]
fn resetting() {
    let whole = BudgetReset {
        expect: None,
        budget: key("host/claude/week sun 09:00"),
        why: Some("a test ran".to_owned()),
        request_id: Some("1f".to_owned()),
        dry_run: true,
    };
    let bare = BudgetReset {
        expect: None,
        budget: key("host/all/total"),
        why: None,
        request_id: None,
        dry_run: false,
    };
    method([whole, bare], changed());
}

#[test]
fn charging() {
    let id = call_id("c9");
    let params = [
        BudgetCharge {
            id,
            bottle: bottle_name("web"),
            provider: claude(),
            wire: Some(Wire::AnthropicMessages),
            model: Some("claude-opus-4-8".to_owned()),
            usage: Some(Usage {
                input: Some(400),
                cache_read: Some(30_000),
                cache_write: Some(0),
                output: Some(900),
                reasoning: Some(200),
            }),
            tokens: None,
            why: Some("a night's run".to_owned()),
            dry_run: true,
        },
        BudgetCharge {
            id,
            bottle: bottle_name("web"),
            provider: claude(),
            wire: None,
            model: None,
            usage: None,
            tokens: Some(Tokens(5_000)),
            why: None,
            dry_run: false,
        },
    ];
    let charged = |charge, already, dry_run| BudgetCharged {
        id,
        bottle: bottle_name("web"),
        provider: claude(),
        charge: Tokens(charge),
        at: Timestamp(1_795_168_860_000),
        already,
        dry_run,
    };
    method(
        params,
        [charged(31_300, false, true), charged(5_000, true, false)],
    );
}
