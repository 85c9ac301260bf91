//! Responses over a WebSocket: each `response.create` is a call, answered as over POST, an event
//! a message.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use bb_proto::usage::{Usage, Wire};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::body::AnswerBody;
use super::referee::{Ending, Received, Record};
use super::request::{Asked, Endpoint, Form, Kind};
use super::script::{Chunking, Fault, Numbered, Script, Tokens};
use super::server::{Answer, call_id, json};
use super::state::State;

/// Answers an upgrade; extensions are not agreed to, and the client's messages are its calls.
pub(super) fn agree(head: &Parts, record: &mut Record) -> Option<Answer> {
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY)?;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).ok()?;
    record.end(Ending::Finished);
    let mut response = Response::new(Either::Left(Full::new(Bytes::new())));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Some(response)
}

/// Serves a connection that was upgraded, until one of its ends leaves.
pub(super) async fn serve(state: Arc<State>, upgrade: OnUpgrade, head: Parts, peer: SocketAddr) {
    let Ok(upgraded) = upgrade.await else { return };
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
    let mut connection = Connection {
        state,
        socket,
        head,
        peer,
        queued: VecDeque::new(),
    };
    while let Some(text) = connection.next().await {
        if connection.create(text.as_str()).await.is_break() {
            return;
        }
    }
}

struct Connection {
    state: Arc<State>,
    socket: WebSocketStream<TokioIo<Upgraded>>,
    head: Parts,
    peer: SocketAddr,
    /// What the client said while it was answered.
    queued: VecDeque<Utf8Bytes>,
}

/// What a message says besides what a request's body does.
#[derive(Deserialize)]
struct Create {
    r#type: String,
    generate: Option<bool>,
}

impl Connection {
    async fn next(&mut self) -> Option<Utf8Bytes> {
        if let Some(text) = self.queued.pop_front() {
            return Some(text);
        }
        loop {
            match self.socket.next().await?.ok()? {
                Message::Text(text) => return Some(text),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    async fn create(&mut self, text: &str) -> ControlFlow<()> {
        let create: Option<Create> = serde_json::from_str(text).ok();
        let Some(create) = create.filter(|create| create.r#type == "response.create") else {
            return self.fail(400, "unknown message").await;
        };
        let none = HeaderMap::new();
        let path = self.head.uri.path().to_owned();
        let endpoint = Endpoint::of(&Method::POST, &path, "", &none);
        let asked = Asked::read(&endpoint, &none, text.as_bytes());
        let read = asked.as_ref().ok();
        let received = Received {
            id: self.state.next_id(),
            kind: Kind::Call,
            wire: Wire::OpenaiResponses,
            method: Method::GET,
            version: self.head.version,
            path,
            query: self.head.uri.query().unwrap_or("").to_owned(),
            headers: self.head.headers.clone(),
            body: Bytes::copy_from_slice(text.as_bytes()),
            peer: self.peer,
            at: Instant::now(),
            model: read.map(|asked| asked.model.clone()).unwrap_or_default(),
            streamed: true,
            output_max: read.and_then(|asked| asked.output_max),
        };
        let mut record = self.state.referee.enter(received);
        let Ok(asked) = asked else {
            record.end(Ending::Refused(400));
            return self.fail(400, "the request cannot be read").await;
        };
        let asked = Asked {
            form: Form::Sse,
            ..asked
        };
        let numbered = if create.generate == Some(false) {
            self.state.unlisted(warm_up(asked.prompt_tokens))
        } else {
            self.state.script_for(record.request())
        };
        match &numbered.script.fault {
            Some(Fault::DropBeforeHeaders) => {
                record.end(Ending::Faulted);
                ControlFlow::Break(())
            }
            Some(Fault::Status { status, .. }) => {
                record.end(Ending::Refused(*status));
                self.fail(*status, "the script refuses this").await
            }
            _ => self.answer(&numbered, &asked, record).await,
        }
    }

    /// Sends the events of an answer; a client that leaves ends it.
    async fn answer(
        &mut self,
        numbered: &Numbered,
        asked: &Asked,
        record: Record,
    ) -> ControlFlow<()> {
        let rendered = self.state.rendered(numbered, asked, record.request());
        let script = Script {
            chunking: Chunking::Events,
            ..(*numbered.script).clone()
        };
        if !script.first_byte_delay.is_zero() {
            tokio::time::sleep(script.first_byte_delay).await;
        }
        let call = call_id(self.state.nonce, record.id());
        let mut body = AnswerBody::new(rendered, Arc::new(script), call, record, false);
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                message = self.socket.next() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return ControlFlow::Break(()),
                    Some(Ok(Message::Text(text))) => {
                        self.queued.push_back(text);
                        continue;
                    }
                    Some(Ok(_)) => continue,
                },
            };
            let frame = match frame {
                None => return ControlFlow::Continue(()),
                Some(Err(_)) => return ControlFlow::Break(()),
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            let text = String::from_utf8_lossy(&frame);
            for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
                if self.socket.send(Message::text(data)).await.is_err() {
                    return ControlFlow::Break(());
                }
            }
        }
    }

    async fn fail(&mut self, status: u16, message: &str) -> ControlFlow<()> {
        let text = serde_json::json!({
            "type": "error",
            "status": status,
            "error": {"type": "invalid_request_error", "message": message},
        });
        match self.socket.send(Message::text(text.to_string())).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// What is read and not answered: its prompt is billed.
fn warm_up(prompt_tokens: u64) -> Script {
    Script {
        text: String::new(),
        events: 0,
        tokens: Tokens::Stated(Usage {
            input: Some(prompt_tokens),
            output: Some(0),
            ..Usage::default()
        }),
        ..Script::default()
    }
}

/// The answer to an upgrade that cannot be one.
pub(super) fn no_upgrade() -> Answer {
    json(
        400,
        r#"{"error":{"message":"no key of a WebSocket"}}"#.to_owned(),
    )
}
