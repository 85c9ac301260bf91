//! Orders that can be repeated, that hold only for what was seen, and that are only rehearsed.

use anyhow::{Context as _, Result};
use bb_proto::request::Snapshot;
use bb_tests::harness::{System, stream};
use bb_tests::provider::{Provider, Script};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::raw::Raw;
use super::{system, system_with};

async fn limit(raw: &mut Raw) -> Result<Value> {
    let budgets = raw.result("budget.list", json!({})).await?;
    Ok(budgets["budgets"][0]["limit"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_twice_gives_the_first_answer_and_is_counted_once() -> Result<()> {
    let (_system, mut raw) = system_with("budget:\n  claude: 1000\n").await?;
    let raise = |by: u64| json!({"budget": "host/claude/total", "by": by, "request_id": "r1"});
    let first = raw.result("budget.raise", raise(500)).await?;
    assert_eq!(first["budget"]["limit"], 1_500);
    let second = raw.result("budget.raise", raise(500)).await?;
    assert_eq!(second, first);
    assert_eq!(limit(&mut raw).await?, 1_500);

    for (method, params) in [
        ("budget.raise", raise(501)),
        (
            "budget.raise",
            json!({"budget": "host/claude/total", "by": 500, "dry_run": true, "request_id": "r1"}),
        ),
        (
            "bottle.register",
            json!({"name": "web", "request_id": "r1"}),
        ),
    ] {
        let (word, sentence) = raw.refused(method, params).await?;
        assert_eq!(word, "request_id_reused");
        assert!(sentence.contains("\"r1\""), "{sentence}");
    }
    assert_eq!(limit(&mut raw).await?, 1_500);
    // A refusal is an answer too.
    let wrong = json!({"budget": "host/codex/total", "by": 1, "request_id": "r2"});
    let refused = raw.refused("budget.raise", wrong.clone()).await?;
    assert_eq!(refused.0, "not_found");
    raw.result(
        "budget.set",
        json!({"budget": "host/codex/total", "limit": 1}),
    )
    .await?;
    assert_eq!(raw.refused("budget.raise", wrong).await?, refused);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_from_many_at_once_is_counted_once() -> Result<()> {
    let (system, mut raw) = system_with("budget:\n  claude: 1000\n").await?;
    let mut askers = JoinSet::new();
    for _ in 0..16 {
        let mut raw = Raw::connect(system.home()).await?;
        askers.spawn(async move {
            let raise = json!({"budget": "host/claude/total", "by": 7, "request_id": "same"});
            raw.result("budget.raise", raise).await
        });
    }
    let mut answers = Vec::new();
    while let Some(answer) = askers.join_next().await {
        answers.push(answer??);
    }
    assert_eq!(limit(&mut raw).await?, 1_007);
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_holds_only_for_what_was_seen() -> Result<()> {
    let (_system, mut raw) = system().await?;
    let web = raw
        .result("bottle.register", json!({"name": "web"}))
        .await?;
    let other = raw
        .result("bottle.register", json!({"name": "other"}))
        .await?;
    let seen = raw.result("bottle.show", json!({"name": "web"})).await?["revision"].clone();
    let order = |expect: Value| json!({"names": ["web"], "if": expect});
    let (word, _) = raw
        .refused("bottle.cutoff", order(json!({"run": other["run"]})))
        .await?;
    assert_eq!(word, "conflict");
    let both = json!({"run": web["run"], "revision": seen});
    let done = raw.result("bottle.cutoff", order(both.clone())).await?;
    assert_eq!(done["targets"][0]["changed"], true);
    // It changed since: by this very order.
    let (word, _) = raw.refused("bottle.restore", order(both)).await?;
    assert_eq!(word, "conflict");
    for method in [
        "bottle.cutoff",
        "bottle.restore",
        "bottle.stop",
        "bottle.remove",
    ] {
        let (word, _) = raw
            .refused(method, order(json!({"revision": seen})))
            .await?;
        assert_eq!(word, "conflict", "{method}");
    }
    let shown = raw.result("bottle.show", json!({"name": "web"})).await?;
    assert_eq!(shown["bottle"]["state"], "cutoff");
    let now = order(json!({"revision": shown["revision"]}));
    raw.result("bottle.restore", now).await?;
    // What happens to another bottle is no change of this one.
    let seen = raw.result("bottle.show", json!({"name": "web"})).await?["revision"].clone();
    raw.result("bottle.cutoff", json!({"names": ["other"]}))
        .await?;
    raw.result("bottle.cutoff", order(json!({"revision": seen})))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_several_is_carried_out_on_all_or_on_none() -> Result<()> {
    let (_system, mut raw) = system().await?;
    for name in ["one", "two"] {
        raw.result("bottle.register", json!({"name": name})).await?;
    }
    for method in ["bottle.cutoff", "bottle.stop"] {
        let (word, sentence) = raw
            .refused(method, json!({"names": ["one", "nobody", "two"]}))
            .await?;
        assert_eq!(word, "not_found");
        assert!(sentence.contains("nobody"), "{sentence}");
    }
    let shown = raw.result("bottle.show", json!({"name": "one"})).await?;
    assert_eq!(shown["bottle"]["state"], "running");
    let (word, _) = raw.refused("bottle.cutoff", json!({"names": []})).await?;
    assert_eq!(word, "invalid_params");
    // One that is so already is done, not an error; one named twice is done once.
    let done = raw
        .result("bottle.cutoff", json!({"names": ["two", "one", "two"]}))
        .await?;
    let said: Vec<_> = done["targets"]
        .as_array()
        .context("targets")?
        .iter()
        .map(|target| (target["name"].clone(), target["changed"].clone()))
        .collect();
    assert_eq!(
        said,
        [
            (json!("two"), json!(true)),
            (json!("one"), json!(true)),
            (json!("two"), json!(false))
        ]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_says_what_the_order_then_does_and_changes_nothing() -> Result<()> {
    let provider =
        Provider::start(Script::slow(2_000, std::time::Duration::from_millis(20))).await?;
    let system = System::start(&provider, "budget:\n  claude: 50000\n").await?;
    let web = system.bottle("web").await?;
    let mut raw = Raw::connect(system.home()).await?;
    let headers = [("x-api-key", web.token.as_str())];
    let body = r#"{"model":"m","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let path = "/claude/v1/messages";
    let mut streamed = stream(&system.egress, Method::POST, path, &headers, body).await?;
    streamed.read_until("content_block_delta").await?;

    // A stopped bottle can be removed, a running one not: in this order each can be done.
    for (method, params, streams) in [
        (
            "budget.set",
            json!({"budget": "bottle:web/claude/total", "limit": 40_000}),
            None,
        ),
        (
            "budget.raise",
            json!({"budget": "bottle:web/claude/total", "by": 5}),
            None,
        ),
        (
            "budget.unset",
            json!({"budget": "bottle:web/claude/total"}),
            None,
        ),
        ("bottle.register", json!({"name": "late"}), None),
        ("bottle.cutoff", json!({"names": ["web"]}), Some(1)),
        ("bottle.restore", json!({"names": ["web"]}), Some(0)),
        ("bottle.stop", json!({"names": ["web"]}), Some(0)),
        ("bottle.remove", json!({"names": ["web"]}), Some(0)),
    ] {
        if method != "bottle.cutoff" && streams.is_some() {
            system.settled().await?;
        }
        let events = system.call(Snapshot::default()).await?.head.events;
        let bottles = raw.result("bottle.list", json!({})).await?["bottles"].clone();
        let mut rehearsal = params.clone();
        rehearsal["dry_run"] = json!(true);
        let would = raw.result(method, rehearsal).await?;
        let after = raw.result("bottle.list", json!({})).await?["bottles"].clone();
        assert_eq!(
            system.call(Snapshot::default()).await?.head.events,
            events,
            "{method}"
        );
        assert_eq!(
            names_and_states(&after),
            names_and_states(&bottles),
            "{method}"
        );
        let did = raw.result(method, params).await?;
        if let Some(streams) = streams {
            assert_eq!(would["dry_run"], true, "{method}");
            assert_eq!(did["dry_run"], false, "{method}");
            for answer in [&would, &did] {
                let target = &answer["targets"][0];
                assert_eq!(target["changed"], true, "{method}: {answer}");
                assert_eq!(target["streams_ended"], streams, "{method}: {answer}");
            }
        }
    }
    let (_, is_whole) = streamed.rest().await;
    assert!(is_whole);
    Ok(())
}

fn names_and_states(bottles: &Value) -> Vec<(Value, Value)> {
    let rows = bottles.as_array().into_iter().flatten();
    rows.map(|row| (row["name"].clone(), row["state"].clone()))
        .collect()
}
