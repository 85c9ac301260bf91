//! Streams that are cut: ended in their dialect at an event's end, settled, and left upstream.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_proto::reply::{Acted, Ending};
use bb_proto::request::{BottleCutoff, BottleRestore};
use bb_tests::harness::{Bottle, Streamed, System};
use bb_tests::provider::{Ending as Ended, Provider, Script};
use serde_json::Value;

use super::charges::{File, charges, only_charge};
use super::holding::end_event;
use super::raw::{Connection, SSE, Scene, read_bytes, read_while_it_comes};
use super::spoken::{Ended as Last, read};
use super::ways::{
    self, CHAT_UNASKED, DOCUMENTS, Form, MESSAGES, MESSAGES_WHOLE, STREAMS, Way, within,
};

pub(super) const OPERATOR: &str = "the operator has cut this bottle off";

/// The bytes of an array's comma, which may come with the chunk behind it.
const COMMA: usize = 3;

pub(super) async fn cut_off(system: &System, bottle: &Bottle) -> Result<Acted> {
    let order = BottleCutoff {
        names: vec![bottle.name.clone()],
        why: Some("enough".to_owned()),
        ..BottleCutoff::default()
    };
    Ok(system.call(order).await?)
}

pub(super) async fn restore(system: &System, bottle: &Bottle) -> Result<Acted> {
    let order = BottleRestore {
        names: vec![bottle.name.clone()],
        ..BottleRestore::default()
    };
    Ok(system.call(order).await?)
}

/// Asserts that a stream was ended with a sentence, where its client would show it.
pub(super) fn assert_ended(way: &Way, body: &str, sentence: &str) {
    let spoken = read(way, body);
    assert_eq!(
        spoken.ended,
        Last::Saying(sentence.to_owned()),
        "{}: {body}",
        way.name
    );
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

/// Asserts that an answer is the whole refusal of a bottle that the operator cut off.
pub(super) fn assert_refused_by_operator(answer: &bb_tests::harness::Answer) {
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
