//! Each method with parameters that are its own, and such as are not.

use serde_json::{Value, json};

/// A method, parameters that are its own, and such as are not, with what they are refused for.
pub(super) struct Row(
    pub(super) &'static str,
    pub(super) Value,
    pub(super) Vec<Wrong>,
);

/// Parameters, the word they are refused with, and what stands in the sentence.
pub(super) type Wrong = (Value, &'static str, &'static str);

/// Stands for a file in a folder of the test.
pub(super) const BACKUP: &str = "BACKUP";
const CALL: &str = "019aa0b2-6f00-7000-8000-0000000000c1";
const OTHER: &str = "019aa0b2-6f00-7000-8000-0000000000c2";
const RUN: &str = "019aa0b2-6f00-7000-8000-0000000000a1";

fn act(method: &'static str, good: Value) -> Row {
    Row(
        method,
        good,
        vec![
            (json!({}), "invalid_params", "missing field `names`"),
            (
                json!({"names": "web"}),
                "invalid_params",
                "expected a sequence",
            ),
            (json!({"names": []}), "invalid_params", "no bottle is named"),
            (
                json!({"names": ["a/b"]}),
                "invalid_params",
                "'/' is not allowed in a name",
            ),
            (
                json!({"names": ["nobody"]}),
                "not_found",
                "there is no bottle named nobody",
            ),
            (json!({"names": ["base"]}), "not_found", "base"),
            (
                json!({"names": ["web"], "if": {"runs": 1}}),
                "invalid_params",
                "unknown field `runs`",
            ),
            (
                json!({"names": ["web"], "if": {"run": "x"}}),
                "invalid_params",
                "UUID",
            ),
            (
                json!({"names": ["web"], "if": {"run": RUN}}),
                "conflict",
                "another run",
            ),
            (
                json!({"names": ["web"], "why": "x".repeat(1_025)}),
                "invalid_params",
                "`why` has 1025 bytes; the most is 1024",
            ),
            (
                json!({"names": ["web"], "request_id": "x".repeat(129)}),
                "invalid_params",
                "`request_id` has 129 bytes",
            ),
            (
                json!({"names": vec!["web"; 1_001]}),
                "invalid_params",
                "`names` has 1001 bottles; the most is 1000",
            ),
            (
                json!({"names": ["web"], "dry_run": 1}),
                "invalid_params",
                "boolean",
            ),
        ],
    )
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    let unknown = || (json!({"x": 1}), "invalid_params", "unknown field `x`");
    let nobody = || {
        (
            json!({"name": "nobody"}),
            "not_found",
            "there is no bottle named nobody",
        )
    };
    vec![
        Row(
            "hello",
            json!({"client": "test"}),
            vec![
                unknown(),
                (
                    json!({"protocol": 7}),
                    "wrong_protocol",
                    "the client speaks 7",
                ),
                (json!({"protocol": "1"}), "invalid_params", "string"),
            ],
        ),
        Row("health", json!({}), vec![unknown()]),
        Row(
            "snapshot",
            json!({"since": null, "wait_ms": 1}),
            vec![
                unknown(),
                (json!({"since": -1}), "invalid_params", "-1"),
                (json!({"part": 1.5}), "invalid_params", "1.5"),
            ],
        ),
        Row(
            "bottle.register",
            json!({"name": "web", "parents": ["base"], "client": "sdk"}),
            vec![
                (json!({}), "invalid_params", "missing field `name`"),
                (
                    json!({"name": ""}),
                    "invalid_params",
                    "a name must not be empty",
                ),
                (
                    json!({"name": "x".repeat(65)}),
                    "invalid_params",
                    "at most 64 bytes",
                ),
                (
                    json!({"name": "a\u{202e}b"}),
                    "invalid_params",
                    "is not allowed in a name",
                ),
                (
                    json!({"name": "web"}),
                    "exists",
                    "a bottle named web is running",
                ),
                (
                    json!({"name": "late", "provider": "unknown"}),
                    "invalid_params",
                    "there is no provider unknown",
                ),
                (
                    json!({"name": "late", "provider": "all"}),
                    "invalid_params",
                    "another meaning",
                ),
                (
                    json!({"name": "late", "client": "unknown"}),
                    "not_found",
                    "there is no recipe for the client \"unknown\"",
                ),
                (
                    json!({"name": "late", "parents": ["late"]}),
                    "invalid_params",
                    "its own ancestor",
                ),
                (
                    json!({"name": "base", "parents": ["web"]}),
                    "invalid_params",
                    "its own ancestor",
                ),
                (
                    json!({"name": "late", "parents": vec!["p"; 33]}),
                    "invalid_params",
                    "`parents` has 33 bottles; the most is 32",
                ),
                (
                    json!({"name": "late", "process": {"pid": 1}}),
                    "invalid_params",
                    "missing field `start_ticks`",
                ),
                (
                    json!({"name": "late", "process": {"pid": 1, "start_ticks": 1, "x": 1}}),
                    "invalid_params",
                    "unknown field `x`",
                ),
                (
                    json!({"name": "late", "budget": 5}),
                    "invalid_params",
                    "unknown field `budget`",
                ),
            ],
        ),
        Row("bottle.list", json!({}), vec![unknown()]),
        Row(
            "bottle.show",
            json!({"name": "base"}),
            vec![nobody(), unknown()],
        ),
        Row(
            "bottle.env",
            json!({"name": "web", "client": "claude"}),
            vec![
                (
                    json!({"name": "nobody", "client": "sdk"}),
                    "not_found",
                    "there is no bottle named nobody",
                ),
                (
                    json!({"name": "web", "client": "x"}),
                    "not_found",
                    "no recipe",
                ),
                (
                    json!({"name": "web"}),
                    "invalid_params",
                    "missing field `client`",
                ),
            ],
        ),
        act("bottle.cutoff", json!({"names": ["web"], "why": "a test"})),
        act("bottle.restore", json!({"names": ["web"]})),
        Row(
            "budget.check",
            json!({"bottle": "web", "provider": "claude", "tokens": 5}),
            vec![
                (json!({}), "invalid_params", "missing field `bottle`"),
                (
                    json!({"bottle": "nobody", "provider": "claude", "tokens": 5}),
                    "not_found",
                    "there is no bottle named nobody",
                ),
                (
                    json!({"bottle": "web", "provider": "unknown", "tokens": 5}),
                    "invalid_params",
                    "there is no provider unknown",
                ),
                (
                    json!({"bottle": "web", "provider": "claude", "tokens": 0}),
                    "invalid_params",
                    "at least one token",
                ),
            ],
        ),
        Row(
            "budget.charge",
            json!({"id": CALL, "bottle": "web", "provider": "claude", "tokens": 5}),
            vec![
                unknown(),
                (json!({}), "invalid_params", "missing field `id`"),
                (
                    json!({"id": 1, "bottle": "web", "provider": "claude", "tokens": 5}),
                    "invalid_params",
                    "UUID",
                ),
                (
                    json!({"id": RUN, "bottle": "web", "provider": "claude"}),
                    "invalid_params",
                    "one of the two",
                ),
                (
                    json!({"id": CALL, "bottle": "base", "provider": "claude", "tokens": 5}),
                    "not_found",
                    "there is no bottle named base",
                ),
                (
                    json!({"id": RUN, "bottle": "web", "provider": "claude", "tokens": 5, "model": "x".repeat(257)}),
                    "invalid_params",
                    "`model` has 257 bytes; the most is 256",
                ),
                (
                    json!({"id": RUN, "bottle": "web", "provider": "claude", "tokens": 5, "why": "x".repeat(1_025)}),
                    "invalid_params",
                    "`why` has 1025 bytes",
                ),
            ],
        ),
        Row(
            "call.reserve",
            json!({"call": RUN, "bottle": "web", "provider": "claude", "input_bytes": 400}),
            vec![
                unknown(),
                (
                    json!({"call": CALL, "bottle": "nobody", "provider": "claude", "input_bytes": 4}),
                    "not_found",
                    "there is no bottle named nobody",
                ),
                (
                    json!({"call": CALL, "bottle": "web", "provider": "unknown", "input_bytes": 4}),
                    "invalid_params",
                    "there is no provider unknown",
                ),
                (
                    json!({"call": OTHER, "bottle": "web", "provider": "claude"}),
                    "invalid_params",
                    "one of the two",
                ),
                (
                    json!({"call": OTHER, "bottle": "web", "provider": "claude", "input_bytes": 4, "input_tokens": 4}),
                    "invalid_params",
                    "one of the two",
                ),
                (
                    json!({"call": OTHER, "bottle": "web", "provider": "claude", "input_bytes": -4}),
                    "invalid_params",
                    "-4",
                ),
                (
                    json!({"call": OTHER, "bottle": "web", "provider": "claude", "input_tokens": u64::MAX}),
                    "invalid_params",
                    "`input_tokens` is 18446744073709551615, more than can be counted",
                ),
                (
                    json!({"call": OTHER, "bottle": "web", "provider": "claude", "wire": "morse", "input_bytes": 4}),
                    "invalid_params",
                    "unknown variant `morse`",
                ),
            ],
        ),
        Row(
            "call.flowed",
            json!({"call": RUN, "output_bytes": 40}),
            vec![
                (json!({"call": OTHER}), "not_found", "no call of a sidecar"),
                (
                    json!({"call": CALL, "usage": {"output": 5}}),
                    "wrong_state",
                    "was resolved",
                ),
                (
                    json!({"call": RUN, "usage": {"tokens": 5}}),
                    "invalid_params",
                    "unknown field `tokens`",
                ),
                (
                    json!({"call": RUN, "usage": {"output": 5, "reasoning": 6}}),
                    "invalid_params",
                    "`reasoning` is a part of `output`",
                ),
            ],
        ),
        Row(
            "call.settle",
            json!({"call": RUN, "usage": {"input": 100, "output": 10}, "status": 200}),
            vec![
                (json!({"call": OTHER}), "not_found", "no call of a sidecar"),
                (
                    json!({"call": OTHER, "ending": "voided"}),
                    "invalid_params",
                    "does not end so",
                ),
                (
                    json!({"call": OTHER, "usage": {"input": u64::MAX, "output": 1}}),
                    "invalid_params",
                    "more than can be counted",
                ),
                (
                    json!({"call": OTHER, "usage": {"input": 1_u64 << 53, "output": 1}}),
                    "invalid_params",
                    "more than can be counted",
                ),
            ],
        ),
        Row(
            "call.reserve",
            json!({"call": OTHER, "bottle": "web", "provider": "claude", "input_tokens": 4}),
            Vec::new(),
        ),
        Row(
            "call.void",
            json!({"call": OTHER, "status": 429}),
            vec![
                (json!({"call": RUN}), "wrong_state", "was charged 110"),
                (json!({"call": "x"}), "invalid_params", "UUID"),
            ],
        ),
        Row(
            "budget.explain",
            json!({"bottle": "web"}),
            vec![
                unknown(),
                (json!({}), "invalid_params", "missing field `bottle`"),
                (
                    json!({"bottle": "nobody"}),
                    "not_found",
                    "there is no bottle named nobody",
                ),
                (
                    json!({"bottle": "web", "provider": "unknown"}),
                    "invalid_params",
                    "there is no provider unknown",
                ),
            ],
        ),
        Row(
            "budget.list",
            json!({"bottle": "web"}),
            vec![
                (json!({"bottle": "nobody"}), "not_found", "nobody"),
                unknown(),
            ],
        ),
        Row(
            "budget.set",
            json!({"budget": "bottle:web/claude/total", "limit": 7}),
            vec![
                (
                    json!({"limit": 7}),
                    "invalid_params",
                    "missing field `budget`",
                ),
                (
                    json!({"budget": "host/claude/total"}),
                    "invalid_params",
                    "missing field `limit`",
                ),
                (
                    json!({"budget": "host/claude/total", "limit": 7, "cap": "firm"}),
                    "invalid_params",
                    "unknown variant `firm`",
                ),
                (
                    json!({"budget": "host/claude/total", "limit": 7, "for": "2h"}),
                    "invalid_params",
                    "unknown field `for`",
                ),
            ],
        ),
        Row(
            "budget.raise",
            json!({"budget": "bottle:web/claude/total", "by": 7}),
            vec![
                (
                    json!({"budget": "bottle:web/codex/total", "by": 7}),
                    "not_found",
                    "there is no budget bottle:web/codex/total",
                ),
                (
                    json!({"budget": "bottle:web/claude/total", "by": -7}),
                    "invalid_params",
                    "-7",
                ),
            ],
        ),
        Row(
            "budget.reset",
            json!({"budget": "bottle:web/claude/total"}),
            vec![
                (
                    json!({"budget": "bottle:web/codex/total"}),
                    "not_found",
                    "there is no budget bottle:web/codex/total",
                ),
                (
                    json!({"budget": "bottle:web/claude/total", "to": 5}),
                    "invalid_params",
                    "unknown field `to`",
                ),
            ],
        ),
        Row(
            "budget.unset",
            json!({"budget": "bottle:web/claude/total"}),
            vec![
                (
                    json!({"budget": "bottle:web/claude/total"}),
                    "not_found",
                    "there is no budget",
                ),
                (
                    json!({"budget": "host/claude/total"}),
                    "wrong_state",
                    "was not set by command",
                ),
            ],
        ),
        Row(
            "usage.query",
            json!({"by": "model", "from": 0, "limit": 5}),
            vec![
                (
                    json!({"by": "hour"}),
                    "invalid_params",
                    "unknown variant `hour`",
                ),
                (json!({"limit": -1}), "invalid_params", "-1"),
                (json!({"run": "x"}), "invalid_params", "UUID"),
            ],
        ),
        Row(
            "ledger.tail",
            json!({"after": 0, "bottle": "web", "limit": 5, "wait_ms": 1}),
            vec![
                (json!({"after": -1}), "invalid_params", "-1"),
                (
                    json!({"since": 1}),
                    "invalid_params",
                    "unknown field `since`",
                ),
            ],
        ),
        Row(
            "ledger.export",
            json!({"from": 0, "to": 5, "limit": 5}),
            vec![
                (json!({"from": "today"}), "invalid_params", "string"),
                unknown(),
            ],
        ),
        Row("ledger.verify", json!({}), vec![unknown()]),
        Row(
            "ledger.correct",
            json!({"call": CALL, "output": 7}),
            vec![
                (json!({"call": CALL}), "invalid_params", "charged already"),
                (json!({"call": OTHER, "output": 7}), "not_found", "no call"),
                (
                    json!({"call": CALL, "output": u64::MAX}),
                    "invalid_params",
                    "more tokens than a call can be charged",
                ),
                (json!({"call": CALL, "output": -7}), "invalid_params", "-7"),
            ],
        ),
        Row(
            "ledger.backup",
            json!({"path": BACKUP}),
            vec![
                (json!({}), "invalid_params", "missing field `path`"),
                (json!({"path": "copy.db"}), "invalid_params", "is no path"),
                (
                    json!({"path": "/no/such/folder/copy.db"}),
                    "not_found",
                    "there is no folder /no/such/folder",
                ),
                (json!({"path": "/"}), "invalid_params", "is no path"),
                (json!({"path": "/proc/self/exe"}), "exists", "there already"),
            ],
        ),
        Row(
            "audit.list",
            json!({"limit": 1}),
            vec![
                (json!({"bottle": ""}), "invalid_params", "must not be empty"),
                unknown(),
            ],
        ),
        Row(
            "events.list",
            json!({"match": "x", "before": 9}),
            vec![
                (json!({"before": "x"}), "invalid_params", "string"),
                (
                    json!({"pattern": "x"}),
                    "invalid_params",
                    "unknown field `pattern`",
                ),
            ],
        ),
        Row("settings.show", json!({}), vec![unknown()]),
        Row("settings.check", json!({}), vec![unknown()]),
        Row(
            "settings.reload",
            json!({"request_id": "s"}),
            vec![unknown()],
        ),
        act("bottle.stop", json!({"names": ["web"]})),
        Row(
            "bottle.ended",
            json!({"name": "web", "run": RUN, "exit_code": 0}),
            vec![
                (
                    json!({"name": "nobody", "run": RUN, "exit_code": 0}),
                    "not_found",
                    "nobody",
                ),
                (
                    json!({"name": "web", "run": RUN, "exit_code": 0}),
                    "conflict",
                    "another run",
                ),
                (
                    json!({"name": "web", "run": RUN}),
                    "invalid_params",
                    "missing field `exit_code`",
                ),
            ],
        ),
        act("bottle.remove", json!({"names": ["web"]})),
        Row("shutdown", json!({"dry_run": true}), vec![unknown()]),
        // Last, since from here on events come in between.
        Row("events.watch", json!({}), vec![unknown()]),
    ]
}
