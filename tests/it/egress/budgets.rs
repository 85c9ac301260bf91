//! Budgets as agents meet them: warned, spent, refused, opened again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_proto::budget::Cap;
use bb_proto::event::{Actor, EventKind};
use bb_proto::reply::Ending;
use bb_proto::request::{BottleEnded, BottleRegister, BudgetRaise, BudgetSet, BudgetUnset};
use bb_proto::units::Tokens;
use bb_proto::usage::{Usage, Wire};
use bb_proto::view::{BottleState, ClosedBy};
use bb_tests::harness::{Answer, Bottle, System, send};
use bb_tests::provider::{Provider, Script};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::charges::{budget, charges, events, launch_key, shown};
use super::ways::{self, CHAT, GEMINI, MESSAGES, MESSAGES_WHOLE, RESPONSES_WHOLE, Way, within};

pub(super) const SPENT: &str =
    "this bottle has spent its token budget; ask the operator to raise it";
pub(super) const SHARED_SPENT: &str =
    "the token budget that this bottle shares is spent; ask the operator to raise it";

async fn system(more: &str) -> Result<System> {
    let provider = Provider::start(Script::default()).await?;
    System::start(&provider, more).await
}

/// Makes a call that costs so much, most of it output as the estimate learns the input, and is
/// served.
pub(super) async fn spend(system: &System, bottle: &Bottle, way: &Way, tokens: u64) -> Result<()> {
    system.provider.enqueue(Script::costing(20, tokens - 20));
    let answer = way.ask(system, bottle).await?;
    anyhow::ensure!(answer.status == 200 && answer.is_whole, "{answer:?}");
    Ok(())
}

/// The whole body of a refusal by a budget.
fn refusal(wire: Wire, sentence: &str) -> Value {
    match wire {
        Wire::AnthropicMessages => json!({
            "type": "error",
            "error": {"type": "billing_error", "message": sentence},
        }),
        Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses => json!({"error": {
            "message": sentence,
            "type": "invalid_request_error",
            "param": null,
            "code": "invalid_prompt",
        }}),
        Wire::Gemini => json!({"error": {
            "code": 400,
            "message": sentence,
            "status": "FAILED_PRECONDITION",
        }}),
    }
}

/// Asserts that an answer is the whole refusal of a spent budget.
pub(super) fn assert_refused(answer: &Answer, wire: Wire, sentence: &str) {
    assert_eq!(answer.status, 400, "{answer:?}");
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body, refusal(wire, sentence));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert_eq!(answer.header("retry-after"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bottle_that_spent_its_budget_is_refused_in_every_dialect() -> Result<()> {
    let system = system("").await?;
    let web = system.bottle_with("web", &[("all", 2_000)], |_| {}).await?;
    spend(&system, &web, &MESSAGES, 2_100).await?;
    for way in ways::all() {
        let answer = way.ask(&system, &web).await?;
        assert_refused(&answer, way.wire, SPENT);
        for (header, value) in [
            ("x-bot-bottle-name", Some("web")),
            ("x-bot-bottle-reason", Some("budget")),
            ("x-bot-bottle-scope", Some("launch")),
            ("x-bot-bottle-limit", Some("2000")),
            ("x-bot-bottle-used", Some("2100")),
            ("x-bot-bottle-resets-at", None),
        ] {
            assert_eq!(answer.header(header), value, "{}: {header}", way.name);
        }
    }
    assert_eq!(system.provider.totals().calls, 1);
    let view = shown(&system, &web).await?;
    assert_eq!(
        (view.state, view.refusals, view.used_run.0),
        (BottleState::Cutoff, 9, 2_100)
    );
    // One of a kind each, and one refusal for all of them.
    for (kind, count) in [
        (EventKind::Warned, 1),
        (EventKind::Exhausted, 1),
        (EventKind::Cutoff, 3),
        (EventKind::Refused, 1),
    ] {
        let found = events(&system, kind).await?;
        assert_eq!(found.len(), count, "{kind:?}: {found:?}");
        assert!(
            found
                .iter()
                .all(|event| event.bottle.as_ref() == Some(&web.name))
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_bottle_that_keeps_asking_is_refused_within_a_few_milliseconds() -> Result<()> {
    let system = system("").await?;
    let web = system
        .bottle_with("web", &[("claude", 100)], |_| {})
        .await?;
    spend(&system, &web, &MESSAGES, 200).await?;
    let tcp = TcpStream::connect(&system.egress).await?;
    tcp.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
    let asked = async {
        let mut fastest = Duration::MAX;
        for _ in 0..100 {
            sender.ready().await?;
            let request = Request::post(MESSAGES.target())
                .header("host", "x")
                .header("x-api-key", &web.token)
                .body(Full::new(Bytes::from(MESSAGES.body)))?;
            let start = Instant::now();
            let answer = sender.send_request(request).await?;
            assert_eq!(answer.status(), 400);
            answer.into_body().collect().await?;
            fastest = fastest.min(start.elapsed());
        }
        anyhow::Ok(fastest)
    };
    let asked = async {
        tokio::select! {
            asked = asked => asked,
            ended = connection => anyhow::bail!("the connection ended: {ended:?}"),
        }
    };
    let fastest = within(asked).await??;
    // In a build without optimization, beside other tests.
    assert!(fastest < Duration::from_millis(5), "{fastest:?}");
    assert_eq!(shown(&system, &web).await?.refusals, 100);
    assert_eq!(system.provider.totals().calls, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bottle_is_warned_once_at_each_level() -> Result<()> {
    let system = system("").await?;
    let web = system
        .bottle_with("web", &[("claude", 1_000)], |_| {})
        .await?;
    let mut levels = Vec::new();
    for tokens in [400, 150, 30, 280, 100] {
        spend(&system, &web, &MESSAGES_WHOLE, tokens).await?;
        let warned = events(&system, EventKind::Warned).await?;
        levels.push(
            warned
                .iter()
                .map(|event| event.text.clone())
                .collect::<Vec<_>>(),
        );
        assert!(warned.iter().all(|event| event.actor == Actor::Budget));
    }
    let at = |level: u64| format!("the run budget for claude is at {level}% of 1000");
    let wanted = [
        vec![],
        vec![at(50)],
        vec![at(50)],
        vec![at(50), at(80)],
        vec![at(50), at(80), at(95)],
    ];
    assert_eq!(levels, wanted);
    let view = shown(&system, &web).await?;
    assert!(
        view.warned && view.state == BottleState::Running,
        "{view:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_of_a_provider_closes_that_provider_only() -> Result<()> {
    let system = system("").await?;
    let budgets = [("claude", 500), ("codex", 5_000)];
    let web = system.bottle_with("web", &budgets, |_| {}).await?;
    spend(&system, &web, &MESSAGES, 501).await?;
    assert_refused(&MESSAGES.ask(&system, &web).await?, MESSAGES.wire, SPENT);
    for way in [CHAT, RESPONSES_WHOLE, GEMINI] {
        spend(&system, &web, &way, 700).await?;
    }
    let view = shown(&system, &web).await?;
    assert_eq!(view.state, BottleState::Cutoff);
    let [closed] = view.closed.as_slice() else {
        panic!("{:?}", view.closed)
    };
    assert_eq!(closed.provider.to_string(), "claude");
    assert_eq!(closed.by, ClosedBy::Budget(launch_key(&web, "claude")?));
    let codex = budget(&system, &format!("launch:{}", web.registered.run), "codex").await?;
    assert_eq!(codex.used.0, 1_400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_all_counts_every_provider() -> Result<()> {
    let system = system("").await?;
    let web = system.bottle_with("web", &[("all", 1_000)], |_| {}).await?;
    for way in [MESSAGES, CHAT, GEMINI, RESPONSES_WHOLE] {
        spend(&system, &web, &way, 260).await?;
    }
    let all = budget(&system, &format!("launch:{}", web.registered.run), "all").await?;
    assert_eq!((all.used.0, all.exhausted_since.is_some()), (1_040, true));
    for way in [GEMINI, CHAT, MESSAGES] {
        assert_refused(&way.ask(&system, &web).await?, way.wire, SPENT);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_of_a_parent_is_shared_by_its_children() -> Result<()> {
    let more = "bottles:\n  base:\n    budget:\n      claude: 1000\n  web:\n    parent: base\n  \
                api:\n    parent: base\n  rich:\n    parent: base\n    budget:\n      claude: 5000\n";
    let system = system(more).await?;
    let (web, api) = (system.bottle("web").await?, system.bottle("api").await?);
    let rich = system.bottle("rich").await?;
    spend(&system, &web, &MESSAGES, 600).await?;
    spend(&system, &api, &MESSAGES, 300).await?;
    // One with a budget of its own counts on the pool, and is not bound by it.
    spend(&system, &rich, &MESSAGES, 200).await?;
    assert_eq!(
        budget(&system, "bottle:base", "claude").await?.used.0,
        1_100
    );
    for bottle in [&web, &api] {
        let answer = MESSAGES.ask(&system, bottle).await?;
        assert_refused(&answer, MESSAGES.wire, SHARED_SPENT);
        assert_eq!(answer.header("x-bot-bottle-scope"), Some("bottle:base"));
        assert_eq!(answer.header("x-bot-bottle-used"), Some("1100"));
    }
    spend(&system, &rich, &MESSAGES, 200).await?;
    let answer = CHAT.ask(&system, &web).await?;
    assert_eq!(answer.status, 200, "another provider: {answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_levels_are_those_of_budgets_given_at_a_launch_or_by_command() -> Result<()> {
    let provider = Provider::start(Script::costing(30, 10)).await?;
    let system = System::start(&provider, "warn:\n  - 10\n  - 30\n").await?;
    let web = system
        .bottle_with("web", &[("claude", 100)], |_| {})
        .await?;
    let launch = budget(&system, &format!("launch:{}", web.registered.run), "claude").await?;
    assert_eq!(launch.warn, [10, 30]);
    let set = BudgetSet {
        per_call: None,
        budget: "host/claude/total".parse()?,
        limit: Tokens(1_000),
        cap: Cap::Hard,
        ceiling: false,
        why: None,
        expect: None,
        request_id: None,
        dry_run: false,
    };
    let set = system.call(set).await?.budget.context("a budget")?;
    assert_eq!(set.warn, [10, 30]);
    MESSAGES_WHOLE.ask(&system, &web).await?;
    let warned = events(&system, EventKind::Warned).await?;
    let last = warned.last().context("a warning")?;
    assert_eq!(last.text, "the run budget for claude is at 30% of 100");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_soft_budget_warns_and_never_blocks() -> Result<()> {
    let more =
        "bottles:\n  web:\n    budget:\n      claude:\n        limit: 100\n        cap: soft\n";
    let system = system(more).await?;
    let web = system.bottle("web").await?;
    for _ in 0..3 {
        spend(&system, &web, &MESSAGES, 90).await?;
    }
    let soft = budget(&system, "bottle:web", "claude").await?;
    assert_eq!((soft.used.0, soft.warned), (270, vec![50, 80, 95, 100]));
    assert_eq!(shown(&system, &web).await?.state, BottleState::Running);
    assert_eq!(events(&system, EventKind::Cutoff).await?, []);
    assert!(!events(&system, EventKind::Warned).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceiling_binds_whatever_a_bottle_was_promised() -> Result<()> {
    let more = "budget:\n  claude:\n    limit: 1000\n    ceiling: true\n  codex: 1000\n";
    let system = system(more).await?;
    let budgets = [("claude", 100_000), ("codex", 100_000)];
    let web = system.bottle_with("web", &budgets, |_| {}).await?;
    let api = system.bottle("api").await?;
    spend(&system, &api, &MESSAGES, 700).await?;
    spend(&system, &web, &MESSAGES, 400).await?;
    for bottle in [&web, &api] {
        let answer = MESSAGES.ask(&system, bottle).await?;
        assert_refused(&answer, MESSAGES.wire, SHARED_SPENT);
        assert_eq!(answer.header("x-bot-bottle-reason"), Some("shared_budget"));
        assert_eq!(answer.header("x-bot-bottle-scope"), Some("host"));
    }
    // What is no ceiling is hidden by the launch's own.
    spend(&system, &web, &CHAT, 2_000).await?;
    assert_eq!(CHAT.ask(&system, &web).await?.status, 200);
    let answer = CHAT.ask(&system, &api).await?;
    assert_refused(&answer, CHAT.wire, SHARED_SPENT);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raise_opens_what_was_spent() -> Result<()> {
    let system = system("").await?;
    let web = system
        .bottle_with("web", &[("claude", 1_000)], |_| {})
        .await?;
    spend(&system, &web, &MESSAGES, 1_500).await?;
    assert_refused(&MESSAGES.ask(&system, &web).await?, MESSAGES.wire, SPENT);
    let raise = |by| BudgetRaise {
        for_ms: None,
        once: false,
        expect: None,
        budget: launch_key(&web, "claude").expect("a key"),
        by: Tokens(by),
        why: Some("the release".to_owned()),
        request_id: None,
        dry_run: false,
    };
    // Not far enough: it stays spent.
    let raised = system.call(raise(400)).await?;
    assert_eq!(raised.opened, []);
    assert_refused(&MESSAGES.ask(&system, &web).await?, MESSAGES.wire, SPENT);
    let raised = system.call(raise(2_000)).await?;
    assert_eq!(raised.opened, std::slice::from_ref(&web.name));
    assert_eq!(raised.budget.map(|it| it.limit), Some(Tokens(3_400)));
    assert_eq!(shown(&system, &web).await?.state, BottleState::Running);
    spend(&system, &web, &MESSAGES, 1_900).await?;
    assert_refused(&MESSAGES.ask(&system, &web).await?, MESSAGES.wire, SPENT);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_set_by_command_binds_at_once_and_counts_from_the_start() -> Result<()> {
    let system = system("").await?;
    let web = system.bottle("web").await?;
    spend(&system, &web, &MESSAGES, 800).await?;
    let set = BudgetSet {
        per_call: None,
        expect: None,
        budget: "bottle:web/claude/total".parse()?,
        limit: Tokens(700),
        cap: Cap::Hard,
        ceiling: false,
        why: None,
        request_id: None,
        dry_run: false,
    };
    system.call(set).await?;
    let answer = MESSAGES.ask(&system, &web).await?;
    assert_refused(&answer, MESSAGES.wire, SPENT);
    assert_eq!(answer.header("x-bot-bottle-used"), Some("800"));
    let unset = BudgetUnset {
        expect: None,
        budget: "bottle:web/claude/total".parse()?,
        why: None,
        request_id: None,
        dry_run: false,
    };
    system.call(unset).await?;
    spend(&system, &web, &MESSAGES, 100).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_begins_anew_and_a_total_goes_on() -> Result<()> {
    let more = "bottles:\n  web:\n    budget:\n      codex: 1000\n";
    let system = system(more).await?;
    let launch = |it: &mut BottleRegister| it.agent = None;
    let first = system
        .bottle_with("web", &[("claude", 500)], launch)
        .await?;
    spend(&system, &first, &MESSAGES, 600).await?;
    spend(&system, &first, &CHAT, 700).await?;
    assert_refused(&MESSAGES.ask(&system, &first).await?, MESSAGES.wire, SPENT);
    let ended = BottleEnded {
        name: first.name.clone(),
        run: first.registered.run,
        exit_code: 0,
    };
    system.call(ended).await?;
    let second = system
        .bottle_with("web", &[("claude", 500)], launch)
        .await?;
    spend(&system, &second, &MESSAGES, 400).await?;
    spend(&system, &second, &CHAT, 400).await?;
    assert_refused(&CHAT.ask(&system, &second).await?, CHAT.wire, SPENT);
    let view = shown(&system, &second).await?;
    assert_eq!((view.used_run.0, view.used_total.0), (800, 2_100));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_change_what_is_charged_and_not_what_is_kept() -> Result<()> {
    let provider = Provider::start(Script::stating(Usage {
        input: Some(100),
        cache_read: Some(30_005),
        cache_write: Some(40),
        output: Some(9),
        reasoning: None,
    }))
    .await?;
    let url = provider.url();
    let rows = format!(
        "  cheap:\n    copies: claude\n    upstream: {url}\n    weights:\n      cache_read: 0.1\n      \
         output: 5\n"
    );
    let system = System::start(&provider, &rows).await?;
    let web = system.bottle("web").await?;
    let target = format!("/b/{}/cheap/v1/messages", web.token);
    let sent = send(&system.egress, Method::POST, &target, &[], MESSAGES.body);
    assert_eq!(within(sent).await??.status, 200);
    let charge = charges(&system, &web).await?.pop().context("a charge")?;
    assert_eq!(charge.usage.cache_read, Some(30_005));
    assert_eq!(charge.usage.output, Some(9));
    // 100 + 3000.5 + 40 + 45, in full: a part of a token is a token.
    assert_eq!(charge.tokens, 3_186);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_call_is_refused_under_a_budget_and_passes_without() -> Result<()> {
    let system = system("").await?;
    let web = system
        .bottle_with("web", &[("codex", 10_000)], |_| {})
        .await?;
    let free = system.bottle("free").await?;
    let way = Way {
        body: r#"{"model":"gpt-5","input":"say hi","background":true}"#,
        ..RESPONSES_WHOLE
    };
    let answer = way.ask(&system, &web).await?;
    assert_eq!(answer.header("x-bot-bottle-reason"), Some("background"));
    assert_eq!(answer.status, 400);
    assert_eq!(way.ask(&system, &free).await?.status, 200);
    assert_eq!(system.provider.totals().calls, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_scope_is_one_account_over_all_its_bottles() -> Result<()> {
    let more = "agents:\n  reviewer:\n    budget:\n      claude: 1000\n";
    let system = system(more).await?;
    let named = |it: &mut BottleRegister| it.agent = Some("reviewer".parse().expect("a name"));
    let web = system.bottle_with("web", &[], named).await?;
    let api = system.bottle_with("api", &[], named).await?;
    let other = system.bottle("other").await?;
    spend(&system, &web, &MESSAGES, 500).await?;
    spend(&system, &other, &MESSAGES, 5_000).await?;
    spend(&system, &api, &MESSAGES, 500).await?;
    for bottle in [&web, &api] {
        let answer = MESSAGES.ask(&system, bottle).await?;
        assert_refused(&answer, MESSAGES.wire, SHARED_SPENT);
        assert_eq!(answer.header("x-bot-bottle-scope"), Some("agent:reviewer"));
        assert_eq!(answer.header("x-bot-bottle-limit"), Some("1000"));
    }
    spend(&system, &other, &MESSAGES, 5_000).await?;
    let ledger = charges(&system, &api).await?;
    assert!(
        ledger
            .iter()
            .all(|it| it.ending == Ending::Complete && it.tokens == 500)
    );
    Ok(())
}
