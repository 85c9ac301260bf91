//! Calls that a sidecar meters by itself, and tokens that were spent outside the proxy.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_proto::request::Snapshot;
use bb_tests::harness::{System, send};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::raw::Raw;
use super::system_with;

/// The id of a call.
fn id(number: u32) -> String {
    format!("019aa0b2-6f00-7000-8000-0000000001{number:02x}")
}

fn reserve(number: u32, tokens: u64) -> Value {
    json!({"call": id(number), "bottle": "web", "provider": "claude", "input_tokens": tokens, "output_max": 0})
}

fn settle(number: u32, tokens: u64) -> Value {
    json!({"call": id(number), "usage": {"input": tokens, "output": 0}})
}

/// A controller with a bottle whose calls may cost 100 tokens together.
async fn scene() -> Result<(System, Raw)> {
    // Nothing ends a wait here but what a test does.
    let settings = "wait: 1h\nbudget:\n  claude: 100\n  codex: 100\n";
    let (system, mut raw) = system_with(settings).await?;
    raw.result("bottle.register", json!({"name": "web"}))
        .await?;
    Ok((system, raw))
}

/// Asks for a call on a connection of its own, which may wait for its answer.
async fn ask(system: &System, params: &Value) -> Result<Raw> {
    let mut raw = Raw::connect(system.home()).await?;
    let line = json!({"jsonrpc": "2.0", "id": 1, "method": "call.reserve", "params": params});
    raw.send(format!("{line}\n")).await?;
    Ok(raw)
}

async fn wait_for_waiting(system: &System, count: u64) -> Result<()> {
    let waiting = async || {
        let snapshot = system.call(Snapshot::default()).await?;
        Ok(snapshot.head.totals.waiting == count)
    };
    system.wait_until("so many calls wait", waiting).await
}

async fn host(raw: &mut Raw) -> Result<(u64, u64)> {
    let budgets = raw.result("budget.list", json!({})).await?;
    let rows = budgets["budgets"].as_array().context("budgets")?;
    let claude = rows.iter().find(|row| row["id"] == "host/claude/total");
    let claude = claude.context("the host's budget")?;
    let count = |field: &str| claude[field].as_u64().context("tokens");
    Ok((count("used")?, count("pending")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_admitted_charged_and_each_answered_once() -> Result<()> {
    let (system, mut raw) = scene().await?;
    let admitted = raw.result("call.reserve", reserve(1, 60)).await?;
    assert_eq!(
        admitted,
        json!({"call": id(1), "admitted": {"reserved": 60, "estimate": {"input": 60, "output": 0}}})
    );
    // On another connection, with other figures: it is the same call.
    let mut other = Raw::connect(system.home()).await?;
    assert_eq!(other.result("call.reserve", reserve(1, 5)).await?, admitted);
    assert_eq!(host(&mut raw).await?, (0, 60));
    let flowed = json!({"call": id(1), "usage": {"input": 60}, "output_bytes": 10});
    let flowing = raw.result("call.flowed", flowed).await?;
    assert_eq!(flowing, json!({"cut": null}));
    let charged = raw.result("call.settle", settle(1, 70)).await?;
    assert_eq!(
        charged,
        json!({"call": id(1), "charge": 70, "overrun": 10, "estimated": false, "ending": "complete", "already": false})
    );
    let again = other.result("call.settle", settle(1, 5)).await?;
    assert_eq!(
        (&again["charge"], &again["already"]),
        (&json!(70), &json!(true))
    );
    assert_eq!(host(&mut raw).await?, (70, 0));
    let resolved = raw.result("call.reserve", reserve(1, 60)).await?;
    assert_eq!(
        resolved,
        json!({"call": id(1), "resolved": {"ending": "complete", "charge": 70, "overrun": 10,
            "estimated": false, "admitted": admitted["admitted"]}})
    );
    let (word, _) = raw.refused("call.void", json!({"call": id(1)})).await?;
    assert_eq!(word, "wrong_state");
    // It is a call like any other.
    let usage = raw.result("usage.query", json!({"by": "call"})).await?;
    assert_eq!(usage["rows"][0]["call"]["id"], id(1));
    assert_eq!(usage["rows"][0]["call"]["wire"], "anthropic_messages");
    assert_eq!(usage["total"]["charge"], 70);
    assert_eq!(
        raw.result("ledger.verify", json!({})).await?["agrees"],
        true
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_taken_back_costs_nothing_and_cannot_be_charged() -> Result<()> {
    let (_system, mut raw) = scene().await?;
    raw.result("call.reserve", reserve(1, 60)).await?;
    let void = json!({"call": id(1), "status": 429});
    let voided = raw.result("call.void", void.clone()).await?;
    assert_eq!(voided, json!({"call": id(1), "already": false}));
    assert_eq!(raw.result("call.void", void).await?["already"], true);
    let (word, _) = raw.refused("call.settle", settle(1, 60)).await?;
    assert_eq!(word, "wrong_state");
    let resolved = raw.result("call.reserve", reserve(1, 60)).await?;
    assert_eq!(resolved["resolved"]["ending"], "voided");
    assert_eq!(host(&mut raw).await?, (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_room_waits_and_goes_when_another_is_settled() -> Result<()> {
    let (system, mut raw) = scene().await?;
    raw.result("call.reserve", reserve(1, 60)).await?;
    let mut waits = ask(&system, &reserve(2, 60)).await?;
    wait_for_waiting(&system, 1).await?;
    // Who does not want to wait is told at once, and why.
    let mut hasty = reserve(3, 60);
    hasty["wait_ms"] = json!(0);
    let refused = raw.result("call.reserve", hasty).await?["refused"].clone();
    assert_eq!(refused["reason"], "no_room");
    assert_eq!(
        (&refused["budget"], &refused["limit"], &refused["used"]),
        (&json!("host/claude/total"), &json!(100), &json!(0))
    );
    raw.result("call.settle", settle(1, 30)).await?;
    assert_eq!(waits.json().await?["result"]["admitted"]["reserved"], 60);
    assert_eq!(host(&mut raw).await?, (30, 60));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_while_waiting_takes_the_call_back() -> Result<()> {
    let (system, mut raw) = scene().await?;
    raw.result("call.reserve", reserve(1, 60)).await?;
    let gone = ask(&system, &reserve(2, 60)).await?;
    wait_for_waiting(&system, 1).await?;
    drop(gone);
    wait_for_waiting(&system, 0).await?;
    raw.result("call.settle", settle(1, 30)).await?;
    assert_eq!(host(&mut raw).await?, (30, 0));
    // Nothing is known of it: it may ask again.
    let admitted = raw.result("call.reserve", reserve(2, 60)).await?;
    assert_eq!(admitted["admitted"]["reserved"], 60);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_says_no_more_still_gets_the_answer() -> Result<()> {
    let (system, mut raw) = scene().await?;
    raw.result("call.reserve", reserve(1, 60)).await?;
    let mut quiet = ask(&system, &reserve(2, 60)).await?;
    quiet.end_sending().await?;
    wait_for_waiting(&system, 1).await?;
    // Longer than it takes to see that somebody is gone.
    assert!(quiet.is_silent(Duration::from_millis(300)).await);
    raw.result("call.settle", settle(1, 30)).await?;
    assert_eq!(quiet.json().await?["result"]["admitted"]["reserved"], 60);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_asked_twice_at_once_is_admitted_once_and_both_hear_it() -> Result<()> {
    let (system, mut raw) = scene().await?;
    raw.result("call.reserve", reserve(1, 60)).await?;
    let first = ask(&system, &reserve(2, 60)).await?;
    wait_for_waiting(&system, 1).await?;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(ask(&system, &reserve(2, 60)).await?);
    }
    assert!(others[0].is_silent(Duration::from_millis(50)).await);
    wait_for_waiting(&system, 1).await?;
    // The one that asked first goes away: the others' call is not taken back by that.
    drop(first);
    raw.result("call.settle", settle(1, 30)).await?;
    for other in &mut others {
        assert_eq!(other.json().await?["result"]["admitted"]["reserved"], 60);
    }
    assert_eq!(host(&mut raw).await?, (30, 60));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_hears_that_it_must_end() -> Result<()> {
    let (_system, mut raw) = scene().await?;
    raw.result("call.reserve", reserve(1, 10)).await?;
    let web = json!({"names": ["web"]});
    let acted = raw.result("bottle.cutoff", web.clone()).await?;
    assert_eq!(acted["targets"][0]["streams_ended"], 1);
    let flowed = json!({"call": id(1), "usage": {"input": 10, "output": 5}});
    let cut = raw.result("call.flowed", flowed).await?["cut"].clone();
    assert_eq!(
        cut,
        json!({"reason": "operator", "sentence": "the operator has cut this bottle off"})
    );
    let ended = json!({"call": id(1), "estimated": true});
    let charged = raw.result("call.settle", ended).await?;
    assert_eq!(
        (
            &charged["charge"],
            &charged["ending"],
            &charged["estimated"]
        ),
        (&json!(15), &json!("cut"), &json!(true))
    );
    let refused = raw.result("call.reserve", reserve(2, 10)).await?["refused"].clone();
    assert_eq!(refused["reason"], "operator");
    raw.result("bottle.restore", web).await?;
    // A budget that is crossed in mid-stream is heard of by the word that crosses it.
    raw.result("call.reserve", reserve(3, 10)).await?;
    let flowed = json!({"call": id(3), "usage": {"input": 10, "output": 80}});
    let cut = raw.result("call.flowed", flowed).await?["cut"].clone();
    assert_eq!(
        (&cut["reason"], &cut["budget"], &cut["limit"], &cut["used"]),
        (
            &json!("shared_budget"),
            &json!("host/claude/total"),
            &json!(100),
            &json!(15)
        )
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_sidecar_may_not_do_it_is_told() -> Result<()> {
    let (system, mut raw) = scene().await?;
    let spent = json!({"id": id(9), "bottle": "web", "provider": "claude", "tokens": 100});
    raw.result("budget.charge", spent).await?;
    let refused = raw.result("call.reserve", reserve(1, 1)).await?["refused"].clone();
    assert_eq!(refused["reason"], "shared_budget");
    assert_eq!(
        refused["sentence"],
        "the token budget that this bottle shares is spent; ask the operator to raise it"
    );
    // The proxy says the same.
    let token = raw
        .result("bottle.register", json!({"name": "web", "renew": true}))
        .await?["token"]
        .clone();
    let headers = [("x-api-key", token.as_str().context("a token")?)];
    let body = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let path = "/claude/v1/messages";
    let answer = send(&system.egress, Method::POST, path, &headers, body).await?;
    assert_eq!(answer.status, 400);
    let web = raw.result("bottle.show", json!({"name": "web"})).await?;
    assert_eq!(web["bottle"]["refusals"], 2);
    // A bottle that has ended asks in vain, and what it used is still charged.
    let run = web["bottle"]["run"].clone();
    let other = json!({"call": id(2), "bottle": "web", "provider": "codex", "input_tokens": 9});
    let admitted = raw.result("call.reserve", other.clone()).await?;
    assert_eq!(admitted["admitted"]["reserved"], 100);
    raw.result(
        "bottle.ended",
        json!({"name": "web", "run": run, "exit_code": 0}),
    )
    .await?;
    let mut late = other;
    late["call"] = json!(id(3));
    let refused = raw.result("call.reserve", late).await?["refused"].clone();
    assert_eq!(refused["reason"], "ended");
    assert_eq!(raw.result("call.settle", settle(2, 9)).await?["charge"], 9);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_spent_outside_are_charged_once_however_often_they_are_told() -> Result<()> {
    let (system, mut raw) = scene().await?;
    let spent = json!({"id": id(1), "bottle": "web", "provider": "claude",
        "usage": {"input": 20, "cache_read": 5, "output": 15, "reasoning": 10}, "why": "by hand"});
    let mut tellers = JoinSet::new();
    for _ in 0..16 {
        let (home, spent) = (system.home().clone(), spent.clone());
        tellers.spawn(async move {
            let mut raw = Raw::connect(&home).await?;
            raw.result("budget.charge", spent).await
        });
    }
    let mut first = 0;
    let mut at = Vec::new();
    while let Some(told) = tellers.join_next().await {
        let told = told??;
        assert_eq!(told["charge"], 40);
        first += usize::from(told["already"] == false);
        at.push(told["at"].clone());
    }
    assert_eq!(first, 1);
    at.dedup();
    assert_eq!(at.len(), 1, "{at:?}");
    assert_eq!(host(&mut raw).await?, (40, 0));
    let audit = raw.result("audit.list", json!({"limit": 1})).await?;
    let event = &audit["events"][0];
    assert_eq!(
        (&event["kind"], &event["why"], &event["bottle"]),
        (&json!("charged"), &json!("by hand"), &json!("web"))
    );
    // For good: after a restart too.
    drop(raw);
    let system = system.restart().await?;
    let mut raw = Raw::connect(system.home()).await?;
    let again = raw.result("budget.charge", spent.clone()).await?;
    assert_eq!(
        (&again["charge"], &again["already"]),
        (&json!(40), &json!(true))
    );
    // It says nothing of what a call will use.
    let mut unlimited = reserve(2, 5);
    unlimited["output_max"] = Value::Null;
    let admitted = raw.result("call.reserve", unlimited).await?;
    assert_eq!(admitted["admitted"]["estimate"]["output"], 1_000);
    raw.result("call.void", json!({"call": id(2)})).await?;
    let mut elsewhere = spent;
    elsewhere["provider"] = json!("codex");
    let (word, _) = raw.refused("budget.charge", elsewhere).await?;
    assert_eq!(word, "request_id_reused");
    assert_eq!(host(&mut raw).await?, (40, 0));
    assert_eq!(
        raw.result("ledger.verify", json!({})).await?["agrees"],
        true
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_cannot_be_is_refused_with_a_hint_and_changes_nothing() -> Result<()> {
    let (_system, mut raw) = scene().await?;
    let charge = |more: Value| {
        let mut params = json!({"id": id(1), "bottle": "web", "provider": "claude"});
        for (field, value) in more.as_object().into_iter().flatten() {
            params[field] = value.clone();
        }
        params
    };
    let before = raw.result("ledger.verify", json!({})).await?["entries"].clone();
    for (more, needle) in [
        (json!({"tokens": 0}), "cost nothing"),
        (json!({"tokens": -5}), "-5"),
        (json!({"tokens": 1.5}), "floating point"),
        (json!({"tokens": (1_u64 << 53) + 1}), "2^53"),
        (json!({"tokens": u64::MAX}), "2^53"),
        (json!({"tokens": 1e30}), "floating point"),
        (json!({"usage": {}}), "cost nothing"),
        (json!({"usage": {"input": -1}}), "-1"),
        (
            json!({"usage": {"input": 1_u64 << 53, "output": 1}}),
            "2^53",
        ),
        (
            json!({"usage": {"output": 1, "reasoning": 2}}),
            "part of `output`",
        ),
        (
            json!({"usage": {"output": 1}, "tokens": 1}),
            "one of the two",
        ),
        (json!({}), "one of the two"),
        (
            json!({"provider": "unknown", "tokens": 1}),
            "there is no provider unknown",
        ),
        (
            json!({"bottle": "nobody", "tokens": 1}),
            "there is no bottle named nobody",
        ),
    ] {
        let answer = raw.ask("budget.charge", charge(more.clone())).await?;
        let message = answer["error"]["message"].as_str().context("a sentence")?;
        assert!(message.contains(needle), "{more}: {message}");
        let hint = answer["error"]["data"]["hint"].as_str();
        assert!(
            hint.is_some_and(|hint| !hint.is_empty()),
            "{more}: {answer}"
        );
    }
    assert_eq!(host(&mut raw).await?, (0, 0));
    assert_eq!(
        raw.result("ledger.verify", json!({})).await?["entries"],
        before
    );
    let most = charge(json!({"tokens": 1_u64 << 53}));
    assert_eq!(
        raw.result("budget.charge", most).await?["charge"],
        1_u64 << 53
    );
    Ok(())
}
