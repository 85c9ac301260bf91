//! Answers that come to their end: charged as the provider counts, once.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_proto::reply::Ending;
use bb_proto::usage::{Usage, Wire};
use bb_tests::harness::System;
use bb_tests::provider::{Provider, Script};

use super::mitmproxy::Mitmproxy;
use super::{ASKED, ASKED_WHOLE, COUNTED, MESSAGES, Scene};

/// A way to ask: the provider's name, the path, the request, and the dialect.
struct Way(&'static str, &'static str, &'static str, Wire);

const WAYS: [Way; 6] = [
    Way("claude", MESSAGES, ASKED, Wire::AnthropicMessages),
    Way("claude", MESSAGES, ASKED_WHOLE, Wire::AnthropicMessages),
    Way(
        "codex",
        "/v1/chat/completions",
        r#"{"model":"gpt-5","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"say hi"}]}"#,
        Wire::OpenaiChat,
    ),
    Way(
        "codex",
        "/v1/chat/completions",
        r#"{"model":"gpt-5","messages":[{"role":"user","content":"say hi"}]}"#,
        Wire::OpenaiChat,
    ),
    Way(
        "codex",
        "/v1/responses?beta=true",
        r#"{"model":"gpt-5","stream":true,"input":"say hi"}"#,
        Wire::OpenaiResponses,
    ),
    Way(
        "codex",
        "/v1/responses",
        r#"{"model":"gpt-5","input":"say hi"}"#,
        Wire::OpenaiResponses,
    ),
];

/// What the provider states: with a part from a cache, and one that is reasoning.
fn stated(wire: Wire) -> Usage {
    Usage {
        input: Some(70),
        cache_read: Some(30),
        cache_write: (wire == Wire::AnthropicMessages).then_some(11),
        output: Some(40),
        reasoning: (wire != Wire::AnthropicMessages).then_some(15),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_charged_is_what_the_provider_counts_in_each_dialect() -> Result<()> {
    for name in ["claude", "codex"] {
        let Some(scene) = Scene::set_for(Script::default(), name).await? else {
            return Ok(());
        };
        let mut asked = 0;
        for Way(_, path, body, wire) in WAYS.iter().filter(|way| way.0 == name) {
            scene.provider.enqueue(Script::stating(stated(*wire)));
            let answer = scene.ask(path, body).await?;
            assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
            assert!(answer.is_whole, "{path} {body}");
            asked += 1;
            // At the end of the answer it is charged: nothing is waited for.
            let charged = scene.charged_now().await?;
            assert_eq!(charged.len(), asked, "{path} {body}");
            let (row, charge) = charged.last().context("a charge")?;
            let calls = scene.provider.calls();
            let call = calls.last().context("a call")?;
            assert_eq!(row.wire, *wire);
            assert_eq!(
                (row.ending, row.estimated, row.status),
                (Ending::Complete, false, Some(200)),
                "{path} {body}: {row:?}"
            );
            assert_eq!(row.usage.total(), call.answer.stated.total(), "{row:?}");
            assert_eq!(row.usage.input, call.answer.stated.input);
            assert_eq!(row.usage.output, call.answer.stated.output);
            assert_eq!(row.usage.cache_read, call.answer.stated.cache_read);
            assert_eq!(*charge, call.answer.stated.total());
        }
        assert_eq!(scene.charged().await?.len(), asked, "each once");
        // What spends nothing passes without a charge.
        let free = scene.ask("/v1/messages/count_tokens", COUNTED).await?;
        assert_ne!(free.status, 400);
        assert_eq!(scene.charged().await?.len(), asked);
        scene.end().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_while_it_flows_and_its_end_only_once_it_is_charged() -> Result<()> {
    let script = Script::slow(40, Duration::from_millis(20));
    let Some(scene) = Scene::set(script).await? else {
        return Ok(());
    };
    let mut answer = scene.open(ASKED).await?;
    let begun = answer.read_until("content_block_delta").await?;
    assert!(!begun.contains("message_stop"), "it came all at once");
    let call = &scene.provider.calls()[0];
    assert!(call.answer.ending.is_none(), "{call:?}");
    assert_eq!(scene.charged_now().await?.len(), 0);
    answer.read_until("event: message_stop").await?;
    let charged = scene.charged_now().await?;
    assert_eq!(charged.len(), 1);
    assert!(!charged[0].0.estimated);
    scene.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_flow_twice_is_asked_and_charged_once() -> Result<()> {
    let provider = Provider::start(Script::costing(60, 40)).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    let flows = system.folder().join("flows");
    let kept = flows.display().to_string();
    let saving = ["-w", kept.as_str()];
    let Some(proxy) = Mitmproxy::start(system.home(), &provider, "claude", &saving).await? else {
        return Ok(());
    };
    let scene = Scene {
        provider,
        system,
        web,
        proxy,
    };
    assert_eq!(scene.ask(MESSAGES, ASKED_WHOLE).await?.status, 200);
    let Scene {
        provider,
        system,
        web,
        proxy,
    } = scene;
    proxy.end().await?;
    // mitmproxy sends it again, as the same flow, and ends.
    let replaying = [
        "--client-replay",
        kept.as_str(),
        "--set",
        "keepserving=false",
        "--set",
        "flow_detail=3",
    ];
    let again = Mitmproxy::start(system.home(), &provider, "claude", &replaying).await?;
    let said = again.context("mitmproxy was there")?.finish().await?;
    assert!(said.contains("this call was made before"), "{said}");
    assert_eq!(provider.calls().len(), 1);
    let rows = system.calls_of(&web).await?;
    assert_eq!((rows.rows.len(), rows.total.charge.0), (1, 100));
    Ok(())
}
