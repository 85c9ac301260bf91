//! Whose streams end, and when: a budget that is crossed or shared, an order of the operator.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_proto::event::{Actor, EventKind};
use bb_proto::reply::Ending;
use bb_proto::request::{AuditList, BottleRegister};
use bb_proto::view::BottleState;
use bb_tests::harness::{System, send};
use bb_tests::provider::{Chunking, Ending as Ended, Provider, Script};
use http::Method;

use super::budgets::{SHARED_SPENT, SPENT, assert_refused, spend};
use super::charges::{Charge, charges, events, only_charge, shown};
use super::cuts::{OPERATOR, assert_ended, assert_refused_by_operator, cut_off, restore};
use super::spoken::{Ended as Last, read};
use super::ways::{
    CHAT, CHAT_UNASKED, COUNTED, GEMINI, GEMINI_ARRAY, MESSAGES, MESSAGES_WHOLE, RESPONSES,
    STREAMS, Way, together, within,
};

/// A long answer with much text in each event.
fn long() -> Script {
    let text = "The function returns early when there is nothing to do, and says so. ".repeat(20);
    Script {
        text: text.repeat(60),
        ..Script::slow(300, Duration::from_millis(2))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_crosses_its_budget_is_ended_where_it_crosses() -> Result<()> {
    const LIMIT: u64 = 5_000;
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "drain: 0s\n").await?;
    let mut number = 0;
    for way in STREAMS.into_iter().chain([CHAT_UNASKED]) {
        for chunking in [Chunking::Events, Chunking::Together(3), Chunking::Split(50)] {
            let what = format!("{} {chunking:?}", way.name);
            number += 1;
            let budgets = [(way.provider, LIMIT)];
            let bottle = system
                .bottle_with(&format!("b{number}"), &budgets, |_| {})
                .await?;
            provider.enqueue(Script { chunking, ..long() });
            let answer = way.ask(&system, &bottle).await?;
            assert_eq!(
                (answer.status.as_u16(), answer.is_whole),
                (200, true),
                "{what}"
            );
            assert_ended(&way, &answer.text(), SPENT);
            let charge = only_charge(&system, &bottle).await?;
            assert_eq!(charge.ending, Ending::Cut, "{what}");
            assert!(charge.is_estimated, "{what}: {charge:?}");
            // An event has some 350 tokens here; a few are under way when the ledger decides.
            let near = LIMIT..LIMIT + LIMIT / 2;
            assert!(near.contains(&charge.tokens), "{what}: {charge:?}");
            let over = |calls: &[bb_tests::provider::Call]| {
                calls.last().is_some_and(|it| it.answer.ending.is_some())
            };
            let call = provider.wait_for(over).await?.pop().context("a call")?;
            assert_eq!(call.answer.ending, Some(Ended::Aborted), "{what}");
            let billed = call.answer.billed.total();
            assert!(
                billed.abs_diff(charge.tokens) < LIMIT / 3,
                "{what}: {billed} {charge:?}"
            );
            let made = provider.totals().calls;
            assert_refused(&way.ask(&system, &bottle).await?, way.wire, SPENT);
            assert_eq!(provider.totals().calls, made, "{what}");
            assert_eq!(shown(&system, &bottle).await?.state, BottleState::Cutoff);
        }
    }
    let cut = events(&system, EventKind::Cutoff).await?;
    assert_eq!(cut.len(), number);
    assert!(
        cut.iter().all(|event| event.actor == Actor::Budget),
        "{cut:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_streams_of_all_bottles_that_share_a_spent_budget_are_ended() -> Result<()> {
    let more = "drain: 0s\nagents:\n  reviewer:\n    budget:\n      claude: 20000\n";
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, more).await?;
    let named = |it: &mut BottleRegister| it.agent = Some("reviewer".parse().expect("a name"));
    let web = system.bottle_with("web", &[], named).await?;
    let api = system.bottle_with("api", &[], named).await?;
    let idle = system.bottle_with("idle", &[], named).await?;
    let other = system.bottle("other").await?;
    // So slow that nothing but the order ends them.
    provider.set_script(Script::slow(100_000, Duration::from_mins(10)));
    let mut open = Vec::new();
    for bottle in [&web, &api, &web] {
        open.push(MESSAGES.open(&system, bottle).await?);
    }
    // Not bound: another provider, and a bottle of no agent.
    provider.set_script(Script::slow(100_000, Duration::from_millis(10)));
    let mut others = vec![CHAT.open(&system, &web).await?];
    others.push(MESSAGES.open(&system, &other).await?);
    spend(&system, &api, &MESSAGES_WHOLE, 20_000).await?;
    for answer in open {
        let (text, is_whole) = within(answer.rest()).await?;
        assert!(is_whole, "{text}");
        assert_ended(&MESSAGES, &text, SHARED_SPENT);
    }
    let view = shown(&system, &idle).await?;
    assert_eq!(
        view.state,
        BottleState::Running,
        "an idle one is not struck"
    );
    for bottle in [&web, &api, &idle] {
        assert_refused(
            &MESSAGES.ask(&system, bottle).await?,
            MESSAGES.wire,
            SHARED_SPENT,
        );
        assert_eq!(shown(&system, bottle).await?.state, BottleState::Cutoff);
    }
    for mut answer in others {
        within(answer.next()).await??.context("it goes on")?;
    }
    let ledger = charges(&system, &web).await?;
    let cut: Vec<&Charge> = ledger
        .iter()
        .filter(|it| it.ending == Ending::Cut)
        .collect();
    assert_eq!(cut.len(), 2, "{ledger:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_ends_fifty_streams_at_once() -> Result<()> {
    const STREAMS_OPEN: usize = 50;
    let script = Script::slow(100_000, Duration::from_millis(50));
    let provider = Provider::start(script).await?;
    let system = System::start(&provider, "").await?;
    let (web, other) = (system.bottle("web").await?, system.bottle("other").await?);
    let ways = [MESSAGES, RESPONSES, CHAT, GEMINI, GEMINI_ARRAY];
    let opened: Vec<Way> = ways.into_iter().cycle().take(STREAMS_OPEN).collect();
    let mut open = Vec::new();
    for answer in together(opened.iter().map(|way| way.open(&system, &web))).await {
        open.push(answer?);
    }
    let mut others = MESSAGES.open(&system, &other).await?;
    for answer in together(open.iter_mut().map(|it| within(it.next()))).await {
        answer??.context("each has begun")?;
    }
    let ordered = Instant::now();
    let (acted, ended) = tokio::join!(
        cut_off(&system, &web),
        together(open.into_iter().map(|it| within(it.rest())))
    );
    let took = ordered.elapsed();
    assert_eq!(acted?.targets[0].streams_ended, STREAMS_OPEN as u64);
    assert!(took < Duration::from_secs(5), "{took:?}");
    for (way, ended) in opened.iter().zip(ended) {
        let (text, is_whole) = ended?;
        assert!(is_whole, "{}: {text}", way.name);
        assert!(text.contains(OPERATOR), "{}: {text}", way.name);
    }
    let none = async || Ok(shown(&system, &web).await?.in_flight == 0);
    system.wait_until("all are settled", none).await?;
    let ledger = charges(&system, &web).await?;
    assert_eq!(ledger.len(), STREAMS_OPEN);
    let is_cut = |it: &Charge| it.ending == Ending::Cut && it.is_estimated && it.tokens > 0;
    assert!(ledger.iter().all(is_cut), "{ledger:?}");
    // The provider's last byte came soon after the order, and it saw all of them abort.
    let aborted = |it: &bb_tests::provider::Call| it.answer.ending == Some(Ended::Aborted);
    let calls = provider.wait_for(|calls| calls.iter().filter(|it| aborted(it)).count() == 50);
    for call in calls.await?.iter().filter(|it| aborted(it)) {
        let last = call.answer.last_byte_at.context("a byte")?;
        let late = last.saturating_duration_since(ordered);
        assert!(late < Duration::from_secs(2), "{late:?}");
    }
    within(others.next())
        .await??
        .context("another bottle's goes on")?;
    // The audit says who, what and why.
    let audit = system.call(AuditList::default()).await?.events;
    let order = audit
        .iter()
        .find(|it| it.kind == EventKind::Cutoff)
        .context("an entry")?;
    assert_eq!(order.actor, Actor::Operator);
    assert_eq!(order.why.as_deref(), Some("enough"));
    assert_eq!(order.bottle.as_ref(), Some(&web.name));
    assert!(order.text.contains("50"), "{order:?}");
    // Done again it is done already.
    let again = cut_off(&system, &web).await?;
    assert!(
        !again.targets[0].changed && again.targets[0].streams_ended == 0,
        "{again:?}"
    );
    assert_refused_by_operator(&MESSAGES.ask(&system, &web).await?);
    let restored = restore(&system, &web).await?;
    assert!(restored.targets[0].changed);
    provider.enqueue(Script::default());
    assert_eq!(MESSAGES.ask(&system, &web).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_closes_what_costs_nothing_too_and_a_spent_budget_does_not() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system
        .bottle_with("web", &[("claude", 100)], |_| {})
        .await?;
    spend(&system, &web, &MESSAGES, 200).await?;
    let headers = [("x-api-key", web.token.as_str())];
    let ask = |method, path, body: &'static str| {
        within(send(&system.egress, method, path, &headers, body))
    };
    let count = "/claude/v1/messages/count_tokens";
    assert_eq!(ask(Method::POST, count, COUNTED).await??.status, 200);
    cut_off(&system, &web).await?;
    let made = provider.requests().len();
    for answer in [
        ask(Method::POST, count, COUNTED).await??,
        ask(Method::GET, "/claude/v1/models", "").await??,
        ask(Method::POST, "/codex/v1/responses", RESPONSES.body).await??,
    ] {
        assert_refused_by_operator(&answer);
    }
    assert_eq!(provider.requests().len(), made);
    restore(&system, &web).await?;
    assert_eq!(ask(Method::POST, count, COUNTED).await??.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_in_flight_may_be_let_go_to_their_end() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "in_flight: finish\n").await?;
    let web = system
        .bottle_with("web", &[("claude", 5_000)], |_| {})
        .await?;
    provider.enqueue(long());
    let answer = MESSAGES.ask(&system, &web).await?;
    assert_eq!(read(&MESSAGES, &answer.text()).ended, Last::Normally);
    let charge = only_charge(&system, &web).await?;
    assert!(charge.tokens > 20_000 && !charge.is_estimated, "{charge:?}");
    assert_refused(&MESSAGES.ask(&system, &web).await?, MESSAGES.wire, SPENT);
    Ok(())
}
