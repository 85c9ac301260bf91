//! The server: connections in, each request routed, scripted, recorded and answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::{AnswerBody, Dropped};
use super::referee::{Ending, Received, Record};
use super::render::{CallId, ID_BYTES, count_body, error_body, models_body};
use super::request::{Asked, Endpoint, Form, Kind, accepts_gzip};
use super::script::{Encoding, Fault};
use super::state::State;
use super::websocket;

pub(super) type Answer = Response<Either<Full<Bytes>, AnswerBody>>;

/// The requests that a `GET /_referee` shows, unless it says `calls=N`.
const REPORTED_CALLS: usize = 100;

/// Accepts until `stop`; every connection ends with it.
pub(super) async fn accept(
    state: Arc<State>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        // Out of descriptors, or a client that is already gone: the next one may be served.
        let Ok((stream, peer)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let (state, tls, stop) = (Arc::clone(&state), tls.clone(), stop.clone());
        connections.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = connection(state, stream, peer, tls) => {}
            }
        });
    }
}

/// Serves one connection; how it ends is in the records of its requests.
async fn connection(
    state: Arc<State>,
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match tls {
        None => requests(state, stream, peer).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                requests(state, stream, peer).await;
            }
        }
    }
}

async fn requests<S>(state: Arc<State>, stream: S, peer: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| answer(Arc::clone(&state), peer, request));
    let _ended = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    state: Arc<State>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Dropped> {
    let mut request = request;
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, incoming) = request.into_parts();
    let (path, query) = (
        head.uri.path().to_owned(),
        head.uri.query().unwrap_or("").to_owned(),
    );
    if path == "/_referee" {
        return Ok(report(&state, &query));
    }
    let at = Instant::now();
    let endpoint = Endpoint::of(&head.method, &path, &query, &head.headers);
    let body = incoming.collect().await.map_err(|_| Dropped)?.to_bytes();
    let asked = match endpoint.kind {
        Kind::Call | Kind::CountTokens => Some(Asked::read(&endpoint, &head.headers, &body)),
        _ => None,
    };
    let opening = head.clone();
    let read = asked.as_ref().and_then(|asked| asked.as_ref().ok());
    let received = Received {
        id: state.next_id(),
        kind: endpoint.kind,
        wire: endpoint.wire,
        method: head.method,
        version: head.version,
        path,
        query,
        headers: head.headers,
        body,
        peer,
        at,
        model: read.map(|asked| asked.model.clone()).unwrap_or_default(),
        streamed: read.is_some_and(|asked| asked.form != Form::Json),
        output_max: read.and_then(|asked| asked.output_max),
    };
    let mut record = state.referee.enter(received);
    if !state.key_accepted(record.request()) {
        return Ok(refusal(&mut record, 401, "invalid key"));
    }
    match (endpoint.kind, asked) {
        (Kind::Call | Kind::CountTokens, Some(Err(invalid))) => {
            Ok(refusal(&mut record, 400, &invalid.0))
        }
        (Kind::Call, Some(Ok(asked))) => model_call(&state, &asked, record).await,
        (Kind::CountTokens, Some(Ok(asked))) => Ok(count(&state, &asked, record)),
        (Kind::Models, _) => Ok(small(
            &mut record,
            200,
            models_body(endpoint.wire).to_owned(),
        )),
        (Kind::Probe, _) => Ok(small(&mut record, 200, String::new())),
        (Kind::Upgrade, _) if state.websockets => {
            let Some(agreed) = websocket::agree(&opening, &mut record) else {
                return Ok(websocket::no_upgrade());
            };
            let serving = websocket::serve(Arc::clone(&state), upgrade, opening, peer);
            let stop = state.stop.clone();
            state
                .upgraded
                .spawn(async move { stop.run_until_cancelled(serving).await });
            Ok(agreed)
        }
        (Kind::Upgrade, _) => Ok(refusal(&mut record, 426, "use POST")),
        _ => Ok(refusal(&mut record, 404, "Not found")),
    }
}

/// Counts, unless the script of this very path refuses that.
fn count(state: &State, asked: &Asked, mut record: Record) -> Answer {
    let script = state.script_of_path(&record.request().path);
    if let Some(Fault::Status { status, .. }) = script.and_then(|it| it.script.fault.clone()) {
        return refusal(&mut record, status, "the script refuses this");
    }
    let body = count_body(record.request().wire, asked.prompt_tokens);
    small(&mut record, 200, body)
}

async fn model_call(state: &State, asked: &Asked, mut record: Record) -> Result<Answer, Dropped> {
    let numbered = state.script_for(record.request());
    let script = Arc::clone(&numbered.script);
    if !script.first_byte_delay.is_zero() {
        tokio::time::sleep(script.first_byte_delay).await;
    }
    match &script.fault {
        Some(Fault::DropBeforeHeaders) => {
            record.end(Ending::Faulted);
            return Err(Dropped);
        }
        Some(Fault::Status {
            status,
            body,
            headers,
        }) => {
            let mut response = match body {
                None => refusal(&mut record, *status, "the script refuses this"),
                Some(body) => {
                    record.end(Ending::Refused(*status));
                    json(*status, body.clone())
                }
            };
            response
                .headers_mut()
                .extend(headers.iter().filter_map(|(name, value)| {
                    let name = HeaderName::try_from(name.as_str()).ok()?;
                    Some((name, HeaderValue::try_from(value.as_str()).ok()?))
                }));
            return Ok(response);
        }
        _ => {}
    }
    let rendered = state.rendered(&numbered, asked, record.request());
    let gzip = script.encoding == Encoding::Gzip && accepts_gzip(&record.request().headers);
    let call = call_id(state.nonce, record.id());
    let content_type = match rendered.form {
        Form::Sse => "text/event-stream; charset=utf-8",
        Form::Json | Form::JsonArray => "application/json",
    };
    let builder = Response::builder()
        .header(header::CONTENT_TYPE, HeaderValue::from_static(content_type))
        .header("request-id", request_id(&call));
    let mut response = builder
        .body(Either::Right(AnswerBody::new(
            rendered,
            Arc::clone(&script),
            call,
            record,
            gzip,
        )))
        .map_err(|_| Dropped)?;
    let headers = response.headers_mut();
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    for (name, _) in &script.trailers {
        if let Ok(name) = HeaderValue::try_from(name.as_str()) {
            headers.append(header::TRAILER, name);
        }
    }
    Ok(response)
}

/// The dialect's own error.
fn refusal(record: &mut Record, status: u16, message: &str) -> Answer {
    record.end(Ending::Refused(status));
    json(status, error_body(record.request().wire, status, message))
}

/// A short answer that nothing goes wrong with.
fn small(record: &mut Record, status: u16, body: String) -> Answer {
    record.sent(body.len(), 1, None, None);
    record.end(Ending::Finished);
    json(status, body)
}

pub(super) fn json(status: u16, body: String) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(body))));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn report(state: &State, query: &str) -> Answer {
    let calls = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("calls="))
        .and_then(|number| number.parse().ok())
        .unwrap_or(REPORTED_CALLS);
    json(200, state.referee.report(calls).to_string())
}

/// The call's own part of its ids: of one width, and of no other provider's.
pub(super) fn call_id(nonce: u32, id: u64) -> CallId {
    let mut text = [0; ID_BYTES];
    let digits = b"0123456789abcdef";
    let number = (u128::from(nonce) << 64) | u128::from(id);
    for (place, byte) in text.iter_mut().rev().enumerate() {
        let nibble = (number >> (4 * place)) & 0xf;
        *byte = digits[usize::try_from(nibble).unwrap_or(0)];
    }
    text
}

fn request_id(call: &CallId) -> HeaderValue {
    let mut text = b"req_".to_vec();
    text.extend_from_slice(call);
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("req"))
}
