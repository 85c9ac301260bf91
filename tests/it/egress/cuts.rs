//! Streams that are cut: ended in their dialect at an event's end, settled, and left upstream.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_proto::event::{Actor, EventKind};
use bb_proto::reply::{Acted, Ending};
use bb_proto::request::{AuditList, BottleCutoff, BottleRegister, BottleRestore};
use bb_proto::view::BottleState;
use bb_tests::harness::{Bottle, Streamed, System, send};
use bb_tests::provider::{Chunking, Ending as Ended, Provider, Script};
use http::Method;
use serde_json::Value;

use super::budgets::{SHARED_SPENT, SPENT, assert_refused, spend};
use super::charges::{Charge, File, charges, events, only_charge, shown};
use super::holding::end_event;
use super::raw::{Connection, SSE, Scene, read_bytes, read_while_it_comes};
use super::spoken::{Ended as Last, read};
use super::ways::{
    self, CHAT, CHAT_UNASKED, DOCUMENTS, Form, GEMINI, GEMINI_ARRAY, MESSAGES, MESSAGES_WHOLE,
    RESPONSES, STREAMS, Way, together, within,
};

const OPERATOR: &str = "the operator has cut this bottle off";

/// The bytes of an array's comma, which may come with the chunk behind it.
const COMMA: usize = 3;

async fn cut_off(system: &System, bottle: &Bottle) -> Result<Acted> {
    let order = BottleCutoff {
        names: vec![bottle.name.clone()],
        why: Some("enough".to_owned()),
        ..BottleCutoff::default()
    };
    Ok(system.call(order).await?)
}

async fn restore(system: &System, bottle: &Bottle) -> Result<Acted> {
    let order = BottleRestore {
        names: vec![bottle.name.clone()],
        ..BottleRestore::default()
    };
    Ok(system.call(order).await?)
}

/// Asserts that a stream was ended with a sentence, where its client would show it.
fn assert_ended(way: &Way, body: &str, sentence: &str) {
    let spoken = read(way, body);
    assert_eq!(
        spoken.ended,
        Last::Saying(sentence.to_owned()),
        "{}: {body}",
        way.name
    );
}

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

/// A call of a way whose provider has said its head.
async fn begin(scene: &Scene, way: &Way) -> Result<(Streamed, Connection)> {
    let head = match way.form {
        Form::Array => SSE.replace("text/event-stream", "application/json"),
        Form::Events | Form::Document => SSE.to_owned(),
    };
    let (answer, talk) = tokio::join!(scene.open(way, &[]), async {
        let (mut talk, _) = scene.raw.next().await?;
        talk.say(head.as_bytes()).await?;
        anyhow::Ok(talk)
    });
    Ok((answer.context(way.name)?, talk?))
}

/// A scripted answer with thoughts, text and a tool call, as its pieces.
async fn rich_pieces(scene: &Scene, way: &Way) -> Result<Vec<bytes::Bytes>> {
    let script = Script {
        thinking: Some("First I look at the file, then at the cat.".to_owned()),
        tool: Some(bb_tests::provider::Tool::Named {
            name: "Bash".to_owned(),
            input: r#"{"command":"true"}"#.to_owned(),
        }),
        events: 4,
        ..Script::default()
    };
    scene.system.provider.enqueue(script);
    let whole = way.ask_directly(&scene.system).await?;
    Ok(way.pieces(&whole.text()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_be_ended_behind_each_of_its_events() -> Result<()> {
    let scene = Scene::start("").await?;
    for way in STREAMS.into_iter().chain([CHAT_UNASKED]) {
        let pieces = rich_pieces(&scene, &way).await?;
        // The event that ends the answer would be held: it is no place for a cut.
        let end = pieces
            .iter()
            .position(|it| String::from_utf8_lossy(it).contains(way.held))
            .context(way.name)?;
        for count in 0..=end.min(pieces.len() - 1) {
            let (mut answer, mut talk) = begin(&scene, &way).await?;
            let said = pieces[..count].concat();
            talk.chunk_if_any(&said).await?;
            let mut seen = read_bytes(&mut answer, said.len()).await?;
            let acted = cut_off(&scene.system, &scene.web).await?;
            assert_eq!(acted.targets[0].streams_ended, 1, "{}: {acted:?}", way.name);
            let (rest, is_whole) = within(answer.rest()).await?;
            seen.extend_from_slice(rest.as_bytes());
            let seen = String::from_utf8(seen)?;
            let what = format!("{} behind {count}: {seen}", way.name);
            assert!(is_whole, "{what}");
            assert!(seen.as_bytes().starts_with(&said), "{what}");
            assert_ended(&way, &seen, OPERATOR);
            talk.left().await?;
            scene.system.settled().await?;
            let charge = charges(&scene.system, &scene.web)
                .await?
                .pop()
                .context("a call")?;
            assert_eq!(charge.ending, Ending::Cut, "{what}");
            assert!(
                charge.is_estimated && charge.tokens > 0,
                "{what}: {charge:?}"
            );
            restore(&scene.system, &scene.web).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn open_thoughts_and_tool_calls_stay_open_and_the_sentence_follows() -> Result<()> {
    let scene = Scene::start("").await?;
    let pieces = rich_pieces(&scene, &MESSAGES).await?;
    for (until, kind) in [
        ("thinking_delta", "thinking"),
        ("signature_delta", "thinking"),
        ("text_delta", "text"),
        ("input_json_delta", "tool_use"),
        (r#""type":"tool_use""#, "tool_use"),
    ] {
        let count = pieces
            .iter()
            .position(|it| String::from_utf8_lossy(it).contains(until))
            .context(until)?;
        let (mut answer, mut talk) = begin(&scene, &MESSAGES).await?;
        let said = pieces[..=count].concat();
        talk.chunk(&said).await?;
        let mut seen = read_bytes(&mut answer, said.len()).await?;
        cut_off(&scene.system, &scene.web).await?;
        seen.extend_from_slice(within(answer.rest()).await?.0.as_bytes());
        let spoken = read(&MESSAGES, &String::from_utf8(seen)?);
        assert_eq!(spoken.ended, Last::Saying(OPERATOR.to_owned()), "{until}");
        let blocks = spoken.blocks.as_slice();
        if kind == "text" {
            // Closed; the error behind it is what the client shows.
            let last = blocks.last().context(until)?;
            assert!(
                last.kind == "text" && last.is_closed && last.text != OPERATOR,
                "{last:?}"
            );
        } else {
            let [.., open, sentence] = blocks else {
                panic!("{until}: {blocks:?}")
            };
            assert!(open.kind == kind && !open.is_closed, "{until}: {open:?}");
            assert!(
                sentence.kind == "text" && sentence.is_closed,
                "{until}: {sentence:?}"
            );
            assert_eq!(sentence.text, OPERATOR, "{until}");
        }
        scene.system.settled().await?;
        restore(&scene.system, &scene.web).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_within_an_event_waits_for_the_events_end() -> Result<()> {
    let scene = Scene::start("").await?;
    for way in STREAMS.into_iter().chain([CHAT_UNASKED]) {
        let pieces = rich_pieces(&scene, &way).await?;
        let whole = pieces.concat();
        let (at, piece) = (pieces[..5].concat().len(), &pieces[5]);
        for more in [0, 30] {
            let (mut answer, mut talk) = begin(&scene, &way).await?;
            let within_event = at + piece.len() / 2;
            talk.chunk(&whole[..within_event]).await?;
            // A chat client that asked for no usage gets whole events only.
            let shown = if way.body == CHAT_UNASKED.body {
                at
            } else {
                within_event
            };
            let mut seen = read_bytes(&mut answer, shown).await?;
            cut_off(&scene.system, &scene.web).await?;
            // The rest of the event, and the beginning of the next.
            let end = at + piece.len();
            talk.chunk(&whole[within_event..end + more]).await?;
            let (rest, is_whole) = within(answer.rest()).await?;
            seen.extend_from_slice(rest.as_bytes());
            let what = format!("{} and {more} more", way.name);
            assert!(is_whole, "{what}");
            let kept = end.min(seen.len());
            assert!(
                seen[..kept - COMMA] == whole[..kept - COMMA],
                "{what}: bytes are changed"
            );
            assert_ended(&way, &String::from_utf8(seen)?, OPERATOR);
            scene.system.settled().await?;
            restore(&scene.system, &scene.web).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_within_an_event_that_never_ends_breaks_the_stream_off() -> Result<()> {
    let scene = Scene::start("").await?;
    let pieces = rich_pieces(&scene, &MESSAGES).await?;
    let said = [pieces[..5].concat().as_slice(), b"event: content_block_de"].concat();
    let (mut answer, mut talk) = begin(&scene, &MESSAGES).await?;
    talk.chunk(&said).await?;
    read_bytes(&mut answer, said.len()).await?;
    let start = Instant::now();
    cut_off(&scene.system, &scene.web).await?;
    let (rest, is_whole) = within(answer.rest()).await?;
    assert_eq!((rest.as_str(), is_whole), ("", false));
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    talk.left().await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    assert!(
        charge.ending == Ending::Cut && charge.is_estimated,
        "{charge:?}"
    );
    assert_refused_by_operator(&scene.ask(&MESSAGES, &[]).await?);
    Ok(())
}

fn assert_refused_by_operator(answer: &bb_tests::harness::Answer) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.header("x-bot-bottle-reason"), Some("operator"));
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body["error"]["message"], OPERATOR);
    assert_eq!(answer.header("x-should-retry"), Some("false"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_by_itself_as_it_is_cut_is_charged_as_it_says() -> Result<()> {
    let scene = Scene::start("").await?;
    let file = File::open(&scene.system)?;
    for way in STREAMS {
        let whole = way.ask_directly(&scene.system).await?;
        let stated = scene
            .system
            .provider
            .calls()
            .pop()
            .context("a call")?
            .answer
            .stated;
        let pieces = way.pieces(&whole.text());
        let at = pieces[..5].concat().len() + pieces[5].len() / 2;
        let (mut answer, mut talk) = begin(&scene, &way).await?;
        talk.chunk(&whole.body[..at]).await?;
        let mut seen = read_bytes(&mut answer, at).await?;
        cut_off(&scene.system, &scene.web).await?;
        let lock = file.lock()?;
        // All the rest comes at once, before the cut could be made.
        talk.chunk(&whole.body[at..]).await?;
        talk.last_chunk().await?;
        seen.extend_from_slice(read_while_it_comes(&mut answer).await?.as_bytes());
        let (_, end) = end_event(&way, &whole.text()).context(way.name)?;
        assert!(
            seen.len() < end,
            "{}: its end was shown before its charge",
            way.name
        );
        drop(lock);
        let (rest, is_whole) = within(answer.rest()).await?;
        seen.extend_from_slice(rest.as_bytes());
        assert!(is_whole && seen == whole.body, "{}", way.name);
        scene.system.settled().await?;
        let charge = charges(&scene.system, &scene.web)
            .await?
            .pop()
            .context("a call")?;
        assert_eq!(
            (charge.usage, charge.is_estimated),
            (stated, false),
            "{}",
            way.name
        );
        restore(&scene.system, &scene.web).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_as_it_is_cut_is_charged_for_what_was_stated() -> Result<()> {
    let scene = Scene::start("").await?;
    let pieces = rich_pieces(&scene, &MESSAGES).await?;
    let stated = scene.system.provider.calls()[0].answer.stated;
    let said = [pieces[..9].concat().as_slice(), b"event: content_block_de"].concat();
    let (mut answer, mut talk) = begin(&scene, &MESSAGES).await?;
    talk.chunk(&said).await?;
    read_bytes(&mut answer, said.len()).await?;
    cut_off(&scene.system, &scene.web).await?;
    // The cut waits for the end of the event, and the client does not.
    drop(answer);
    talk.left().await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    let input = (
        charge.usage.input,
        charge.usage.cache_read,
        charge.usage.cache_write,
    );
    assert_eq!(
        input,
        (stated.input, stated.cache_read, stated.cache_write),
        "{charge:?}"
    );
    assert!(charge.usage.output > Some(3), "{charge:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_before_the_headers_is_a_whole_refusal() -> Result<()> {
    let provider = Provider::start(Script {
        first_byte_delay: Duration::from_mins(10),
        ..Script::default()
    })
    .await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    for way in ways::all() {
        let made = provider.calls().len();
        let (answer, acted) = tokio::join!(way.ask(&system, &web), async {
            provider.wait_for(|calls| calls.len() > made).await?;
            cut_off(&system, &web).await
        });
        assert_eq!(acted?.targets[0].streams_ended, 1, "{}", way.name);
        assert_refused_by_operator(&answer?);
        system.settled().await?;
        let charge = charges(&system, &web).await?.pop().context("a call")?;
        assert_eq!(charge.ending, Ending::Cut, "{}", way.name);
        assert!(charge.is_estimated && charge.tokens > 0, "{charge:?}");
        let over = |calls: &[bb_tests::provider::Call]| {
            calls.last().is_some_and(|it| it.answer.ending.is_some())
        };
        let call = provider.wait_for(over).await?.pop().context("a call")?;
        assert_eq!(call.answer.ending, Some(Ended::Aborted), "{}", way.name);
        restore(&system, &web).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_cut_is_a_whole_refusal() -> Result<()> {
    let scene = Scene::start("").await?;
    for way in DOCUMENTS {
        let mut asked = Box::pin(scene.ask(&way, &[]));
        let mut talk = tokio::select! {
            answer = &mut asked => panic!("{answer:?}"),
            talk = async {
                let (mut talk, _) = scene.raw.next().await?;
                talk.say(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                    content-length: 5000\r\n\r\n{\"id\":\"x\",").await?;
                anyhow::Ok(talk)
            } => talk?,
        };
        let (answer, acted) = tokio::join!(asked, cut_off(&scene.system, &scene.web));
        assert_eq!(acted?.targets[0].streams_ended, 1, "{}", way.name);
        assert_refused_by_operator(&answer?);
        talk.left().await?;
        scene.system.settled().await?;
        let charge = charges(&scene.system, &scene.web)
            .await?
            .pop()
            .context("a call")?;
        assert_eq!(charge.ending, Ending::Cut, "{}", way.name);
        restore(&scene.system, &scene.web).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_document_that_is_cut_breaks_off() -> Result<()> {
    let scene = Scene::start("").await?;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n";
    let (answer, talk) = tokio::join!(scene.open(&MESSAGES_WHOLE, &[]), async {
        let (mut talk, _) = scene.raw.next().await?;
        talk.say(head.as_bytes()).await?;
        talk.say(format!("{{\"x\":\"{}", "y".repeat(600_000)).as_bytes())
            .await?;
        anyhow::Ok(talk)
    });
    let (mut answer, mut talk) = (answer?, talk?);
    read_bytes(&mut answer, 300_000).await?;
    cut_off(&scene.system, &scene.web).await?;
    let (_, is_whole) = within(answer.rest()).await?;
    assert!(!is_whole);
    talk.left().await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    assert!(
        charge.ending == Ending::Cut && charge.tokens > 0,
        "{charge:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_stream_that_is_cut_breaks_off() -> Result<()> {
    let scene = Scene::start("").await?;
    let head = SSE.replace("\r\n\r\n", "\r\ncontent-encoding: br\r\n\r\n");
    let (answer, talk) = tokio::join!(scene.open(&MESSAGES, &[]), async {
        let (mut talk, _) = scene.raw.next().await?;
        talk.say(head.as_bytes()).await?;
        talk.chunk(&[7; 400]).await?;
        anyhow::Ok(talk)
    });
    let (mut answer, mut talk) = (answer?, talk?);
    read_bytes(&mut answer, 400).await?;
    cut_off(&scene.system, &scene.web).await?;
    let (rest, is_whole) = within(answer.rest()).await?;
    assert_eq!((rest.as_str(), is_whole), ("", false));
    talk.left().await?;
    let charge = only_charge(&scene.system, &scene.web).await?;
    assert!(charge.usage.output >= Some(100), "{charge:?}");
    assert_refused_by_operator(&scene.ask(&MESSAGES, &[]).await?);
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
async fn a_cut_does_not_wait_for_a_client_that_does_not_read() -> Result<()> {
    let scene = Scene::start("").await?;
    let pieces = rich_pieces(&scene, &MESSAGES).await?;
    let (start, delta) = (&pieces[..3].concat(), &pieces[3]);
    let (answer, mut talk) = begin(&scene, &MESSAGES).await?;
    talk.chunk(start).await?;
    // Until nothing flows any more, since no buffer on the way takes it.
    let deltas = delta.repeat(500);
    let mut said = 0;
    while let Ok(done) = tokio::time::timeout(Duration::from_millis(400), talk.chunk(&deltas)).await
    {
        done?;
        said += deltas.len();
    }
    assert!(said > 100_000, "{said}");
    let ordered = Instant::now();
    cut_off(&scene.system, &scene.web).await?;
    talk.left().await?;
    assert!(
        ordered.elapsed() < Duration::from_secs(5),
        "{:?}",
        ordered.elapsed()
    );
    let charge = only_charge(&scene.system, &scene.web).await?;
    assert_eq!(charge.ending, Ending::Cut);
    assert!(charge.usage.output > Some(10_000), "{charge:?}");
    // What was on its way may still be read; then the stream is over.
    let (text, is_whole) = within(answer.rest()).await?;
    assert!(text.len() <= said + start.len() + 1_000);
    if is_whole {
        assert!(text.ends_with("\n\n") && text.contains(OPERATOR));
    }
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
    assert_eq!(ask(Method::POST, count, MESSAGES.body).await??.status, 200);
    cut_off(&system, &web).await?;
    let made = provider.requests().len();
    for answer in [
        ask(Method::POST, count, MESSAGES.body).await??,
        ask(Method::GET, "/claude/v1/models", "").await??,
        ask(Method::POST, "/codex/v1/responses", RESPONSES.body).await??,
    ] {
        assert_refused_by_operator(&answer);
    }
    assert_eq!(provider.requests().len(), made);
    restore(&system, &web).await?;
    assert_eq!(ask(Method::POST, count, MESSAGES.body).await??.status, 200);
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
