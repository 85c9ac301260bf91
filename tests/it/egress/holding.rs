//! Nobody sees the end of an answer before its charge is on disk.
//!
//! The ledger's file is locked by the test, so that no charge can be written, and given back.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_tests::harness::{Answer, System};
use bb_tests::provider::{Chunking, Provider, Script};

use super::charges::{File, charges, only_charge};
use super::raw::{NOTHING, SSE, Scene, read_bytes, read_while_it_comes};
use super::ways::{
    CHAT_UNASKED, CHAT_WHOLE, DOCUMENTS, Form, GEMINI_ARRAY, MESSAGES, MESSAGES_WHOLE, STREAMS,
    Way, within,
};

/// Returns where the event that ends an answer begins and ends; `None` if it is not there whole.
pub(super) fn end_event(way: &Way, text: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    for piece in way.pieces(text) {
        let piece = String::from_utf8_lossy(&piece);
        let end = start + piece.len();
        let is_whole = match way.form {
            Form::Events => piece.ends_with("\n\n") || piece.ends_with("\r\n\r\n"),
            Form::Array => piece.ends_with(']'),
            Form::Document => true,
        };
        if piece.contains(way.held) && is_whole {
            return Some((start, end));
        }
        start = end;
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_stream_waits_until_its_charge_is_on_disk() -> Result<()> {
    let scene = Scene::start("").await?;
    let file = File::open(&scene.system)?;
    for way in STREAMS.into_iter().chain([CHAT_UNASKED]) {
        let whole = way.ask_directly(&scene.system).await?.text();
        let (start, end) = end_event(&way, &whole).context(way.name)?;
        for split in [usize::MAX, 11] {
            let (answer, talk) = tokio::join!(scene.open(&way, &[]), async {
                let (mut talk, _) = scene.raw.next().await?;
                let head = match way.name {
                    "gemini, array" => SSE.replace("text/event-stream", "application/json"),
                    _ => SSE.to_owned(),
                };
                talk.say(head.as_bytes()).await?;
                anyhow::Ok(talk)
            });
            let (mut answer, mut talk) = (answer?, talk?);
            // The first event is on its way, with what is written down of it.
            let first = &way.pieces(&whole)[0];
            talk.chunk(first).await?;
            let mut seen = String::from_utf8(read_bytes(&mut answer, first.len()).await?)?;
            let (charged, lock) = (file.charged()?, file.lock()?);
            for piece in whole.as_bytes()[first.len()..].chunks(split.min(whole.len())) {
                talk.chunk(piece).await?;
            }
            talk.last_chunk().await?;
            seen += &read_while_it_comes(&mut answer).await?;
            let name = way.name;
            // An event that is not whole may be seen as far as it came.
            let most = if split == usize::MAX { start } else { end - 1 };
            // An array's comma may be held with the chunk behind it.
            let fits = (start - 3..=most).contains(&seen.len());
            assert!(fits && whole.starts_with(&seen), "{name}: {seen}");
            assert_eq!(file.charged()?, charged, "{name}");
            drop(lock);
            let (rest, is_whole) = within(answer.rest()).await?;
            assert!(is_whole, "{name}");
            assert_eq!(seen + &rest, whole, "{name}");
            assert_eq!(file.charged()?, charged + 1, "{name}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sees_the_end_finds_the_charge_in_the_ledger() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    let file = File::open(&system)?;
    let mut calls = 0;
    for way in STREAMS.into_iter().chain([CHAT_UNASKED]) {
        for chunking in [Chunking::Events, Chunking::Split(7)] {
            system.provider.enqueue(Script {
                chunking,
                ..Script::default()
            });
            let mut answer = way.open(&system, &web).await?;
            let mut seen = String::new();
            while end_event(&way, &seen).is_none() {
                let bytes = within(answer.next()).await??.context("it ended")?;
                seen.push_str(std::str::from_utf8(&bytes)?);
            }
            calls += 1;
            assert_eq!(file.charged()?, calls, "{} {chunking:?}", way.name);
        }
    }
    for way in DOCUMENTS {
        let _answer = way.open(&system, &web).await?;
        calls += 1;
        assert_eq!(file.charged()?, calls, "{}", way.name);
    }
    // As the socket tells it too.
    assert_eq!(i64::try_from(charges(&system, &web).await?.len())?, calls);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_not_shown_at_all_before_its_charge() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    let file = File::open(&system)?;
    for way in DOCUMENTS {
        let charged = file.charged()?;
        system.provider.enqueue(Script {
            first_byte_delay: Duration::from_millis(100),
            ..Script::default()
        });
        let mut asked = Box::pin(way.open(&system, &web));
        // Locked once it is reserved and forwarded.
        let called = system
            .provider
            .wait_for(|calls| i64::try_from(calls.len()).is_ok_and(|calls| calls > charged));
        tokio::select! {
            answer = &mut asked => panic!("answered by {answer:?}"),
            called = called => called?,
        };
        let lock = file.lock()?;
        let seen = tokio::time::timeout(Duration::from_millis(100) + NOTHING, &mut asked).await;
        assert!(seen.is_err(), "{}: {seen:?}", way.name);
        drop(lock);
        let (text, is_whole) = asked.await?.rest().await;
        assert!(is_whole && text.starts_with('{'), "{}: {text}", way.name);
        assert_eq!(file.charged()?, charged + 1, "{}", way.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_document_flows_and_its_last_frame_is_held() -> Result<()> {
    const LONG: usize = 1 << 20;
    let scene = Scene::start("").await?;
    let file = File::open(&scene.system)?;
    let text = "x".repeat(LONG);
    let document = format!(
        r#"{{"model":"claude-opus-4-8","id":"msg_1","type":"message","role":"assistant","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","usage":{{"input_tokens":31,"output_tokens":262144}}}}"#
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    for framing in [
        format!("content-length: {}\r\n\r\n", document.len()),
        "transfer-encoding: chunked\r\n\r\n".to_owned(),
    ] {
        let is_chunked = framing.starts_with("transfer");
        let (most, last) = document.as_bytes().split_at(LONG);
        let (answer, talk) = tokio::join!(scene.open(&MESSAGES_WHOLE, &[]), async {
            let (mut talk, _) = scene.raw.next().await?;
            talk.say(format!("{head}{framing}").as_bytes()).await?;
            if is_chunked {
                talk.chunk(most).await?;
            } else {
                talk.say(most).await?;
            }
            anyhow::Ok(talk)
        });
        let (mut answer, mut talk) = (answer?, talk?);
        // It flows before the provider has said all of it.
        let mut seen = read_bytes(&mut answer, LONG / 2).await?;
        let (charged, lock) = (file.charged()?, file.lock()?);
        if is_chunked {
            talk.chunk(last).await?;
            talk.last_chunk().await?;
        } else {
            talk.say(last).await?;
        }
        seen.extend_from_slice(read_while_it_comes(&mut answer).await?.as_bytes());
        assert!(seen.len() < document.len(), "all of it was seen");
        assert_eq!(file.charged()?, charged);
        drop(lock);
        let (rest, is_whole) = within(answer.rest()).await?;
        seen.extend_from_slice(rest.as_bytes());
        assert!(is_whole && seen == document.as_bytes(), "{}", seen.len());
        assert_eq!(file.charged()?, charged + 1);
    }
    let ledger = charges(&scene.system, &scene.web).await?;
    assert!(
        ledger
            .iter()
            .all(|charge| charge.tokens == 31 + 262_144 && !charge.is_estimated)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_behind_the_charge() -> Result<()> {
    let script = Script {
        trailers: vec![("x-cost".to_owned(), "17".to_owned())],
        ..Script::default()
    };
    let provider = Provider::start(script).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    for way in [
        MESSAGES,
        GEMINI_ARRAY,
        MESSAGES_WHOLE,
        CHAT_WHOLE,
        CHAT_UNASKED,
    ] {
        let answer: Answer = way.ask_with(&system, &web, &[("te", "trailers")]).await?;
        let name = way.name;
        assert!(answer.is_whole, "{name}");
        let trailers = answer.trailers.as_ref().context(name)?;
        assert_eq!(
            trailers.get("x-cost").map(http::HeaderValue::as_bytes),
            Some(b"17".as_slice())
        );
        assert!(
            answer.text().contains("hi") || answer.text().contains("file"),
            "{name}"
        );
    }
    super::charges::assert_exact(&system, &web, "with trailers").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_frame_of_a_long_document_is_held_before_its_trailers_too() -> Result<()> {
    let scene = Scene::start("").await?;
    let file = File::open(&scene.system)?;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntrailer: x-cost\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let headers = [("te", "trailers")];
    let (answer, talk) = tokio::join!(scene.open(&MESSAGES_WHOLE, &headers), async {
        let (mut talk, _) = scene.raw.next().await?;
        talk.say(head.as_bytes()).await?;
        talk.chunk(format!("{{\"x\":\"{}", "y".repeat(300_000)).as_bytes())
            .await?;
        talk.chunk(b"yyyy").await?;
        anyhow::Ok(talk)
    });
    let (mut answer, mut talk) = (answer?, talk?);
    let mut seen = read_bytes(&mut answer, 200_000).await?;
    seen.extend_from_slice(read_while_it_comes(&mut answer).await?.as_bytes());
    let lock = file.lock()?;
    talk.chunk(b"\"}").await?;
    talk.say(b"0\r\nx-cost: 17\r\n\r\n").await?;
    seen.extend_from_slice(read_while_it_comes(&mut answer).await?.as_bytes());
    assert!(!seen.ends_with(b"}"), "the end was seen");
    drop(lock);
    let (rest, is_whole) = within(answer.rest()).await?;
    assert!(is_whole && rest.ends_with("\"}"), "{rest}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_without_its_last_event_is_held_at_its_end() -> Result<()> {
    let scene = Scene::start("").await?;
    let file = File::open(&scene.system)?;
    let whole = MESSAGES.ask_directly(&scene.system).await?.text();
    let (start, _) = end_event(&MESSAGES, &whole).context("an end")?;
    let before = &whole[..start];
    let (answer, talk) = tokio::join!(scene.open(&MESSAGES, &[]), async {
        let (mut talk, _) = scene.raw.next().await?;
        talk.say(SSE.as_bytes()).await?;
        talk.chunk(before.as_bytes()).await?;
        anyhow::Ok(talk)
    });
    let (mut answer, mut talk) = (answer?, talk?);
    read_bytes(&mut answer, before.len()).await?;
    let lock = file.lock()?;
    talk.last_chunk().await?;
    let more = tokio::time::timeout(NOTHING, answer.next()).await;
    assert!(more.is_err(), "its end was seen: {more:?}");
    drop(lock);
    let (rest, is_whole) = within(answer.rest()).await?;
    assert_eq!((rest.as_str(), is_whole), ("", true));
    let charge = only_charge(&scene.system, &scene.web).await?;
    assert!(charge.is_estimated && charge.tokens > 0, "{charge:?}");
    Ok(())
}
