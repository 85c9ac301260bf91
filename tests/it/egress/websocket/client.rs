//! A client of Responses over a WebSocket, as an agent is one.

use anyhow::{Context as _, Result, bail, ensure};
use bb_tests::harness::{Bottle, System, WAIT_LIMIT};
use bb_tests::provider::{Options, Provider};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A system whose provider serves Responses over a WebSocket.
pub(super) async fn system(more: &str) -> Result<(System, Bottle)> {
    let provider = Provider::start_with(Options {
        websockets: true,
        ..Options::default()
    })
    .await?;
    let system = System::start(&provider, more).await?;
    let web = system.bottle("web").await?;
    Ok((system, web))
}

/// Asks for a response.
pub(super) fn create(text: &str) -> Value {
    json!({
        "type": "response.create",
        "model": "gpt-5",
        "input": [{"type": "message", "role": "user", "content": text}],
    })
}

/// Asks for a response that is only read.
pub(super) fn warm_up() -> Value {
    let mut create = create("a long prompt that is the same each time");
    create["generate"] = false.into();
    create
}

/// Returns whether a message ends a response.
fn is_last(message: &Value) -> bool {
    let kind = message["type"].as_str().unwrap_or_default();
    let ends = ["completed", "incomplete", "failed"];
    kind == "error" || ends.iter().any(|end| kind == format!("response.{end}"))
}

/// A client's end.
#[derive(Debug)]
pub(super) struct Socket {
    /// The answer to the upgrade.
    pub(super) opened: Response<Option<Vec<u8>>>,
    pub(super) close_code: Option<u16>,
    stream: WebSocketStream<TcpStream>,
}

/// The messages of one response.
#[derive(Debug)]
pub(super) struct Spoken(pub(super) Vec<Value>);

impl Spoken {
    pub(super) fn last(&self) -> Result<&Value> {
        self.0.last().context("nothing was said")
    }

    /// The text that flowed.
    pub(super) fn text(&self) -> String {
        let deltas = self
            .0
            .iter()
            .filter(|message| message["type"] == "response.output_text.delta");
        deltas
            .filter_map(|message| message["delta"].as_str())
            .collect()
    }
}

impl Socket {
    /// Opens one with the bottle's token as its key.
    pub(super) async fn open(system: &System, bottle: &Bottle) -> Result<Self> {
        let key = format!("Bearer {}", bottle.token);
        Self::open_at(system, "codex", &[("authorization", &key)]).await
    }

    /// Opens one below this beginning of a path.
    pub(super) async fn open_at(
        system: &System,
        beginning: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self> {
        let stream = TcpStream::connect(&system.egress).await?;
        let url = format!("ws://{}/{beginning}/v1/responses", system.egress);
        let mut request = Request::get(url)
            .header("host", &system.egress)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("openai-beta", "responses_websockets=2026-02-06")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header(
                "sec-websocket-extensions",
                "permessage-deflate; client_max_window_bits",
            );
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(())?;
        let opening = client_async(request, stream);
        let (stream, opened) = tokio::time::timeout(WAIT_LIMIT, opening).await??;
        Ok(Self {
            opened,
            close_code: None,
            stream,
        })
    }

    pub(super) async fn say(&mut self, message: &Value) -> Result<()> {
        self.send(Message::text(message.to_string())).await
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<()> {
        Ok(self.stream.send(message).await?)
    }

    /// Waits for the next message.
    pub(super) async fn next(&mut self) -> Result<Value> {
        loop {
            let message = tokio::time::timeout(WAIT_LIMIT, self.stream.next()).await?;
            match message.context("it was left")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(why) => bail!("it was closed: {why:?}"),
                _ => {}
            }
        }
    }

    /// Reads until a message of this kind has come.
    pub(super) async fn until(&mut self, kind: &str) -> Result<Value> {
        loop {
            let message = self.next().await?;
            ensure!(!is_last(&message), "{message}");
            if message["type"] == kind {
                return Ok(message);
            }
        }
    }

    /// Reads a response to its end.
    pub(super) async fn response(&mut self) -> Result<Spoken> {
        let mut spoken = Spoken(Vec::new());
        loop {
            let message = self.next().await?;
            let ends = is_last(&message);
            spoken.0.push(message);
            if ends {
                return Ok(spoken);
            }
        }
    }

    /// Returns whether nothing comes for a while.
    pub(super) async fn is_silent(&mut self) -> bool {
        let next = self.stream.next();
        tokio::time::timeout(super::super::raw::NOTHING, next)
            .await
            .is_err()
    }

    /// Waits until the other end is gone, whatever it said before.
    pub(super) async fn left(&mut self) -> Result<bool> {
        loop {
            match tokio::time::timeout(WAIT_LIMIT, self.stream.next()).await? {
                None | Some(Err(_)) => return Ok(true),
                Some(Ok(Message::Close(why))) => {
                    self.close_code = why.map(|why| why.code.into());
                }
                Some(Ok(_)) => {}
            }
        }
    }
}
