//! The provider asked by a plain HTTP client.

mod dialects;
mod faults;
mod limits;
mod referee;
mod transport;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use super::Provider;

const MESSAGES: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const GEMINI: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const GEMINI_ARRAY: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent";
const GEMINI_SSE: &str = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";

const MESSAGES_BODY: &str = r#"{"model":"claude-opus-4-8","max_tokens":64000,"stream":true,"messages":[{"role":"user","content":"say hi to everybody in the house, and to the cat"}]}"#;
const MESSAGES_WHOLE: &str = r#"{"model":"claude-opus-4-8","max_tokens":64000,"messages":[{"role":"user","content":"say hi"}]}"#;
const CHAT_BODY: &str =
    r#"{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"say hi"}]}"#;
const CHAT_USAGE_BODY: &str = r#"{"model":"gpt-5","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"say hi"}]}"#;
const RESPONSES_BODY: &str = r#"{"model":"gpt-5","stream":true,"input":"say hi"}"#;
const GEMINI_BODY: &str = r#"{"contents":[{"role":"user","parts":[{"text":"say hi"}]}]}"#;

/// Each wire's stream: its path, a body, and the name of the last event or its end.
const STREAMS: [(&str, &str); 5] = [
    (MESSAGES, MESSAGES_BODY),
    (CHAT, CHAT_USAGE_BODY),
    (RESPONSES, RESPONSES_BODY),
    (GEMINI_SSE, GEMINI_BODY),
    (GEMINI_ARRAY, GEMINI_BODY),
];

/// A whole answer as a client sees it.
#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    frames: Vec<Bytes>,
    trailers: Option<HeaderMap>,
    /// Whether the body ended properly.
    ended: bool,
}

impl Reply {
    fn bytes(&self) -> Vec<u8> {
        self.frames.concat()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("the body is UTF-8")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes()).expect("the body is JSON")
    }

    fn events(&self) -> Vec<Event> {
        events(&self.text())
    }

    /// Counts the events by how they end, which is all that a torn body allows.
    fn whole_events(&self) -> usize {
        let text = self.text().replace("\r\n", "\n");
        let array = text.matches("\"responseId\"").count() + text.matches("{\"error\"").count();
        if text.starts_with('[') {
            array
        } else {
            text.matches("\n\n").count()
        }
    }
}

/// A server-sent event; its name is empty where it has none.
#[derive(Debug)]
struct Event {
    name: String,
    data: String,
}

impl Event {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("the data is JSON")
    }
}

fn events(text: &str) -> Vec<Event> {
    let text = text.replace("\r\n", "\n");
    assert!(
        text.is_empty() || text.ends_with("\n\n"),
        "a torn event at the end: {text:?}"
    );
    text.split("\n\n")
        .filter(|event| !event.is_empty())
        .map(|event| {
            let field = |name: &str| {
                event
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap_or("")
                    .to_owned()
            };
            Event {
                name: field("event: "),
                data: field("data: "),
            }
        })
        .collect()
}

/// A request whose answer's body is read by the caller; its connection is its own.
async fn open(provider: &Provider, path: &str, headers: &[(&str, &str)], body: &str) -> Opened {
    try_open(provider, path, headers, body)
        .await
        .expect("the provider answers")
}

#[derive(Debug)]
struct Opened {
    response: http::Response<Incoming>,
    connection: tokio::task::JoinHandle<()>,
}

async fn try_open(
    provider: &Provider,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> hyper::Result<Opened> {
    send(provider, path, headers, body.to_owned().into_bytes()).await
}

async fn open_bytes(
    provider: &Provider,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Opened {
    send(provider, path, headers, body)
        .await
        .expect("the provider answers")
}

async fn send(
    provider: &Provider,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> hyper::Result<Opened> {
    let stream = TcpStream::connect(provider.address())
        .await
        .expect("connecting");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("the handshake needs no answer");
    let connection = TaskTracker::new().spawn(async move {
        let _ended = connection.await;
    });
    let method = if body.is_empty() {
        Method::GET
    } else {
        Method::POST
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", provider.address().to_string())
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .expect("a valid request");
    let response = sender.send_request(request).await?;
    Ok(Opened {
        response,
        connection,
    })
}

impl Opened {
    /// Hangs up in the middle.
    fn abandon(self) {
        self.connection.abort();
    }

    async fn read(mut self) -> Reply {
        let mut reply = Reply {
            status: self.response.status(),
            headers: self.response.headers().clone(),
            frames: Vec::new(),
            trailers: None,
            ended: true,
        };
        while let Some(frame) = self.response.body_mut().frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => reply.frames.push(data),
                Ok(Err(other)) => reply.trailers = other.into_trailers().ok(),
                Err(_) => reply.ended = false,
            }
        }
        reply
    }
}

async fn ask(provider: &Provider, path: &str, body: &str) -> Reply {
    open(provider, path, &[], body).await.read().await
}
