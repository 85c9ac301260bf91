//! Messages of a sidecar about its calls.

use bb_proto::reply::{
    CallAdmitted, CallEstimate, CallFlowing, CallRefused, CallReserved, CallResolved, CallSettled,
    CallVoided, Ending, RefusedFor,
};
use bb_proto::request::{CallFlowed, CallReserve, CallSettle, CallVoid};
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};

use crate::method;
use crate::sample::{bottle_name, call_id, claude, key};

fn usage() -> Usage {
    Usage {
        input: Some(400),
        cache_read: Some(30_000),
        cache_write: Some(0),
        output: Some(900),
        reasoning: Some(200),
    }
}

#[test]
fn reserving() {
    let call = call_id("c1");
    let params = [
        CallReserve {
            call,
            bottle: bottle_name("web"),
            provider: claude(),
            wire: Some(Wire::AnthropicMessages),
            model: Some("claude-opus-4-8".to_owned()),
            input_bytes: Some(120_000),
            input_tokens: Some(30_000),
            output_max: Some(64_000),
            choices: Some(1),
            wait_ms: Some(5_000),
        },
        CallReserve {
            call,
            bottle: bottle_name("web"),
            provider: claude(),
            wire: None,
            model: None,
            input_bytes: None,
            input_tokens: None,
            output_max: None,
            choices: None,
            wait_ms: None,
        },
    ];
    let admitted = CallAdmitted {
        reserved: Tokens(31_000),
        estimate: CallEstimate {
            input: 30_000,
            output: 1_000,
        },
    };
    let refused = CallRefused {
        reason: RefusedFor::Budget,
        budget: Some(key("bottle:web/claude/total")),
        limit: Some(Tokens(200_000)),
        used: Some(Tokens(200_100)),
        sentence: "this bottle has spent its token budget; ask the operator to raise it".to_owned(),
    };
    let answers = [
        CallReserved {
            call,
            admitted: Some(admitted),
            refused: Some(refused),
            resolved: Some(CallResolved {
                ending: Ending::Complete,
                charge: Tokens(31_300),
                overrun: Tokens(300),
                estimated: false,
                admitted: Some(admitted),
            }),
        },
        CallReserved {
            call,
            admitted: None,
            refused: None,
            resolved: None,
        },
    ];
    method(params, answers);
}

#[test]
fn flowing() {
    let call = call_id("c1");
    let params = [
        CallFlowed {
            call,
            usage: Some(usage()),
            output_bytes: Some(3_600),
        },
        CallFlowed {
            call,
            usage: None,
            output_bytes: None,
        },
    ];
    let cut = CallRefused {
        reason: RefusedFor::Operator,
        budget: None,
        limit: None,
        used: None,
        sentence: "the operator has cut this bottle off".to_owned(),
    };
    method(
        params,
        [CallFlowing { cut: Some(cut) }, CallFlowing { cut: None }],
    );
}

#[test]
fn settling() {
    let call = call_id("c1");
    let params = [
        CallSettle {
            call,
            usage: Some(usage()),
            output_bytes: Some(3_600),
            estimated: true,
            ending: Some(Ending::ClientGone),
            status: Some(200),
        },
        CallSettle {
            call,
            usage: None,
            output_bytes: None,
            estimated: false,
            ending: None,
            status: None,
        },
    ];
    let settled = |estimated, already| CallSettled {
        call,
        charge: Tokens(31_300),
        overrun: Tokens(300),
        estimated,
        ending: Ending::ClientGone,
        already,
    };
    method(params, [settled(true, false), settled(false, true)]);
}

#[test]
fn taking_back() {
    let call = call_id("c1");
    let params = [
        CallVoid {
            call,
            status: Some(429),
        },
        CallVoid { call, status: None },
    ];
    let voided = |already| CallVoided { call, already };
    method(params, [voided(true), voided(false)]);
}
