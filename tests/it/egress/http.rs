//! HTTP itself: what is answered here, what passes, what is refused, and on which connections.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use bb_core::refusal::Reason;
use bb_proto::request::SettingsReload;
use bb_tests::harness::{Bottle, System, send};
use bb_tests::provider::{Provider, Script};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::charges::{assert_exact, charges, only_call, only_charge};
use super::raw::Scene;
use super::ways::{CHAT_WHOLE, DOCUMENTS, GEMINI_WHOLE, MESSAGES, MESSAGES_WHOLE, within};

/// Starts a system whose proxy has more settings than its port.
pub(super) async fn with_egress(provider: &Provider, egress: &str, more: &str) -> Result<System> {
    let system = System::start(provider, more).await?;
    let file = system.home().settings();
    let listen = "  listen: 127.0.0.1:0\n";
    let text = std::fs::read_to_string(&file)?;
    std::fs::write(&file, text.replace(listen, &format!("{listen}{egress}")))?;
    let taken = system.call(SettingsReload::default()).await?;
    anyhow::ensure!(taken.applied, "{taken:?}");
    Ok(system)
}

pub(super) async fn system() -> Result<(System, Bottle)> {
    system_with("").await
}

async fn system_with(more: &str) -> Result<(System, Bottle)> {
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, more).await?;
    let web = system.bottle("web").await?;
    Ok((system, web))
}

/// Sends bytes on a connection of its own and reads until the other side closes it.
pub(super) async fn talk(address: &str, bytes: &[u8]) -> Result<String> {
    let mut tcp = TcpStream::connect(address).await?;
    tcp.write_all(bytes).await?;
    let mut answer = Vec::new();
    within(tcp.read_to_end(&mut answer)).await??;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_whether_anybody_is_there_is_answered_here() -> Result<()> {
    let (system, web) = system().await?;
    for method in [Method::HEAD, Method::GET] {
        for path in [
            "/".to_owned(),
            "/claude".to_owned(),
            "/claude/".to_owned(),
            format!("/b/{}/claude", web.token),
        ] {
            let answer = within(send(&system.egress, method.clone(), &path, &[], "")).await??;
            assert_eq!(
                (answer.status, answer.body.len()),
                (StatusCode::OK, 0),
                "{path}"
            );
        }
    }
    assert_eq!(system.provider.requests().len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_to_be_told_to_go_on_is_told() -> Result<()> {
    let (system, web) = system().await?;
    let mut tcp = TcpStream::connect(&system.egress).await?;
    let body = MESSAGES_WHOLE.body;
    let head = format!(
        "POST /claude/v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {}\r\nconnection: close\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        web.token,
        body.len()
    );
    tcp.write_all(head.as_bytes()).await?;
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut said = vec![0; go_on.len()];
    within(tcp.read_exact(&mut said)).await??;
    assert_eq!(said, go_on);
    tcp.write_all(body.as_bytes()).await?;
    let mut answer = String::new();
    within(tcp.read_to_string(&mut answer)).await??;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let call = only_call(&system.provider);
    assert_eq!(call.request.header("expect"), None);
    assert_eq!(call.request.body, body.as_bytes());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_expects_to_be_told_is_refused_before_it_sends() -> Result<()> {
    let (system, _) = system().await?;
    let head = "POST /claude/v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: bb_wrong\r\n\
                expect: 100-continue\r\nconnection: close\r\ncontent-length: 40000000\r\n\r\n";
    let answer = talk(&system.egress, head.as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains(Reason::Token.sentence()), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_body_passes_and_is_charged_by_estimate() -> Result<()> {
    let scene = Scene::start("").await?;
    for (way, head) in [
        (MESSAGES, "HTTP/1.1 204 No Content\r\nx-id: 1\r\n\r\n"),
        (MESSAGES_WHOLE, "HTTP/1.1 204 No Content\r\nx-id: 1\r\n\r\n"),
        (
            GEMINI_WHOLE,
            "HTTP/1.1 304 Not Modified\r\nx-id: 1\r\netag: \"x\"\r\ncontent-length: 700\r\n\r\n",
        ),
    ] {
        let answer = scene.ask_and_answer(&way, &[], head.as_bytes()).await?;
        let status = head.split(' ').nth(1).context("a status")?;
        assert_eq!(answer.status.as_str(), status);
        assert_eq!((answer.body.len(), answer.is_whole), (0, true), "{status}");
        assert_eq!(answer.header("x-id"), Some("1"), "{status}");
        assert_eq!(answer.header("transfer-encoding"), None, "{status}");
    }
    scene.system.settled().await?;
    let ledger = charges(&scene.system, &scene.web).await?;
    assert_eq!(ledger.len(), 3);
    assert!(
        ledger.iter().all(|it| it.is_estimated && it.tokens > 0),
        "{ledger:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_what_may_be_read_passes_without_a_body() -> Result<()> {
    let scene = Scene::start("").await?;
    let path = format!("/b/{}/raw-codex/v1/models", scene.web.token);
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 812\r\n\r\n";
    let asked = send(&scene.system.egress, Method::HEAD, &path, &[], "");
    let (answer, said) = tokio::join!(within(asked), async {
        let (mut talk, request) = scene.raw.next().await?;
        assert!(
            request.head.starts_with("HEAD /v1/models HTTP/1.1"),
            "{request:?}"
        );
        talk.say(head).await
    });
    said?;
    let answer = answer??;
    assert_eq!((answer.status, answer.is_whole), (StatusCode::OK, true));
    assert_eq!(answer.header("content-length"), Some("812"));
    // A head of what is called by POST is nothing.
    let path = format!("/b/{}/raw-codex/v1/chat/completions", scene.web.token);
    let answer = within(send(&scene.system.egress, Method::HEAD, &path, &[], "")).await??;
    assert_eq!(
        (answer.status, answer.body.len()),
        (StatusCode::NOT_FOUND, 0)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_answered_with_426_in_the_dialect_where_it_is_refused() -> Result<()> {
    let refusing = "  no-frames:\n    copies: codex\n    upstream: http://127.0.0.1:9\n    credential: passthrough\n    websocket: refuse\n";
    let (system, web) = system_with(refusing).await?;
    let token = format!("Bearer {}", web.token);
    let upgrade = |protocol| {
        vec![
            ("authorization", token.as_str()),
            ("connection", "upgrade"),
            ("upgrade", protocol),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]
    };
    for path in [
        format!("/b/{}/no-frames/v1/responses", web.token),
        "/codex/v1/realtime".to_owned(),
        "/codex/v1/chat/completions".to_owned(),
        "/claude/v1/messages".to_owned(),
    ] {
        let headers = upgrade("websocket");
        let answer = within(send(&system.egress, Method::GET, &path, &headers, "")).await??;
        assert_eq!(answer.status, 426, "{answer:?}");
        let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
        assert_eq!(body["error"]["message"], Reason::Upgrade.sentence());
        assert_eq!(answer.header("x-bot-bottle-reason"), Some("upgrade"));
    }
    assert_eq!(system.provider.requests().len(), 0);
    // Another upgrade is an offer, which a server may leave alone.
    let headers = upgrade("h2c");
    let target = CHAT_WHOLE.target();
    let sent = send(
        &system.egress,
        Method::POST,
        &target,
        &headers,
        CHAT_WHOLE.body,
    );
    assert_eq!(within(sent).await??.status, 200);
    assert_eq!(only_call(&system.provider).request.header("upgrade"), None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_not_found_and_what_is_refused_says_so() -> Result<()> {
    let (system, web) = system().await?;
    let post = Method::POST;
    for (method, path, status, reason) in [
        (&post, "/nobody/v1/messages", 404, Reason::UnknownProvider),
        (&post, "/b/", 404, Reason::UnknownProvider),
        (&post, "/v1/messages", 404, Reason::UnknownProvider),
        (&post, "/claude/v1/nothing", 404, Reason::UnknownPath),
        (&post, "/claude/v1/../v1/messages", 404, Reason::UnknownPath),
        (&post, "/claude//v1/messages", 404, Reason::UnknownPath),
        (&post, "/claude/v1/messages%2F", 404, Reason::UnknownPath),
        (
            &Method::GET,
            "/claude/v1/messages",
            404,
            Reason::UnknownPath,
        ),
        (
            &post,
            "/claude/v1/messages/batches",
            400,
            Reason::RouteRefused,
        ),
        (&post, "/codex/v1/batches", 400, Reason::RouteRefused),
        (&post, "/codex/v1/files", 400, Reason::RouteRefused),
        (
            &post,
            "/gemini/v1beta/models/m:batchGenerateContent",
            400,
            Reason::RouteRefused,
        ),
    ] {
        let headers = [("x-api-key", web.token.as_str())];
        let sent = send(&system.egress, method.clone(), path, &headers, "{}");
        let answer = within(sent).await??;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(
            answer.header("x-bot-bottle-reason"),
            Some(reason.as_str()),
            "{path}"
        );
        let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
        assert_eq!(body["error"]["message"], reason.sentence(), "{path}");
        assert_eq!(answer.header("retry-after"), None, "{path}");
    }
    assert_eq!(system.provider.requests().len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_requests_are_refused() -> Result<()> {
    let (system, web) = system().await?;
    let token = &web.token;
    for head in [
        "CONNECT api.anthropic.com:443 HTTP/1.1\r\nhost: api.anthropic.com:443\r\n".to_owned(),
        format!(
            "GET http://api.anthropic.com/v1/models HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n"
        ),
        format!(
            "HEAD http://{}/claude HTTP/1.1\r\nhost: x\r\nx-api-key: {token}\r\n",
            system.egress
        ),
    ] {
        let bytes = format!("{head}connection: close\r\n\r\n");
        let answer = talk(&system.egress, bytes.as_bytes()).await?;
        assert!(
            answer.starts_with("HTTP/1.1 403 Forbidden\r\n"),
            "{head}: {answer}"
        );
        assert!(
            answer.contains("x-bot-bottle-reason: host_refused"),
            "{answer}"
        );
        let has_body = answer.contains(Reason::HostRefused.sentence());
        assert_eq!(has_body, !head.starts_with("HEAD"), "{answer}");
    }
    assert_eq!(system.provider.requests().len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_speak_http_2_over_one_connection() -> Result<()> {
    let (system, web) = system().await?;
    let tcp = TcpStream::connect(&system.egress).await?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tcp)).await?;
    let asked = async {
        for way in [MESSAGES, MESSAGES_WHOLE, CHAT_WHOLE] {
            let (name, value) = way.key_header(&web.token);
            let request = Request::post(format!("http://{}{}", system.egress, way.target()))
                .version(Version::HTTP_2)
                .header(name, value)
                .body(Full::new(Bytes::from(way.body)))?;
            let answer = sender.clone().send_request(request).await?;
            assert_eq!(answer.status(), 200, "{answer:?}");
            let bytes = answer.into_body().collect().await?.to_bytes();
            assert!(bytes.len() > 300);
        }
        anyhow::Ok(())
    };
    let asked = async {
        tokio::select! {
            asked = asked => asked,
            ended = connection => anyhow::bail!("the connection ended: {ended:?}"),
        }
    };
    within(asked).await??;
    assert_exact(&system, &web, "over HTTP/2").await
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_used_again_on_both_sides() -> Result<()> {
    let (system, web) = system().await?;
    let tcp = TcpStream::connect(&system.egress).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
    let asked = async {
        for way in DOCUMENTS.into_iter().chain([MESSAGES]).cycle().take(20) {
            let (name, value) = way.key_header(&web.token);
            let request = Request::post(way.target())
                .header("host", "x")
                .header(name, value)
                .body(Full::new(Bytes::from(way.body)))?;
            sender.ready().await?;
            let answer = sender.send_request(request).await?;
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await?;
        }
        anyhow::Ok(())
    };
    let asked = async {
        tokio::select! {
            asked = asked => asked,
            ended = connection => anyhow::bail!("the connection ended: {ended:?}"),
        }
    };
    within(asked).await??;
    let calls = system.provider.calls();
    let peers: HashSet<_> = calls.iter().map(|call| call.request.peer).collect();
    assert_eq!((calls.len(), peers.len()), (20, 1));
    assert_exact(&system, &web, "over one connection").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_provider_closed_is_not_used_again() -> Result<()> {
    let scene = Scene::start("").await?;
    let whole = MESSAGES_WHOLE.ask_directly(&scene.system).await?.body;
    let answer = [
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", whole.len()).as_bytes(),
        &whole,
    ]
    .concat();
    for _ in 0..5 {
        // The connection is dropped behind each answer, without a word.
        let answer = scene.ask_and_answer(&MESSAGES_WHOLE, &[], &answer).await?;
        assert_eq!((answer.status.as_u16(), answer.is_whole), (200, true));
    }
    let ledger = charges(&scene.system, &scene.web).await?;
    assert!(
        ledger.len() == 5 && ledger.iter().all(|it| !it.is_estimated),
        "{ledger:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_stated_length_ends_with_its_connection() -> Result<()> {
    let scene = Scene::start("").await?;
    let whole = MESSAGES.ask_directly(&scene.system).await?.body;
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let said = [head.as_slice(), &whole].concat();
    let answer = scene.ask_and_answer(&MESSAGES, &[], &said).await?;
    assert!(answer.is_whole && answer.body == whole);
    let charge = only_charge(&scene.system, &scene.web).await?;
    assert!(!charge.is_estimated, "{charge:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_1_0_gets_a_stream_that_ends_with_its_connection() -> Result<()> {
    let (system, web) = system().await?;
    let (token, body) = (&web.token, MESSAGES.body);
    let request = format!(
        "POST /claude/v1/messages HTTP/1.0\r\nx-api-key: {token}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = talk(&system.egress, request.as_bytes()).await?;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n"), "{answer}");
    assert!(
        answer.ends_with("{\"type\":\"message_stop\"}\n\n"),
        "{answer}"
    );
    assert!(!answer.contains("chunked"), "{answer}");
    assert_exact(&system, &web, "over HTTP/1.0").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_before_its_answer_is_passed_over() -> Result<()> {
    let scene = Scene::start("").await?;
    let whole = MESSAGES_WHOLE.ask_directly(&scene.system).await?.body;
    let said = [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".as_slice(),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", whole.len()).as_bytes(),
        &whole,
    ]
    .concat();
    let answer = scene.ask_and_answer(&MESSAGES_WHOLE, &[], &said).await?;
    assert!(answer.status == 200 && answer.body == whole, "{answer:?}");
    assert!(!only_charge(&scene.system, &scene.web).await?.is_estimated);
    Ok(())
}
