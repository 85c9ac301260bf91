//! The gate `exact`: requests are capped so that the provider itself stops in time, and what has no
//! bound is refused.

mod crowd;

use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_core::refusal::Reason;
use bb_proto::request::LedgerTail;
use bb_proto::usage::Wire;
use bb_tests::harness::{Answer, Bottle, System, send};
use bb_tests::provider::{Call, Kind, On, Provider, Script};
use http::Method;
use serde_json::{Value, json};

use super::budgets::{SPENT, assert_refused};
use super::charges::{assert_exact, budget, charges, only_call};
use super::ways::{
    self, CHAT_WHOLE, GEMINI, MESSAGES, MESSAGES_WHOLE, RESPONSES_WHOLE, Way, within,
};

const REFUSED: &str = "the budget of this bottle admits only calls whose tokens have a known upper \
                       bound, and this call has none; ask the operator";

async fn system(more: &str) -> Result<System> {
    let provider = Provider::start(Script::default()).await?;
    System::start(&provider, &format!("gate: exact\n{more}")).await
}

/// Makes a call of a way with a body of its own.
async fn ask(system: &System, bottle: &Bottle, way: &Way, body: &Value) -> Result<Answer> {
    ask_with(system, bottle, way, &[], body.to_string().as_bytes()).await
}

async fn ask_with(
    system: &System,
    bottle: &Bottle,
    way: &Way,
    more: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer> {
    let (name, value) = way.key_header(&bottle.token);
    let mut headers = vec![(name, value.as_str()), ("content-type", "application/json")];
    headers.extend(more);
    let body = bytes::Bytes::copy_from_slice(body);
    let target = way.target();
    within(send(&system.egress, Method::POST, &target, &headers, body)).await?
}

/// Returns the body of a call as its provider got it.
fn received(call: &Call) -> Value {
    serde_json::from_slice(&call.request.body).expect("JSON")
}

/// Returns what the provider billed of all calls.
fn billed(system: &System) -> u64 {
    system.provider.totals().billed.total()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_is_lowered_or_put_in_and_the_rest_of_a_request_is_as_it_was() -> Result<()> {
    for way in ways::all() {
        let system = system("").await?;
        let web = system.bottle_with("web", &[("all", 4_000)], |_| {}).await?;
        let answer = way.ask(&system, &web).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.is_whole),
            (200, true),
            "{}",
            way.name
        );
        let call = only_call(&system.provider);
        let (mut got, asked) = (received(&call), serde_json::from_str::<Value>(way.body)?);
        let cap = match way.wire {
            Wire::AnthropicMessages => got["max_tokens"].take(),
            Wire::OpenaiChat | Wire::OpenaiEmbeddings => got["max_completion_tokens"].take(),
            Wire::OpenaiResponses => got["max_output_tokens"].take(),
            Wire::Gemini => got["generationConfig"]["maxOutputTokens"].take(),
        };
        let cap = cap.as_u64().context(way.name)?;
        let most = cap + way.body.len() as u64 + 100;
        assert_eq!(most, 4_000, "{}: all that is left", way.name);
        for (name, value) in asked.as_object().context("an object")? {
            if name != "max_tokens" {
                assert_eq!(got[name], *value, "{}: {name}", way.name);
            }
        }
        let length = call.request.header("content-length").context("a length")?;
        assert_eq!(length, call.request.body.len().to_string());
        assert_exact(&system, &web, way.name).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_stops_where_the_budget_ends_and_nothing_crosses_it() -> Result<()> {
    for way in ways::all() {
        let system = system("").await?;
        let web = system.bottle_with("web", &[("all", 3_000)], |_| {}).await?;
        system.provider.set_script(Script {
            tokens: bb_tests::provider::Tokens::Output(100_000),
            ..Script::default()
        });
        let answer = way.ask(&system, &web).await?;
        assert_eq!(
            (answer.status.as_u16(), answer.is_whole),
            (200, true),
            "{}",
            way.name
        );
        let used = only_call(&system.provider).answer.stated;
        assert!(
            used.output > Some(2_000) && used.total() <= 3_000,
            "{used:?}"
        );
        assert_exact(&system, &web, way.name).await?;
        // What is left is less than the floor: alone, it does not fit.
        let next = way.ask(&system, &web).await?;
        assert_refused(&next, way.wire, SPENT);
        assert_eq!(system.provider.totals().calls, 1, "{}", way.name);
        let entries = system.call(LedgerTail::default()).await?.entries;
        let [entry] = entries.as_slice() else {
            panic!("{entries:?}")
        };
        assert_eq!(
            (entry.overrun.0, entry.unbounded),
            (0, false),
            "{}",
            way.name
        );
        assert_eq!(entry.capped, used.output, "{}", way.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn several_choices_and_a_budget_for_thinking_are_capped_too() -> Result<()> {
    let system = system("").await?;
    let web = system.bottle_with("web", &[("all", 6_000)], |_| {}).await?;
    system.provider.set_script(Script::costing(20, 90_000));
    let chat = json!({"model": "gpt-5", "n": 3, "max_tokens": 9_000, "messages": []});
    assert_eq!(ask(&system, &web, &CHAT_WHOLE, &chat).await?.status, 200);
    assert!(
        (5_000..=6_000).contains(&billed(&system)),
        "{}",
        billed(&system)
    );
    let api = system.bottle_with("api", &[("all", 6_000)], |_| {}).await?;
    let thinking = json!({"model": "claude-opus-4-8", "max_tokens": 64_000, "messages": [],
        "thinking": {"type": "enabled", "budget_tokens": 32_000}});
    let answer = ask(&system, &api, &MESSAGES_WHOLE, &thinking).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let calls = system.provider.calls();
    let got = received(calls.last().context("a call")?);
    let cap = got["max_tokens"].as_u64().context("a cap")?;
    assert!((5_000..6_000).contains(&cap), "{got}");
    assert_eq!(got["thinking"]["budget_tokens"], cap / 2);
    assert!(billed(&system) <= 12_000);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_request_is_capped_and_encoded_again() -> Result<()> {
    use std::io::Write as _;
    let system = system("").await?;
    let body = r#"{"model":"gpt-5","input":"say hi to the cat"}"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body.as_bytes())?;
    let zstd = zstd::encode_all(body.as_bytes(), 0)?;
    for (coding, encoded) in [("gzip", gzip.finish()?), ("zstd", zstd)] {
        let web = system
            .bottle_with(coding, &[("codex", 3_000)], |_| {})
            .await?;
        system.provider.enqueue(Script::costing(20, 90_000));
        let headers = [("content-encoding", coding)];
        let answer = ask_with(&system, &web, &RESPONSES_WHOLE, &headers, &encoded).await?;
        assert_eq!(answer.status, 200, "{coding}");
        let charge = charges(&system, &web).await?.pop().context("a charge")?;
        assert!(
            (2_000..=3_000).contains(&charge.tokens),
            "{coding}: {charge:?}"
        );
    }
    Ok(())
}

/// Calls that nothing bounds.
fn unbounded() -> [(Way, Value); 8] {
    let codex = |body: Value| (RESPONSES_WHOLE, body);
    let backend = Way {
        path: "/backend-api/codex/responses",
        ..RESPONSES_WHOLE
    };
    [
        codex(json!({"model": "gpt-5", "input": "x", "previous_response_id": "resp_1"})),
        codex(json!({"model": "gpt-5", "input": "x", "tools": [{"type": "web_search"}]})),
        codex(json!({"model": "gpt-5", "input": [{"content": [{"file_id": "f"}]}]})),
        (backend, json!({"model": "gpt-5", "input": "x"})),
        (
            MESSAGES_WHOLE,
            json!({"model": "m", "max_tokens": 9, "messages": [], "mcp_servers": [{"url": "u"}]}),
        ),
        (
            MESSAGES_WHOLE,
            json!({"model": "m", "max_tokens": 9,
                "messages": [{"content": [{"source": {"type": "url", "url": "https://a"}}]}]}),
        ),
        (
            CHAT_WHOLE,
            json!({"model": "m", "messages": [], "prediction": {"content": "x"}}),
        ),
        (GEMINI, json!({"contents": [], "cachedContent": "c"})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_bounds_is_refused_with_the_reason_and_closes_nothing() -> Result<()> {
    let system = system("").await?;
    let web = system
        .bottle_with("web", &[("all", 90_000)], |_| {})
        .await?;
    for (way, body) in unbounded() {
        let answer = ask(&system, &web, &way, &body).await?;
        assert_eq!(answer.status, 400, "{body}");
        let sentence = serde_json::from_slice::<Value>(&answer.body)?;
        assert_eq!(sentence["error"]["message"], REFUSED, "{body}");
        assert_eq!(
            answer.header("x-bot-bottle-reason"),
            Some("unbounded"),
            "{body}"
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
    assert_eq!(Reason::Unbounded.sentence(), REFUSED);
    assert_eq!(system.provider.totals().calls, 0);
    for way in ways::all() {
        assert_eq!(way.ask(&system, &web).await?.status, 200, "{}", way.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_bounds_is_admitted_and_flagged_where_that_is_said() -> Result<()> {
    let system = system("unbounded: estimate\n").await?;
    let web = system
        .bottle_with("web", &[("all", 90_000)], |_| {})
        .await?;
    for (way, body) in unbounded() {
        assert_eq!(ask(&system, &web, &way, &body).await?.status, 200, "{body}");
        let call = system.provider.calls().pop().context("a call")?;
        let mut sent = received(&call);
        if let Some(options) = sent.as_object_mut() {
            options.remove("stream_options");
        }
        assert_eq!(sent, body, "nothing was changed");
    }
    system.settled().await?;
    let entries = system.call(LedgerTail::default()).await?.entries;
    assert_eq!(entries.len(), unbounded().len());
    assert!(
        entries.iter().all(|it| it.unbounded && it.capped.is_none()),
        "{entries:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budgets_own_gate_comes_before_the_bottles_and_that_before_the_hosts() -> Result<()> {
    let more = "bottles:\n  loose:\n    gate: estimate\n  strict:\n    gate: exact\n\
                budget:\n  claude: 9000\n  codex:\n    limit: 9000\n    gate: exact\n";
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, more).await?;
    for (bottle, way, is_capped) in [
        ("loose", &MESSAGES_WHOLE, false),
        ("strict", &MESSAGES_WHOLE, true),
        ("plain", &MESSAGES_WHOLE, false),
        ("loose", &RESPONSES_WHOLE, true),
    ] {
        let bottle = system
            .bottle_with(bottle, &[], |it| it.renew = true)
            .await?;
        assert_eq!(way.ask(&system, &bottle).await?.status, 200);
        let got = received(&provider.calls().pop().context("a call")?);
        let cap = got["max_output_tokens"]
            .as_u64()
            .or(got["max_tokens"].as_u64());
        assert_eq!(cap.is_some_and(|cap| cap < 9_000), is_capped, "{got}");
        system
            .call(bb_proto::request::BottleEnded {
                name: bottle.name.clone(),
                run: bottle.registered.run,
                exit_code: 0,
            })
            .await?;
    }
    Ok(())
}

/// A body with a long text, of which a quarter of the bytes are tokens.
fn long() -> Value {
    let text = "say hi to the cat ".repeat(1_000);
    json!({"model": "claude-opus-4-8", "max_tokens": 64_000,
        "messages": [{"role": "user", "content": text}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_counts_the_input_is_asked_once_and_its_word_is_taken() -> Result<()> {
    let way = MESSAGES_WHOLE;
    let provider = Provider::start(Script::default()).await?;
    let settings = "    count_tokens: true\n";
    // The last of the providers' rows is gemini's; its own dialect is counted too.
    let system = System::start(&provider, &format!("{settings}gate: exact\n")).await?;
    let gemini = system
        .bottle_with("gemini", &[("gemini", 7_000)], |_| {})
        .await?;
    let text = "say hi to the cat ".repeat(1_000);
    let body = json!({"contents": [{"role": "user", "parts": [{"text": text}]}]});
    // Byte by byte it would not fit.
    let answer = ask(&system, &gemini, &GEMINI, &body).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let counts = |system: &System| {
        let requests = system.provider.requests();
        requests
            .iter()
            .filter(|it| it.request.kind == Kind::CountTokens)
            .count()
    };
    assert_eq!(counts(&system), 1);
    let gemini = system
        .bottle_with("again", &[("gemini", 7_000)], |_| {})
        .await?;
    assert_eq!(ask(&system, &gemini, &GEMINI, &body).await?.status, 200);
    assert_eq!(counts(&system), 1, "it is remembered");
    assert_eq!(
        charges(&system, &gemini).await?.len(),
        1,
        "a count is no call"
    );
    // Without a limit nobody is asked, and neither is one whose settings do not say so.
    let free = system.bottle("free").await?;
    assert_eq!(GEMINI.ask(&system, &free).await?.status, 200);
    let claude = system
        .bottle_with("claude", &[("claude", 7_000)], |_| {})
        .await?;
    let refused = ask(&system, &claude, &way, &long()).await?;
    assert_refused(&refused, way.wire, SPENT);
    assert_eq!(counts(&system), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_that_fails_leaves_a_token_a_byte() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let path = "/v1beta/models/gemini-2.5-flash:countTokens";
    provider.set_script_on(On::Path(path.to_owned()), Script::refusing(500));
    let system = System::start(&provider, "    count_tokens: true\ngate: exact\n").await?;
    let web = system
        .bottle_with("web", &[("gemini", 7_000)], |_| {})
        .await?;
    assert_eq!(GEMINI.ask(&system, &web).await?.status, 200);
    let got = received(&only_call(&provider));
    let cap = got["generationConfig"]["maxOutputTokens"].as_u64();
    assert_eq!(cap, Some(7_000 - 100 - GEMINI.body.len() as u64));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn by_estimate_an_agent_that_asks_for_far_more_than_it_uses_goes_and_so_does_one_beside_it()
-> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system
        .bottle_with("web", &[("claude", 6_000)], |_| {})
        .await?;
    let slow = Script {
        delay: Duration::from_millis(20),
        ..Script::costing(100, 900)
    };
    provider.set_script(slow);
    let mut first = MESSAGES.open(&system, &web).await?;
    let mut second = MESSAGES.open(&system, &web).await?;
    within(first.read_until("text_delta")).await??;
    within(second.read_until("text_delta")).await??;
    let pending = budget(&system, &format!("launch:{}", web.registered.run), "claude").await?;
    assert!(pending.pending.0 < 6_000, "{pending:?}");
    for answer in [first, second] {
        let (text, is_whole) = answer.rest().await;
        assert!(is_whole && text.contains("message_stop"), "{text}");
    }
    for call in provider.calls() {
        assert_eq!(received(&call)["max_tokens"], 64_000);
    }
    system.settled().await?;
    assert_exact(&system, &web, "both").await
}
