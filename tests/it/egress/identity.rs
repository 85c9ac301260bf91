//! Who a request is from, and whose key the provider sees.

use anyhow::{Context as _, Result};
use bb_core::refusal::Reason;
use bb_proto::reply::Severity;
use bb_proto::request::{BottleEnded, Health};
use bb_proto::usage::Wire;
use bb_tests::harness::{Answer, Bottle, Daemon, REAL_KEY, System, call, registration, send};
use bb_tests::harness::{settings, stream};
use bb_tests::provider::{Call, Kind, Provider, Script};
use http::Method;
use serde_json::{Value, json};

use super::charges::{assert_exact, charges};
use super::ways::{self, GEMINI_WHOLE, MESSAGES, MESSAGES_WHOLE, STREAMS, Way, within};

const HEADERS: [&str; 3] = ["x-api-key", "authorization", "x-goog-api-key"];

/// Starts a system with a provider of each dialect that takes the client's own login.
async fn system() -> Result<(System, Bottle)> {
    let provider = Provider::start(Script::default()).await?;
    let url = provider.url();
    let row = |name| format!("  own-{name}:\n    copies: {name}\n    upstream: {url}\n");
    let rows = ["claude", "codex", "gemini"].map(row).concat();
    let system = System::start(&provider, &rows).await?;
    let web = system.bottle("web").await?;
    Ok((system, web))
}

async fn post(
    system: &System,
    way: &Way,
    target: &str,
    headers: &[(&str, String)],
) -> Result<Answer> {
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    within(send(
        &system.egress,
        Method::POST,
        target,
        &headers,
        way.body,
    ))
    .await?
}

/// Returns a header that carries a key.
fn carrying(header: &'static str, key: &str) -> (&'static str, String) {
    match header {
        "authorization" => (header, format!("Bearer {key}")),
        _ => (header, key.to_owned()),
    }
}

/// Asserts that nothing that the provider got has a text in it.
fn assert_nowhere(call: &Call, text: &str) {
    let request = &call.request;
    assert!(!request.path.contains(text), "{}", request.path);
    assert!(!request.query.contains(text), "{}", request.query);
    for (name, value) in &request.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        assert!(!value.contains(text), "{name}: {value}");
    }
    assert!(!String::from_utf8_lossy(&request.body).contains(text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_wherever_a_key_may_stand_and_never_goes_on() -> Result<()> {
    let (system, web) = system().await?;
    let token = &web.token;
    for way in ways::all() {
        let plain = way.target();
        let prefixed = format!("/b/{token}{plain}");
        let mut asked: Vec<(String, Vec<(&str, String)>)> = HEADERS
            .iter()
            .map(|header| (plain.clone(), vec![carrying(header, token)]))
            .collect();
        asked.push((
            plain.clone(),
            vec![("authorization", format!("bearer {token}"))],
        ));
        asked.push((prefixed.clone(), Vec::new()));
        // In two places at once, and beside a key of the client's own.
        asked.push((prefixed.clone(), vec![carrying("x-api-key", token)]));
        let all = HEADERS.iter().map(|header| carrying(header, token));
        asked.push((prefixed.clone(), all.collect()));
        let own = HEADERS.iter().map(|header| carrying(header, "sk-own"));
        asked.push((prefixed, own.collect()));
        let mixed = vec![
            carrying("x-api-key", "sk-own"),
            carrying("authorization", token),
        ];
        asked.push((plain, mixed));
        for (target, headers) in asked {
            let answer = post(&system, &way, &target, &headers).await?;
            assert_eq!(answer.status, 200, "{target} {headers:?}: {answer:?}");
            let call = system.provider.calls().pop().context("a call")?;
            let (name, value) = way.key_header(REAL_KEY);
            for header in HEADERS {
                let wanted = (header == name).then_some(value.as_str());
                assert_eq!(call.request.header(header), wanted, "{target} {headers:?}");
            }
            assert_nowhere(&call, token);
            assert_nowhere(&call, "sk-own");
        }
    }
    assert_exact(&system, &web, "all of them").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_does_not_go_on() -> Result<()> {
    let (system, web) = system().await?;
    let token = &web.token;
    for (query, left) in [
        (format!("?alt=sse&key={token}"), "alt=sse"),
        (format!("?key={token}&alt=sse"), "alt=sse"),
        (format!("?key={token}"), ""),
        ("?key=sk-own&alt=sse".to_owned(), "alt=sse"),
        ("?alt=sse&x=bb_1".to_owned(), "alt=sse&x=bb_1"),
    ] {
        let target = format!("/gemini/v1beta/models/m:streamGenerateContent{query}");
        let headers = [carrying("x-goog-api-key", token)];
        let answer = post(&system, &GEMINI_WHOLE, &target, &headers).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
        let call = system.provider.calls().pop().context("a call")?;
        assert_eq!(call.request.query, left);
        assert_nowhere(&call, token);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_two_bottles_in_one_request_are_refused() -> Result<()> {
    let (system, web) = system().await?;
    let other = system.bottle("other").await?;
    let (mine, theirs) = (&web.token, &other.token);
    let plain = MESSAGES.target();
    for (target, headers) in [
        (
            format!("/b/{mine}{plain}"),
            vec![carrying("x-api-key", theirs)],
        ),
        (
            format!("/b/{theirs}{plain}"),
            vec![carrying("authorization", mine)],
        ),
        (
            plain.clone(),
            vec![
                carrying("x-api-key", mine),
                carrying("authorization", theirs),
            ],
        ),
        (
            format!("/b/{mine}{plain}"),
            vec![
                carrying("x-api-key", mine),
                carrying("x-goog-api-key", theirs),
            ],
        ),
    ] {
        let answer = post(&system, &MESSAGES, &target, &headers).await?;
        assert_eq!(answer.status, 400, "{target} {headers:?}");
        assert_eq!(answer.header("x-bot-bottle-reason"), Some("token_mismatch"));
        let body: Value = serde_json::from_slice(&answer.body)?;
        assert_eq!(
            body["error"]["message"],
            "this request has the token of another bottle"
        );
    }
    assert_eq!(system.provider.requests().len(), 0);
    Ok(())
}

/// The error of a dialect with a sentence in it.
fn error_of(wire: Wire, sentence: &str) -> Value {
    match wire {
        Wire::AnthropicMessages => json!({
            "type": "error",
            "error": {"type": "authentication_error", "message": sentence},
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
            "status": "INVALID_ARGUMENT",
        }}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_or_a_wrong_one_is_refused_in_the_dialect_and_counted() -> Result<()> {
    let (system, web) = system().await?;
    let sentence = "this request has no token of a bottle";
    let mut refused = 0;
    for way in ways::all() {
        let plain = way.target();
        for (target, headers) in [
            (plain.clone(), vec![]),
            (plain.clone(), vec![carrying("x-api-key", "sk-own")]),
            (plain.clone(), vec![carrying("authorization", "bb_wrong")]),
            (plain.clone(), vec![("authorization", web.token.clone())]),
            (plain.clone(), vec![("x-bottle", web.token.clone())]),
            (format!("/b/bb_wrong{plain}"), vec![]),
            (
                format!("/b/bb_wrong{plain}"),
                vec![carrying("x-api-key", &web.token)],
            ),
            (
                format!("/b/{}{plain}", web.token),
                vec![carrying("x-api-key", "bb_wrong")],
            ),
            (format!("/b/web{plain}"), vec![]),
        ] {
            let answer = post(&system, &way, &target, &headers).await?;
            assert_eq!(answer.status, 400, "{target} {headers:?}");
            let body: Value = serde_json::from_slice(&answer.body)?;
            assert_eq!(body, error_of(way.wire, sentence), "{target}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("x-should-retry"), Some("false"));
            assert_eq!(answer.header("retry-after"), None);
            assert_eq!(answer.header("x-bot-bottle-reason"), Some("token"));
            assert_eq!(answer.header("x-bot-bottle-name"), None);
            refused += 1;
        }
    }
    assert_eq!(system.provider.requests().len(), 0);
    let health = system.call(Health {}).await?;
    let told = format!("{refused} requests had no valid token");
    let finding = health.findings.iter().find(|it| it.text == told);
    assert_eq!(
        finding.map(|it| it.severity),
        Some(Severity::Warning),
        "{health:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_worth_nothing_once_it_is_renewed_or_its_bottle_ended() -> Result<()> {
    let (system, web) = system().await?;
    assert_eq!(MESSAGES.ask(&system, &web).await?.status, 200);
    let renewed = system.bottle_with("web", &[], |it| it.renew = true).await?;
    assert_ne!(renewed.token, web.token);
    let old = MESSAGES.ask(&system, &web).await?;
    assert_eq!(old.header("x-bot-bottle-reason"), Some("token"), "{old:?}");
    assert_eq!(MESSAGES.ask(&system, &renewed).await?.status, 200);
    let ended = BottleEnded {
        name: renewed.name.clone(),
        run: renewed.registered.run,
        exit_code: 0,
    };
    system.call(ended).await?;
    let old = MESSAGES.ask(&system, &renewed).await?;
    assert_eq!(old.header("x-bot-bottle-reason"), Some("token"), "{old:?}");
    assert_eq!(system.provider.totals().calls, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_own_login_passes_where_the_controller_has_no_key() -> Result<()> {
    let (system, web) = system().await?;
    for way in ways::all() {
        let target = format!("/b/{}/own-{}{}", web.token, way.provider, way.path);
        let mut headers = vec![
            carrying("authorization", "sk-ant-oat01-mine"),
            ("anthropic-beta", "oauth-2025".to_owned()),
        ];
        for _ in 0..2 {
            let answer = post(&system, &way, &target, &headers).await?;
            assert_eq!(answer.status, 200, "{target}: {answer:?}");
            let call = system.provider.calls().pop().context("a call")?;
            for (name, value) in &headers {
                assert_eq!(call.request.header(name), Some(value.as_str()), "{target}");
            }
            assert_nowhere(&call, &web.token);
            assert_nowhere(&call, REAL_KEY);
            headers.push(carrying("x-goog-api-key", "sk-another"));
        }
    }
    system.settled().await?;
    let ledger = charges(&system, &web).await?;
    assert_eq!(ledger.len(), system.provider.calls().len());
    for (charge, call) in ledger.iter().zip(system.provider.calls()) {
        super::charges::assert_exact_one(charge, &call, "with its own login");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_where_only_a_login_would_help_is_refused() -> Result<()> {
    let (system, web) = system().await?;
    for way in STREAMS {
        let plain = format!("/own-{}{}", way.provider, way.path);
        let prefixed = format!("/b/{}{plain}", web.token);
        for target in [plain, prefixed] {
            for header in HEADERS {
                let headers = [carrying(header, &web.token)];
                let answer = post(&system, &way, &target, &headers).await?;
                assert_eq!(answer.status, 400, "{target}");
                assert_eq!(answer.header("x-bot-bottle-reason"), Some("no_credential"));
                assert!(answer.text().contains(Reason::NoCredential.sentence()));
            }
        }
    }
    assert_eq!(system.provider.requests().len(), 0);
    system.settled().await?;
    assert_eq!(charges(&system, &web).await?, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_to_a_provider_whose_key_is_missing_are_refused_and_health_says_why() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let url = provider.url();
    let rows = format!(
        "  lost:\n    copies: claude\n    upstream: {url}\n    credential: env:BB_TEST_NOT_THERE\n"
    );
    let system = System::start(&provider, &rows).await?;
    let web = system.bottle("web").await?;
    for path in ["/lost/v1/messages", "/lost/v1/messages/count_tokens"] {
        let headers = [carrying("x-api-key", &web.token)];
        let answer = post(&system, &MESSAGES_WHOLE, path, &headers).await?;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("x-bot-bottle-reason"), Some("no_credential"));
    }
    assert_eq!(provider.requests().len(), 0);
    let health = system.call(Health {}).await?;
    let finding = health
        .findings
        .iter()
        .find(|it| it.text.starts_with("lost: "));
    let finding = finding.context("a finding")?;
    assert_eq!(finding.severity, Severity::Error);
    assert!(finding.text.contains("BB_TEST_NOT_THERE"), "{finding:?}");
    Ok(())
}

/// Returns the files below a folder with their bytes.
fn files(folder: &std::path::Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            found.extend(files(&entry.path())?);
        } else if kind.is_file() {
            let name = entry.path().display().to_string();
            found.push((name, std::fs::read(entry.path())?));
        }
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_no_prompt_and_no_answer_is_written_anywhere() -> Result<()> {
    const PROMPT: &str = "zebra-of-the-prompt";
    const ANSWER: &str = "zebra-of-the-answer";
    let provider = Provider::start(Script::saying(ANSWER)).await?;
    let folder = tempfile::tempdir()?;
    let home = bb_proto::home::Home::new(folder.path().join("home"));
    std::fs::create_dir_all(home.path())?;
    let url = provider.url();
    let more = format!("  own:\n    copies: claude\n    upstream: {url}\n");
    std::fs::write(home.settings(), settings(&provider, folder.path(), &more)?)?;
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_it-controller"));
    let daemon = Daemon::start(program, &home, &[("BB_LOG", "trace")])?;
    let web = call(&home, registration("web")?).await?;
    for way in ways::all() {
        let body = way.body.replace("say hi", PROMPT);
        let (name, value) = way.key_header(&web.token);
        let own = format!("/b/{}/own/v1/messages", web.token);
        for (target, name, value) in [
            (way.target(), name, value.as_str()),
            (own, "x-api-key", "sk-own-login"),
            (way.target(), "x-api-key", "bb_zebra-of-a-token"),
            (format!("/nobody/{PROMPT}"), "x-api-key", &web.token),
        ] {
            let headers = [(name, value), ("x-note", PROMPT)];
            within(send(
                &daemon.egress,
                Method::POST,
                &target,
                &headers,
                body.clone(),
            ))
            .await??;
        }
        // A refusal of the provider, and a client that leaves.
        provider.enqueue(Script::refusing(429));
        let headers = [(name, value.as_str())];
        let target = way.target();
        within(send(
            &daemon.egress,
            Method::POST,
            &target,
            &headers,
            body.clone(),
        ))
        .await??;
        let opened = stream(&daemon.egress, Method::POST, &target, &headers, body);
        drop(within(opened).await??);
    }
    let calls = provider.requests();
    let seen = |it: &&Call| it.request.kind == Kind::Call;
    assert_eq!(calls.iter().filter(seen).count(), 9 * 4);
    let (status, said) = tokio::task::spawn_blocking(|| daemon.terminate()).await??;
    assert!(status.success(), "{said}");
    let written = files(home.path())?;
    let names: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
    for file in [home.log(), home.database()] {
        let file = file.display().to_string();
        assert!(names.contains(&file.as_str()), "{file} is not in {names:?}");
    }
    for (name, bytes) in written.iter().map(|(name, bytes)| (name.as_str(), bytes)) {
        for secret in [
            REAL_KEY,
            PROMPT,
            ANSWER,
            "sk-own-login",
            "bb_zebra-of-a-token",
        ] {
            let secret_bytes = secret.as_bytes();
            let found = bytes
                .windows(secret_bytes.len())
                .position(|window| window == secret_bytes);
            let near = found.map(|at| {
                let near = &bytes[at.saturating_sub(200)..(at + 200).min(bytes.len())];
                String::from_utf8_lossy(near).into_owned()
            });
            assert_eq!(near, None, "{secret} in {name}");
        }
    }
    let log = std::fs::read_to_string(home.log())?;
    assert!(
        log.contains("reason=\"token\""),
        "it says nothing of refusals: {log}"
    );
    let with_token = log.lines().find(|line| line.contains(&web.token));
    assert_eq!(with_token, None);
    Ok(())
}
