//! Providers over TLS, as the real ones are: a controller of its own process, since whom it trusts
//! is its environment's.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_core::refusal::Reason;
use bb_proto::home::Home;
use bb_proto::reply::{Ending, Registered};
use bb_proto::request::{BottleCutoff, Snapshot};
use bb_tests::harness::{Answer, Daemon, Streamed, call, registration, send, settings, stream};
use bb_tests::provider::{Ending as Ended, Provider, Script};
use http::{Method, Version};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::charges::{Charge, assert_exact_one, charges_at};
use super::spoken::{Ended as Last, read};
use super::ways::{self, MESSAGES, MESSAGES_WHOLE, STREAMS, Way, together, within};

/// A controller that trusts one authority, and a bottle.
#[derive(Debug)]
struct Scene {
    daemon: Daemon,
    home: Home,
    web: Registered,
    _folder: TempDir,
}

impl Scene {
    async fn start(provider: &Provider, ca_pem: Option<&str>, more: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let home = Home::new(folder.path().join("home"));
        std::fs::create_dir_all(home.path())?;
        std::fs::write(home.settings(), settings(provider, folder.path(), more)?)?;
        let authorities = folder.path().join("ca.pem");
        std::fs::write(&authorities, ca_pem.unwrap_or_default())?;
        let authorities = authorities.display().to_string();
        let program = Path::new(env!("CARGO_BIN_EXE_it-controller"));
        let env = [("SSL_CERT_FILE", authorities.as_str())];
        let daemon = Daemon::start(program, &home, &env)?;
        let web = call(&home, registration("web")?).await?;
        Ok(Self {
            daemon,
            home,
            web,
            _folder: folder,
        })
    }

    async fn open(&self, way: &Way) -> Result<Streamed> {
        let (name, value) = way.key_header(&self.web.token);
        let headers = [(name, value.as_str())];
        let target = way.target();
        let opened = stream(
            &self.daemon.egress,
            Method::POST,
            &target,
            &headers,
            way.body,
        );
        within(opened).await?
    }

    async fn ask(&self, way: &Way, more: &[(&str, &str)]) -> Result<Answer> {
        let (name, value) = way.key_header(&self.web.token);
        let mut headers = vec![(name, value.as_str())];
        headers.extend(more);
        let target = way.target();
        let sent = send(
            &self.daemon.egress,
            Method::POST,
            &target,
            &headers,
            way.body,
        );
        within(sent).await?
    }

    /// Returns the charges once nothing is in flight.
    async fn charges(&self) -> Result<Vec<Charge>> {
        let settled = async {
            while call(&self.home, Snapshot::default())
                .await?
                .head
                .totals
                .in_flight
                > 0
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            anyhow::Ok(())
        };
        within(settled).await??;
        charges_at(&self.home, &self.web.name).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_tls_share_one_connection_of_http_2() -> Result<()> {
    let provider = Provider::start_tls(Script::default(), &[]).await?;
    let scene = Scene::start(&provider, provider.ca_pem(), "").await?;
    for way in ways::all() {
        let answer = scene.ask(&way, &[]).await?;
        assert!(
            answer.is_whole && answer.status == 200,
            "{}: {answer:?}",
            way.name
        );
    }
    let many: Vec<Way> = ways::all().cycle().take(40).collect();
    for answer in together(many.iter().map(|way| scene.ask(way, &[]))).await {
        assert_eq!(answer?.status, 200);
    }
    let calls = provider.calls();
    assert!(calls.iter().all(|it| it.request.version == Version::HTTP_2));
    let peers: HashSet<_> = calls.iter().map(|it| it.request.peer).collect();
    assert_eq!((calls.len(), peers.len()), (49, 1));
    // They came at once, so their order is not that of the ledger.
    let mut charged: Vec<_> = scene
        .charges()
        .await?
        .iter()
        .map(|it| (it.tokens, it.wire))
        .collect();
    let stated = |it: &bb_tests::provider::Call| (it.answer.stated.total(), it.request.wire);
    let mut stated: Vec<_> = calls.iter().map(stated).collect();
    charged.sort();
    stated.sort();
    assert_eq!(charged, stated);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_nobody_vouches_for_is_not_asked() -> Result<()> {
    let provider = Provider::start_tls(Script::default(), &[]).await?;
    let other = Provider::start_tls(Script::default(), &[]).await?;
    for ca in [None, other.ca_pem()] {
        let scene = Scene::start(&provider, ca, "").await?;
        let answer = scene.ask(&MESSAGES, &[]).await?;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert!(
            answer
                .text()
                .contains(Reason::UpstreamUnreachable.sentence())
        );
        let charges = scene.charges().await?;
        assert!(
            matches!(charges.as_slice(), [it] if it.ending == Ending::Voided),
            "{charges:?}"
        );
    }
    assert_eq!(provider.requests().len(), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_over_http_2() -> Result<()> {
    let script = Script {
        trailers: vec![("x-cost".to_owned(), "17".to_owned())],
        ..Script::default()
    };
    let provider = Provider::start_tls(script, &[]).await?;
    let scene = Scene::start(&provider, provider.ca_pem(), "").await?;
    for way in [MESSAGES, MESSAGES_WHOLE] {
        let answer = scene.ask(&way, &[("te", "trailers")]).await?;
        let trailers = answer.trailers.context(way.name)?;
        assert_eq!(
            trailers.get("x-cost").map(http::HeaderValue::as_bytes),
            Some(b"17".as_slice())
        );
    }
    for (charge, call) in scene.charges().await?.iter().zip(provider.calls()) {
        assert_exact_one(charge, &call, "over HTTP/2");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_aborts_its_streams_and_no_other_on_the_same_connection() -> Result<()> {
    let script = Script::slow(100_000, Duration::from_millis(20));
    let provider = Provider::start_tls(script, &[]).await?;
    let scene = Scene::start(&provider, provider.ca_pem(), "").await?;
    let other = call(&scene.home, registration("other")?).await?;
    let mut open = Vec::new();
    for way in STREAMS {
        let mut answer = scene.open(&way).await?;
        let first = within(answer.next()).await??.context("the first bytes")?;
        open.push((way, answer, String::from_utf8(first.to_vec())?));
    }
    let headers = [("x-api-key", other.token.as_str())];
    let target = MESSAGES.target();
    let opened = stream(
        &scene.daemon.egress,
        Method::POST,
        &target,
        &headers,
        MESSAGES.body,
    );
    let mut others = within(opened).await??;
    let order = BottleCutoff {
        names: vec![scene.web.name.clone()],
        ..BottleCutoff::default()
    };
    call(&scene.home, order).await?;
    for (way, answer, first) in open {
        let (rest, is_whole) = within(answer.rest()).await?;
        assert!(is_whole, "{}: {rest}", way.name);
        let ended = read(&way, &(first + &rest)).ended;
        let sentence = Reason::Operator.sentence().to_owned();
        assert_eq!(ended, Last::Saying(sentence), "{}", way.name);
    }
    let aborted = |it: &&bb_tests::provider::Call| it.answer.ending == Some(Ended::Aborted);
    let all = |calls: &[bb_tests::provider::Call]| calls.iter().filter(aborted).count() == 5;
    let calls = provider.wait_for(all).await?;
    let peers: HashSet<_> = calls.iter().map(|it| it.request.peer).collect();
    assert_eq!((calls.len(), peers.len()), (6, 1));
    for _ in 0..20 {
        within(others.next()).await??.context("it goes on")?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_over_http_2_whose_client_left_is_read_on() -> Result<()> {
    let script = Script::slow(12, Duration::from_millis(20));
    let provider = Provider::start_tls(script, &[]).await?;
    let scene = Scene::start(&provider, provider.ca_pem(), "").await?;
    for way in STREAMS {
        let mut answer = scene.open(&way).await?;
        within(answer.next()).await??.context("the first bytes")?;
        drop(answer);
        let charge = scene.charges().await?.pop().context("a charge")?;
        let call = provider.calls().pop().context("a call")?;
        assert_exact_one(&charge, &call, way.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_over_tls_may_speak_http_1() -> Result<()> {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (pem, chain) = (key.cert.pem(), vec![key.cert.der().clone()]);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let row = format!("  secure:\n    copies: claude\n    upstream: https://{address}\n");
    let provider = Provider::start(Script::default()).await?;
    let scene = Scene::start(&provider, Some(&pem), &row).await?;

    let whole = br#"{"type":"message","usage":{"input_tokens":11,"output_tokens":7}}"#;
    let length = whole.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let answers = async {
        let (tcp, _) = listener.accept().await?;
        let mut tls = acceptor.accept(tcp).await?;
        // Both on one connection.
        for _ in 0..2 {
            let mut request = Vec::new();
            while !request.ends_with(b"}]}") {
                anyhow::ensure!(tls.read_buf(&mut request).await? > 0, "it ended");
            }
            assert!(request.starts_with(b"POST /v1/messages HTTP/1.1\r\n"));
            tls.write_all(head.as_bytes()).await?;
            tls.write_all(whole).await?;
            tls.flush().await?;
        }
        anyhow::Ok(tls)
    };
    let asks = async {
        let target = format!("/b/{}/secure/v1/messages", scene.web.token);
        for _ in 0..2 {
            let address = &scene.daemon.egress;
            let answer = send(address, Method::POST, &target, &[], MESSAGES_WHOLE.body).await?;
            assert_eq!(answer.body.as_ref(), whole, "{answer:?}");
        }
        anyhow::Ok(())
    };
    let (answered, asked) =
        within(async { tokio::join!(Box::pin(answers), Box::pin(asks)) }).await?;
    answered?;
    asked?;
    let charges = scene.charges().await?;
    assert!(
        charges.len() == 2 && charges.iter().all(|it| it.tokens == 18),
        "{charges:?}"
    );
    Ok(())
}
