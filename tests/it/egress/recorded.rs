//! Recorded answers of providers, sent once more through the running proxy: their bytes pass, and
//! the ledger has what they state.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bb_core::provider::{ProviderRow, RouteKind, known, route};
use bb_proto::reply::Ending;
use bb_proto::usage::Usage;
use bb_tests::harness::{Answer, Bottle, System, send};
use bb_tests::provider::{Provider, Script};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::charges::{Charge, charges};
use super::ways::within;
use crate::home::skipped;

/// The header that says which recording is asked for.
const CASE: &str = "x-case";
/// So many recordings go through at once.
const AT_ONCE: usize = 8;

/// A recording.
#[derive(Debug)]
struct Case {
    index: Value,
    body: Bytes,
}

impl Case {
    fn text(&self, key: &str) -> &str {
        self.index[key].as_str().unwrap_or_default()
    }

    fn status(&self) -> StatusCode {
        let status = self.index["status"].as_u64().unwrap_or(200);
        let status = u16::try_from(status).unwrap_or(200);
        StatusCode::from_u16(status).unwrap_or(StatusCode::OK)
    }

    /// Cuts the body into pieces of odd lengths, the same each time.
    fn pieces(&self) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut rest = self.body.clone();
        let lengths = [1, 700, 3, 90, 1_500, 17, 8_000, 5];
        for length in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            pieces.push(rest.split_to((*length).min(rest.len())));
        }
        pieces
    }
}

/// Reads the recordings of the dialects that are metered.
fn cases(folder: &Path) -> Result<Vec<Case>> {
    let index = std::fs::read_to_string(folder.join("index.jsonl"))?;
    let mut cases = Vec::new();
    for line in index.lines() {
        let index: Value = serde_json::from_str(line)?;
        let wire = index["wire"].as_str().unwrap_or_default();
        let is_ours = ["anthropic_messages", "openai_", "gemini"]
            .iter()
            .any(|ours| wire.starts_with(ours));
        let body = folder.join(index["body"].as_str().context("a body")?);
        if is_ours {
            let body = std::fs::read(body)?.into();
            cases.push(Case { index, body });
        }
    }
    Ok(cases)
}

/// Answers each request with the recording that it names.
async fn serve(cases: Arc<Vec<Case>>) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answer = move |request: Request<Incoming>| {
        let cases = Arc::clone(&cases);
        async move { Ok::<_, Infallible>(recorded(&cases, &request)) }
    };
    let accept = async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(answer.clone());
            let serving = async move {
                let _ended = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            };
            spawn(serving);
        }
    };
    spawn(accept);
    Ok(address)
}

#[expect(clippy::disallowed_methods, reason = "it ends with the test")]
fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(future));
}

type Pieces =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

fn recorded(cases: &[Case], request: &Request<Incoming>) -> Response<Pieces> {
    let number = request.headers().get(CASE);
    let number: Option<usize> = number.and_then(|it| it.to_str().ok()?.parse().ok());
    let case = number.and_then(|number| cases.get(number));
    let pieces = case.map(Case::pieces).unwrap_or_default();
    let frames: Vec<_> = pieces.into_iter().map(|it| Ok(Frame::data(it))).collect();
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    *response.status_mut() = case.map_or(StatusCode::NOT_FOUND, Case::status);
    for (name, key) in [
        (header::CONTENT_TYPE, "content_type"),
        (header::CONTENT_ENCODING, "content_encoding"),
    ] {
        if let Some(value) = case
            .and_then(|case| case.text(key).parse().ok())
            .filter(|value: &header::HeaderValue| !value.is_empty())
        {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Where a recording is asked for: a provider and a path of it.
fn target(rows: &[ProviderRow], case: &Case, number: usize) -> (String, String) {
    let host = case.text("host");
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_call = |row: &ProviderRow, path: &str| {
        matches!(route(row, "POST", path), Some(RouteKind::Call(_)))
    };
    let own = rows.iter().find_map(|row| {
        let of_row = row.upstream.host.as_ref();
        let is_its = host == of_row || host.ends_with(&format!("-{of_row}"));
        let path = row.path_on_host(of_row, case.text("path"))?;
        (is_its && is_call(row, path)).then(|| (row.key.to_string(), path.to_owned()))
    });
    let copied = || {
        let is_stream = case.index["stream"] == true;
        let (provider, path) = match case.text("wire") {
            "anthropic_messages" => ("claude", "/v1/messages"),
            "openai_chat" => ("codex", "/v1/chat/completions"),
            "openai_embeddings" => ("codex", "/v1/embeddings"),
            "openai_responses" => ("codex", "/v1/responses"),
            _ if is_stream => ("gemini", "/v1beta/models/m:streamGenerateContent?alt=sse"),
            _ => ("gemini", "/v1beta/models/m:generateContent"),
        };
        (provider.to_owned(), path.to_owned())
    };
    let (provider, path) = own.unwrap_or_else(copied);
    // Where the path names the model, it names ours.
    let (before, last) = path.rsplit_once('/').unwrap_or(("", &path));
    let path = match last.split_once(':') {
        Some((_, verb)) => format!("{before}/{}:{verb}", model(number)),
        None => path,
    };
    (provider, path)
}

/// The model that is asked for, by which a charge is found.
fn model(number: usize) -> String {
    format!("recording-{number}")
}

/// A request that asks for what the recording answers.
fn request(case: &Case, number: usize) -> String {
    let mut request = json!({"model": model(number), "messages": [], "input": "x"});
    if case.index["stream"] == true {
        request["stream"] = true.into();
        request["stream_options"] = json!({"include_usage": true});
    }
    if let Some(choices) = case.index["request"]["n"].as_u64() {
        request["n"] = choices.into();
    }
    request.to_string()
}

async fn ask(
    system: &System,
    bottle: &Bottle,
    rows: &[ProviderRow],
    case: &Case,
    number: usize,
) -> Result<Answer> {
    let (provider, path) = target(rows, case, number);
    let path = format!("/b/{}/{provider}{path}", bottle.token);
    let case_number = number.to_string();
    let headers = [(CASE, case_number.as_str())];
    let body = request(case, number);
    within(send(&system.egress, Method::POST, &path, &headers, body)).await?
}

fn counts(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
    })
}

/// Returns what is wrong with a charge, if anything is.
fn fault(case: &Case, charge: &Charge) -> Option<String> {
    if case.status().is_client_error() || case.status().is_server_error() {
        return (charge.ending != Ending::Voided).then(|| format!("not taken back: {charge:?}"));
    }
    let usage = &charge.usage;
    let found = counts(usage);
    let alternatives = case.index["alternatives"].as_array().into_iter().flatten();
    let all = std::iter::once(&case.index["expected"]).chain(alternatives);
    let agrees = |expected: &Value| {
        let is_same = found
            .as_object()
            .is_some_and(|found| found.iter().all(|(name, count)| expected[name] == *count));
        let is_stated = expected["output_tokens"].is_u64();
        // All may be stated before the answer breaks off.
        if is_stated && (expected["complete"] == true || !charge.is_estimated) {
            return is_same && !charge.is_estimated;
        }
        // What is not whole is charged by estimate, and for no less than was stated.
        let stated_input = ["input_tokens", "cache_read_tokens", "cache_write_tokens"]
            .iter()
            .all(|name| expected[name].is_null() || expected[name] == found[name]);
        let output = expected["output_tokens"].as_u64().unwrap_or(0);
        charge.is_estimated && stated_input && usage.output.unwrap_or(0) >= output
    };
    (!all.clone().any(agrees))
        .then(|| format!("{found} for {}: {charge:?}", case.index["expected"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_answers_pass_and_the_ledger_has_what_they_state() -> Result<()> {
    let Some(folder) = std::env::var_os("BB_CORPUS") else {
        skipped("BB_CORPUS is not set");
        return Ok(());
    };
    let cases = Arc::new(cases(Path::new(&folder))?);
    let replayed = serve(Arc::clone(&cases)).await?;
    let rows = known();
    let mut more = String::new();
    for row in rows
        .iter()
        .filter(|row| !["claude", "codex", "gemini"].contains(&row.key.as_str()))
    {
        writeln!(more, "  {}:\n    upstream: http://{replayed}", row.key)?;
    }
    let provider = Provider::start(Script::default()).await?;
    let system = System::start(&provider, &more).await?;
    // The three that the harness points at its own provider.
    let settings = std::fs::read_to_string(system.home().settings())?;
    let settings = settings.replace(&provider.url(), &format!("http://{replayed}"));
    std::fs::write(system.home().settings(), settings)?;
    let reloaded = system
        .call(bb_proto::request::SettingsReload::default())
        .await?;
    anyhow::ensure!(reloaded.applied, "{reloaded:?}");

    let mut misses = Vec::new();
    let web = system.bottle("web").await?;
    let numbers: Vec<usize> = (0..cases.len()).collect();
    for together in numbers.chunks(AT_ONCE) {
        let asked = together.iter().map(|number| {
            let (system, web, rows, cases) = (&system, &web, &rows, &cases);
            async move {
                (
                    *number,
                    ask(system, web, rows, &cases[*number], *number).await,
                )
            }
        });
        for (number, answer) in futures_util::future::join_all(asked).await {
            let case = &cases[number];
            let id = case.text("id");
            match answer {
                Ok(answer)
                    if answer.status == case.status().as_u16() && answer.body == case.body => {}
                Ok(answer) => misses.push(format!("{id}: its bytes changed: {}", answer.status)),
                Err(error) => misses.push(format!("{id}: {error:#}")),
            }
        }
    }
    system.settled().await?;
    let mut charged: HashMap<String, Vec<Charge>> = HashMap::new();
    for charge in charges(&system, &web).await? {
        let of_model = charged.entry(charge.model.clone()).or_default();
        of_model.push(charge);
    }
    for (number, case) in cases.iter().enumerate() {
        let fault = match charged.get(&model(number)).map(Vec::as_slice) {
            Some([charge]) => fault(case, charge),
            other => Some(format!("not one charge: {other:?}")),
        };
        misses.extend(fault.map(|fault| format!("{}: {fault}", case.text("id"))));
    }
    for case in cases.iter() {
        let others = case.index["expected_other_models"].as_array();
        for other in others.into_iter().flatten() {
            let model = other["model"].as_str().unwrap_or_default();
            let mut of_model = charged.get(model).into_iter().flatten();
            let is_charged = of_model.any(|charge| {
                let found = counts(&charge.usage);
                let found = found.as_object().into_iter().flatten();
                let mut counts = found.filter(|(name, _)| *name != "reasoning_tokens");
                counts.all(|(name, count)| other[name] == *count)
            });
            if !is_charged {
                misses.push(format!("{}: {other} is not charged", case.text("id")));
            }
        }
    }
    eprintln!("recorded answers through the proxy: {}", cases.len());
    assert!(!cases.is_empty(), "the index names no recording of ours");
    assert!(misses.is_empty(), "missed:\n{}", misses.join("\n"));
    Ok(())
}
