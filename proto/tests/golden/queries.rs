//! Questions to the ledger.

use bb_proto::event::{EventNotification, HookInput};
use bb_proto::reply::{CallRow, Ending, Events, UsageRow, UsageSum, Usages, Watching};
use bb_proto::request::{AuditList, EventsList, EventsWatch, UsageBy, UsageQuery};
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};

use crate::sample::{AT, agent_name, bare_event, bottle_name, claude, event, later, run};
use crate::{golden, method};

fn sum() -> UsageSum {
    UsageSum {
        calls: 3,
        estimated: 1,
        input: 1_200,
        cache_read: 90_000,
        cache_write: 4_000,
        output: 2_700,
        reasoning: 900,
        charge: Tokens(16_900),
    }
}

fn no_sum() -> UsageSum {
    UsageSum {
        calls: 0,
        estimated: 0,
        input: 0,
        cache_read: 0,
        cache_write: 0,
        output: 0,
        reasoning: 0,
        charge: Tokens::ZERO,
    }
}

#[test]
fn usage() {
    let whole = UsageQuery {
        bottle: Some(bottle_name("web")),
        run: Some(run()),
        provider: Some(claude()),
        from: Some(AT),
        to: Some(later(3_600_000)),
        by: UsageBy::Call,
        limit: Some(1_000),
    };
    let bare = UsageQuery {
        bottle: None,
        run: None,
        provider: None,
        from: None,
        to: None,
        by: UsageBy::Bottle,
        limit: None,
    };
    let call = CallRow {
        id: "019aa0b2-6f00-7000-8000-0000000000c1"
            .parse()
            .expect("a call"),
        run: run(),
        wire: Wire::AnthropicMessages,
        started_at: AT,
        ended_at: later(4_200),
        usage: Usage {
            input: Some(400),
            cache_read: Some(30_000),
            cache_write: Some(0),
            output: Some(900),
            reasoning: Some(300),
        },
        estimated: true,
        ending: Ending::Cut,
        status: Some(200),
    };
    let unstated = CallRow {
        usage: Usage {
            input: None,
            cache_read: None,
            cache_write: None,
            output: None,
            reasoning: None,
        },
        status: None,
        ..call.clone()
    };
    let row = UsageRow {
        bottle: Some(bottle_name("web")),
        agent: Some(agent_name("reviewer")),
        provider: Some(claude()),
        model: Some("claude-opus-4-8".to_owned()),
        call: Some(call),
        sum: sum(),
    };
    let bare_row = UsageRow {
        bottle: None,
        agent: None,
        provider: None,
        model: None,
        call: Some(unstated),
        sum: no_sum(),
    };
    let sums = UsageRow {
        call: None,
        ..bare_row.clone()
    };
    let answers = [
        Usages {
            rows: vec![row, bare_row, sums],
            total: sum(),
        },
        Usages {
            rows: Vec::new(),
            total: no_sum(),
        },
    ];
    method([whole, bare], answers);
}

fn events() -> [Events; 2] {
    [
        Events {
            events: vec![event(), bare_event()],
            more: true,
        },
        Events {
            events: Vec::new(),
            more: false,
        },
    ]
}

macro_rules! reading_back {
    ($method:ident) => {
        let whole = $method {
            before: Some(43),
            bottle: Some(bottle_name("web")),
            pattern: Some("cut off".to_owned()),
            limit: Some(1_000),
        };
        let bare = $method {
            before: None,
            bottle: None,
            pattern: None,
            limit: None,
        };
        method([whole, bare], events());
    };
}

#[test]
fn what_happened() {
    reading_back!(AuditList);
    reading_back!(EventsList);
    let watching = [Watching { after: 42 }, Watching { after: 0 }];
    method([EventsWatch {}, EventsWatch {}], watching);
    let told = [
        EventNotification {
            event: event(),
            lost: 17,
        },
        EventNotification {
            event: bare_event(),
            lost: 0,
        },
    ];
    golden("events", &told);
}

#[test]
fn what_a_hook_is_given() {
    let given = [
        HookInput {
            event: event(),
            skipped: 8,
        },
        HookInput {
            event: bare_event(),
            skipped: 0,
        },
    ];
    golden("hook", &given);
}
