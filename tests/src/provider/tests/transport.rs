//! How the bytes travel: cuts, compression, trailers, TLS, both HTTP versions, delays.

use std::io::Read as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use super::{MESSAGES, MESSAGES_BODY, STREAMS, ask, open};
use crate::provider::{Chunking, Encoding, Ending, Provider, Script};

/// Takes out what differs between two answers to one request: the ids and the time.
fn without_ids(text: &str) -> String {
    let marks = [
        ("msg_", 24),
        ("resp_", 24),
        ("chatcmpl-", 24),
        ("responseId\": \"", 24),
        ("created\":", 10),
        ("created_at\":", 10),
    ];
    let mut rest = text;
    let mut cleaned = String::new();
    let next = |rest: &str| {
        let found = marks.iter().filter_map(|(mark, length)| {
            let at = rest.find(mark)? + mark.len();
            Some((at, at + length))
        });
        found.min()
    };
    while let Some((at, end)) = next(rest) {
        cleaned.push_str(&rest[..at]);
        rest = &rest[end..];
    }
    cleaned + rest
}

#[tokio::test]
async fn the_bytes_are_the_same_however_they_are_cut() {
    let provider = Provider::start(Script::default()).await.unwrap();
    for (path, body) in STREAMS {
        let whole = ask(&provider, path, body).await;
        for (chunking, longest) in [
            (Chunking::Split(1), 1),
            (Chunking::Split(100), 100),
            (Chunking::Together(4), usize::MAX),
            (Chunking::Together(1000), usize::MAX),
        ] {
            provider.enqueue(Script {
                chunking,
                ..Script::default()
            });
            let cut = ask(&provider, path, body).await;
            assert!(
                cut.frames.iter().all(|frame| frame.len() <= longest),
                "{path} {chunking:?}"
            );
            assert_eq!(
                without_ids(&cut.text()),
                without_ids(&whole.text()),
                "{path} {chunking:?}"
            );
        }
    }
    let calls = provider.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.answer.ending == Some(Ending::Finished))
    );
    for same in calls.chunks(5) {
        let answers = same
            .iter()
            .map(|call| (call.answer.events, call.answer.stated));
        assert!(
            answers
                .clone()
                .all(|answer| Some(answer) == answers.clone().next())
        );
    }
}

#[tokio::test]
async fn a_gzip_answer_is_only_for_who_accepts_it() {
    let script = Script {
        encoding: Encoding::Gzip,
        ..Script::default()
    };
    let provider = Provider::start(script).await.unwrap();
    for (path, body) in STREAMS {
        let plain = ask(&provider, path, body).await;
        assert!(!plain.headers.contains_key("content-encoding"));
        let accepts = [("accept-encoding", "br, gzip;q=0.8")];
        let packed = open(&provider, path, &accepts, body).await.read().await;
        assert_eq!(packed.headers["content-encoding"], "gzip");
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.bytes().as_slice())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(without_ids(&text), without_ids(&plain.text()));
    }
}

#[tokio::test]
async fn trailers_follow_the_body_for_a_client_that_wants_them() {
    let trailers = vec![("x-checksum".to_owned(), "abc".to_owned())];
    let provider = Provider::start(Script {
        trailers,
        ..Script::default()
    })
    .await
    .unwrap();
    let reply = open(&provider, MESSAGES, &[("te", "trailers")], MESSAGES_BODY)
        .await
        .read()
        .await;
    assert_eq!(reply.trailers.unwrap()["x-checksum"], "abc");
    let reply = ask(&provider, MESSAGES, MESSAGES_BODY).await;
    assert!(reply.ended && reply.trailers.is_none());
    assert_eq!(provider.totals().finished, 2);
}

#[tokio::test]
async fn deltas_come_one_delay_apart_and_headers_after_theirs() {
    let script = Script {
        first_byte_delay: Duration::from_millis(30),
        ..Script::slow(6, Duration::from_millis(20))
    };
    let provider = Provider::start(script).await.unwrap();
    let asked = Instant::now();
    let opened = open(&provider, MESSAGES, &[], MESSAGES_BODY).await;
    assert!(asked.elapsed() >= Duration::from_millis(30));
    opened.read().await;
    let answer = provider.calls()[0].answer;
    let took = answer.last_byte_at.unwrap() - answer.first_byte_at.unwrap();
    assert!(
        took >= Duration::from_millis(95),
        "five delays, took {took:?}"
    );
}

async fn ask_http2<S>(provider: &Provider, stream: S) -> (http::Version, usize)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    TaskTracker::new().spawn(connection);
    let request = Request::post(format!("{}{MESSAGES}", provider.url()))
        .body(Full::new(Bytes::from(MESSAGES_BODY)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let version = response.version();
    (
        version,
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .len(),
    )
}

#[tokio::test]
async fn it_speaks_http2_without_tls_to_who_begins_so() {
    let provider = Provider::start(Script::default()).await.unwrap();
    let stream = TcpStream::connect(provider.address()).await.unwrap();
    let (version, length) = ask_http2(&provider, stream).await;
    assert_eq!(version, http::Version::HTTP_2);
    assert_eq!(
        provider.calls()[0].answer.bytes,
        u64::try_from(length).unwrap()
    );
    assert_eq!(provider.calls()[0].request.version, http::Version::HTTP_2);
}

#[tokio::test]
async fn a_stream_reset_by_an_http2_client_is_an_abort() {
    let script = Script {
        delay: Duration::from_hours(1),
        ..Script::default()
    };
    let provider = Provider::start(script).await.unwrap();
    let stream = TcpStream::connect(provider.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    TaskTracker::new().spawn(connection);
    let request = Request::post(format!("{}{MESSAGES}", provider.url()))
        .body(Full::new(Bytes::from(MESSAGES_BODY)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    drop(response);
    let totals = provider
        .wait_for_totals(|totals| totals.aborted == 1)
        .await
        .unwrap();
    assert_eq!(totals.open, 0);
}

#[tokio::test]
async fn over_tls_the_client_chooses_the_http_version() {
    let provider = Provider::start_tls(Script::default(), &["api.anthropic.com"])
        .await
        .unwrap();
    let ca = CertificateDer::from_pem_slice(provider.ca_pem().unwrap().as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca).unwrap();
    for protocol in ["h2", "http/1.1"] {
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let tcp = TcpStream::connect(provider.address()).await.unwrap();
        let name = ServerName::try_from("api.anthropic.com").unwrap();
        let stream = connector.connect(name, tcp).await.unwrap();
        assert_eq!(
            stream.get_ref().1.alpn_protocol(),
            Some(protocol.as_bytes())
        );
        if protocol == "h2" {
            ask_http2(&provider, stream).await;
        } else {
            let io = TokioIo::new(stream);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            TaskTracker::new().spawn(connection);
            let request = Request::post(MESSAGES)
                .header("host", "api.anthropic.com")
                .body(Full::new(Bytes::from(MESSAGES_BODY)))
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            response.into_body().collect().await.unwrap();
        }
    }
    let versions: Vec<http::Version> = provider
        .calls()
        .iter()
        .map(|call| call.request.version)
        .collect();
    assert_eq!(versions, [http::Version::HTTP_2, http::Version::HTTP_11]);
}
