//! Bodies as long as they may be, longer, broken off and malformed.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use bb_core::refusal::Reason;
use bb_proto::reply::Ending;
use bb_tests::harness::send;
use bb_tests::provider::{Provider, Script};
use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::charges::{assert_exact, charges, only_call, only_charge};
use super::http::{system, talk, with_egress};
use super::raw::Scene;
use super::ways::{self, MESSAGES, MESSAGES_WHOLE, within};

/// A messages request of exactly so many bytes.
fn body_of(bytes: usize) -> String {
    let (before, after) = MESSAGES_WHOLE.body.split_at(MESSAGES_WHOLE.body.len() - 5);
    let text = "x".repeat(bytes - before.len() - after.len());
    format!("{before}{text}{after}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_32_megabytes_passes() -> Result<()> {
    let (system, web) = system().await?;
    let body = Bytes::from(body_of(32 << 20));
    let headers = [("x-api-key", web.token.as_str())];
    let target = MESSAGES_WHOLE.target();
    let sent = send(
        &system.egress,
        Method::POST,
        &target,
        &headers,
        body.clone(),
    );
    let answer = within(sent).await??;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(only_call(&system.provider).request.body == body);
    assert_exact(&system, &web, "32 MB").await
}

/// A whole request with a body, with its length said ahead or not.
fn request_of(token: &str, body: &str, is_chunked: bool) -> Vec<u8> {
    let mut bytes = format!(
        "POST /claude/v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n\
         connection: close\r\n"
    );
    if is_chunked {
        bytes.push_str("transfer-encoding: chunked\r\n\r\n");
        for piece in body.as_bytes().chunks(50_000) {
            write!(bytes, "{:x}\r\n", piece.len()).expect("a string takes all");
            bytes.push_str(std::str::from_utf8(piece).expect("ASCII"));
            bytes.push_str("\r\n");
        }
        bytes.push_str("0\r\n\r\n");
    } else {
        write!(bytes, "content-length: {}\r\n\r\n{body}", body.len()).expect("a string takes all");
    }
    bytes.into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_body_may_be_as_long_as_the_limit_and_no_byte_longer() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let system = with_egress(&provider, "  body_max: 64K\n", "").await?;
    let web = system.bottle("web").await?;
    for is_chunked in [false, true] {
        let body = body_of(64 << 10);
        let request = request_of(&web.token, &body, is_chunked);
        let answer = talk(&system.egress, &request).await?;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let call = provider.calls().pop().context("a call")?;
        assert!(call.request.body == body.as_bytes(), "{is_chunked}");

        let request = request_of(&web.token, &body_of((64 << 10) + 1), is_chunked);
        let answer = talk(&system.egress, &request).await?;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains(Reason::BodyTooLarge.sentence()), "{answer}");
        assert!(
            answer.contains("x-bot-bottle-reason: body_too_large"),
            "{answer}"
        );
    }
    assert_eq!(provider.totals().calls, 2);
    assert_exact(&system, &web, "those within the limit").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_first_sends_all_it_has() -> Result<()> {
    let (system, web) = system().await?;
    let long = body_of(32 << 20);
    for is_chunked in [false, true] {
        let request = request_of("bb_wrong", &long, is_chunked);
        let answer = talk(&system.egress, &request).await?;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains(Reason::Token.sentence()), "{answer}");
    }
    let longer = body_of((33 << 20) + 1);
    for is_chunked in [false, true] {
        let request = request_of(&web.token, &longer, is_chunked);
        let answer = talk(&system.egress, &request).await?;
        assert!(answer.contains(Reason::BodyTooLarge.sentence()), "{answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_is_the_providers_to_judge() -> Result<()> {
    let (system, web) = system().await?;
    for way in ways::all() {
        for body in [
            "{\"model\": \"gpt-5\", ",
            "",
            "\u{feff}[1,2",
            "{\"stream\":true",
        ] {
            let (name, value) = way.key_header(&web.token);
            let headers = [(name, value.as_str())];
            let target = way.target();
            let sent = send(&system.egress, Method::POST, &target, &headers, body);
            let answer = within(sent).await??;
            assert_eq!(answer.status, 400, "{target}: {answer:?}");
            assert_eq!(answer.header("x-bot-bottle-reason"), None, "{target}");
            assert!(
                answer.text().contains("not valid JSON"),
                "{}",
                answer.text()
            );
            let call = system.provider.calls().pop().context("a call")?;
            assert_eq!(call.request.body, body.as_bytes());
        }
    }
    system.settled().await?;
    let ledger = charges(&system, &web).await?;
    assert!(
        ledger
            .iter()
            .all(|it| it.ending == Ending::Voided && it.tokens == 0)
    );
    assert_eq!(ledger.len(), system.provider.calls().len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_off_is_no_call() -> Result<()> {
    let (system, web) = system().await?;
    let whole = request_of(&web.token, &body_of(50_000), false);
    for end in [100, whole.len() / 2, whole.len() - 1] {
        let mut tcp = TcpStream::connect(&system.egress).await?;
        tcp.write_all(&whole[..end]).await?;
        tcp.shutdown().await?;
        let mut answer = Vec::new();
        // Closed without an answer, or with a refusal: nobody is there to read it.
        let ended = within(tcp.read_to_end(&mut answer)).await?;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            ended.is_err() || !answer.starts_with("HTTP/1.1 2"),
            "{end}: {answer}"
        );
    }
    assert_eq!(system.provider.requests().len(), 0);
    system.settled().await?;
    assert_eq!(charges(&system, &web).await?, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_megabytes_passes_as_it_comes() -> Result<()> {
    let scene = Scene::start("").await?;
    let whole = MESSAGES.ask_directly(&scene.system).await?;
    let stated = only_call(&scene.system.provider).answer.stated;
    let text = format!("\"text\":\"{}", "x".repeat(3 << 20));
    let long = whole.text().replacen("\"text\":\"I", &text, 1);
    assert!(long.len() > 3 << 20);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let said = [head.as_bytes(), long.as_bytes()].concat();
    let answer = scene.ask_and_answer(&MESSAGES, &[], &said).await?;
    assert!(answer.is_whole && answer.body == long.as_bytes());
    let charge = only_charge(&scene.system, &scene.web).await?;
    assert_eq!((charge.usage, charge.is_estimated), (stated, false));
    Ok(())
}
