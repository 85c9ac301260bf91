//! Encoded answers and requests: what passes is what was sent, and it is metered all the same.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use bb_tests::harness::{Answer, System, send};
use bb_tests::provider::{Provider, Script};
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::Method;

use super::charges::{Charge, File, charges, only_call, only_charge};
use super::raw::{NOTHING, Scene, read_bytes};
use super::ways::{self, CHAT, CHAT_UNASKED, Form, MESSAGES, MESSAGES_WHOLE, STREAMS, Way, within};

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn zlib(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn deflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn content_type(way: &Way) -> &'static str {
    match way.form {
        Form::Events => "text/event-stream",
        Form::Document | Form::Array => "application/json",
    }
}

/// Has a way's own answer sent in a coding, in pieces of 50 bytes; returns what the client got,
/// and what was charged.
async fn pass(scene: &Scene, way: &Way, coding: &str, encoded: &[u8]) -> Result<(Answer, Charge)> {
    let kind = content_type(way);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-encoding: {coding}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let (answer, said) = tokio::join!(scene.ask(way, &[]), async {
        let (mut talk, _) = scene.raw.next().await?;
        talk.say(head.as_bytes()).await?;
        for piece in encoded.chunks(50) {
            talk.chunk(piece).await?;
        }
        talk.last_chunk().await
    });
    said?;
    let answer = answer?;
    assert!(answer.is_whole, "{} {coding}: {answer:?}", way.name);
    assert_eq!(answer.body, encoded, "{} {coding}", way.name);
    assert_eq!(answer.header("content-encoding"), Some(coding));
    scene.system.settled().await?;
    let charge = charges(&scene.system, &scene.web).await?.pop();
    Ok((answer, charge.context("a charge")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_answers_are_metered_while_their_bytes_pass() -> Result<()> {
    let scene = Scene::start("").await?;
    for way in ways::all() {
        let whole = way.ask_directly(&scene.system).await?;
        let stated = scene
            .system
            .provider
            .calls()
            .pop()
            .context("a call")?
            .answer
            .stated;
        for (coding, encoded) in [
            ("gzip", gzip(&whole.body)?),
            ("x-gzip", gzip(&whole.body)?),
            ("deflate", zlib(&whole.body)?),
            ("deflate", deflate(&whole.body)?),
            ("zstd", zstd::encode_all(&*whole.body, 3)?),
        ] {
            let (_, charge) = pass(&scene, &way, coding, &encoded).await?;
            assert_eq!(charge.usage, stated, "{} {coding}", way.name);
            assert!(!charge.is_estimated, "{} {coding}", way.name);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_encoded_stream_waits_for_its_charge_too() -> Result<()> {
    let scene = Scene::start("").await?;
    let file = File::open(&scene.system)?;
    for way in STREAMS {
        let whole = way.ask_directly(&scene.system).await?;
        let pieces = way.pieces(&whole.text());
        let kind = content_type(&way);
        let (answer, talk) = tokio::join!(scene.open(&way, &[]), async {
            let (mut talk, _) = scene.raw.next().await?;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-encoding: gzip\r\n\
                 transfer-encoding: chunked\r\n\r\n"
            );
            talk.say(head.as_bytes()).await?;
            anyhow::Ok(talk)
        });
        let (mut answer, mut talk) = (answer.context(way.name)?, talk?);
        // Flushed at each event, as providers do.
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        let mut lock = None;
        for piece in &pieces {
            packer.write_all(piece)?;
            packer.flush()?;
            let encoded = std::mem::take(packer.get_mut());
            talk.chunk(&encoded).await?;
            if String::from_utf8_lossy(piece).contains(way.held) {
                break;
            }
            read_bytes(&mut answer, encoded.len()).await?;
            if lock.is_none() {
                lock = Some(file.lock()?);
            }
        }
        let more = tokio::time::timeout(NOTHING, answer.next()).await;
        assert!(more.is_err(), "{}: the end was seen: {more:?}", way.name);
        drop(lock);
        within(answer.next()).await??.context("the end")?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_decoded_passes_and_is_charged_by_estimate() -> Result<()> {
    let scene = Scene::start("").await?;
    for way in [MESSAGES, MESSAGES_WHOLE] {
        let whole = way.ask_directly(&scene.system).await?.body;
        let mut broken = gzip(&whole)?;
        for byte in &mut broken[20..] {
            *byte ^= 0x55;
        }
        for (coding, encoded) in [
            ("br", whole.to_vec()),
            ("zstd", whole.to_vec()),
            ("gzip, gzip", gzip(&gzip(&whole)?)?),
            ("gzip", broken),
            ("compress", whole.to_vec()),
        ] {
            let (_, charge) = pass(&scene, &way, coding, &encoded).await?;
            let what = format!("{} {coding}: {charge:?}", way.name);
            assert!(charge.is_estimated, "{what}");
            assert!(charge.usage.input > Some(0), "{what}");
            // Encoded bytes are fewer than those they stand for, but they are some.
            let least = encoded.len() as u64 / 4;
            assert!(charge.usage.output >= Some(least), "{what}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_grows_without_measure_is_not_decoded_to_its_end() -> Result<()> {
    let scene = Scene::start("").await?;
    let text = " ".repeat(64 << 20);
    let document = format!(
        r#"{{"type":"message","model":"m","content":[{{"type":"text","text":"{text}"}}],"usage":{{"input_tokens":1,"output_tokens":2}}}}"#
    );
    let bomb = gzip(document.as_bytes())?;
    assert!(bomb.len() < 100_000);
    let (_, charge) = pass(&scene, &MESSAGES_WHOLE, "gzip", &bomb).await?;
    assert!(charge.is_estimated, "{charge:?}");
    assert!(
        charge.usage.output >= Some(bomb.len() as u64 / 4),
        "{charge:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_request_passes_as_it_is_and_its_answer_is_metered() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    let body = gzip(MESSAGES.body.as_bytes())?;
    let headers = [
        ("x-api-key", web.token.as_str()),
        ("content-encoding", "gzip"),
    ];
    let target = MESSAGES.target();
    let sent = send(
        &system.egress,
        Method::POST,
        &target,
        &headers,
        body.clone(),
    );
    let answer = within(sent).await??;
    assert!(answer.text().contains("message_stop"), "{answer:?}");
    let call = only_call(&provider);
    assert_eq!(call.request.body, body);
    assert_eq!(call.request.header("content-encoding"), Some("gzip"));
    let charge = only_charge(&system, &web).await?;
    assert_eq!(
        (charge.usage, charge.is_estimated),
        (call.answer.stated, false)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_chat_request_is_encoded_again_where_usage_is_asked_for() -> Result<()> {
    let plain = CHAT_UNASKED.body.as_bytes();
    for (coding, body) in [
        ("gzip", gzip(plain)?),
        ("deflate", zlib(plain)?),
        ("zstd", zstd::encode_all(plain, 3)?),
    ] {
        let provider = Provider::start(Script::default()).await?;
        let system = System::start(&provider, "").await?;
        let web = system.bottle("web").await?;
        let token = format!("Bearer {}", web.token);
        let headers = [
            ("authorization", token.as_str()),
            ("content-encoding", coding),
        ];
        let target = CHAT_UNASKED.target();
        let sent = send(&system.egress, Method::POST, &target, &headers, body);
        let answer = within(sent).await??;
        // The client did not ask for usage, and does not see it.
        assert!(answer.text().ends_with("data: [DONE]\n\n"), "{answer:?}");
        assert!(!answer.text().contains("prompt_tokens"), "{answer:?}");
        let call = only_call(&provider);
        assert_eq!(call.request.header("content-encoding"), Some(coding));
        let charge = only_charge(&system, &web).await?;
        assert!(!charge.is_estimated, "{coding}: {charge:?}");
        assert_eq!(charge.usage, call.answer.stated, "{coding}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_chat_request_that_asks_for_usage_itself_passes_as_it_is() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system.bottle("web").await?;
    let body = gzip(CHAT.body.as_bytes())?;
    let token = format!("Bearer {}", web.token);
    let headers = [
        ("authorization", token.as_str()),
        ("content-encoding", "gzip"),
    ];
    let target = CHAT.target();
    let sent = send(
        &system.egress,
        Method::POST,
        &target,
        &headers,
        body.clone(),
    );
    within(sent).await??;
    assert_eq!(only_call(&provider).request.body, body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_encoded_request_asks_for_binds_it_as_if_it_were_plain() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "budget:\n  codex: 1M\n").await?;
    let web = system.bottle("web").await?;
    let token = format!("Bearer {}", web.token);
    let asked = br#"{"model":"gpt-5.2","input":"hi","background":true}"#;
    let zstd = zstd::encode_all(asked.as_slice(), 3)?;
    for (coding, body) in [
        ("identity", asked.to_vec()),
        ("gzip", gzip(asked)?),
        ("zstd", zstd),
    ] {
        let headers = [
            ("authorization", token.as_str()),
            ("content-encoding", coding),
        ];
        let path = "/codex/v1/responses";
        let sent = send(&system.egress, Method::POST, path, &headers, body);
        let answer = within(sent).await??;
        let reason = answer.header("x-bot-bottle-reason");
        assert_eq!(
            (answer.status.as_u16(), reason),
            (400, Some("background")),
            "{coding}: {answer:?}"
        );
    }
    assert!(provider.calls().is_empty());

    // One that may go passes as it came.
    let long = "Rename the function and run the tests again. ".repeat(4_000);
    let asked = format!(r#"{{"model":"gpt-5.2","input":"{long}"}}"#);
    let body = zstd::encode_all(asked.as_bytes(), 3)?;
    assert!(body.len() < asked.len() / 10);
    let headers = [
        ("authorization", token.as_str()),
        ("content-encoding", "zstd"),
    ];
    let sent = send(
        &system.egress,
        Method::POST,
        "/codex/v1/responses",
        &headers,
        body.clone(),
    );
    assert_eq!(within(sent).await??.status, 200);
    let call = only_call(&provider);
    assert_eq!(call.request.body, body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_read_is_refused_whatever_it_hides() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, "").await?;
    let web = system
        .bottle_with("hard", &[("codex", 5_000)], |_| {})
        .await?;
    let token = format!("Bearer {}", web.token);
    let hidden = [
        &vec![b' '; 40 << 20][..],
        br#"{"model":"gpt-5","background":true,"input":"x"}"#,
    ]
    .concat();
    let short = br#"{"model":"gpt-5","input":"x"}"#;
    for (coding, body, reason) in [
        ("zstd", zstd::encode_all(&*hidden, 3)?, "body_too_large"),
        ("gzip", gzip(&hidden)?, "body_too_large"),
        ("zstd", short.to_vec(), "bad_request"),
        ("compress", short.to_vec(), "bad_request"),
        ("gzip, zstd", gzip(short)?, "bad_request"),
    ] {
        let headers = [
            ("authorization", token.as_str()),
            ("content-encoding", coding),
        ];
        let path = "/codex/v1/responses";
        let sent = send(&system.egress, Method::POST, path, &headers, body);
        let answer = within(sent).await??;
        assert_eq!(answer.status, 400, "{coding}");
        assert_eq!(
            answer.header("x-bot-bottle-reason"),
            Some(reason),
            "{coding}"
        );
    }
    assert_eq!(provider.totals().calls, 0);
    Ok(())
}
