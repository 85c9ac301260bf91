//! The ways to ask a model that the proxy meters, and how each is asked.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_proto::usage::Wire;
use bb_tests::harness::{Answer, Bottle, Streamed, System, WAIT_LIMIT, send, stream};
use bytes::Bytes;
use http::Method;

/// How an answer is laid in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Document,
    Events,
    Array,
}

/// A way to ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) wire: Wire,
    pub(super) form: Form,
    /// The first segment of the path, and the key of budgets.
    pub(super) provider: &'static str,
    pub(super) path: &'static str,
    pub(super) body: &'static str,
    /// The beginning of the first event that must not be seen before its charge; of a chat stream
    /// that of the usage chunk, and of one without that of its end.
    pub(super) held: &'static str,
}

pub(super) const MESSAGES: Way = Way {
    name: "messages, streamed",
    wire: Wire::AnthropicMessages,
    form: Form::Events,
    provider: "claude",
    path: "/v1/messages",
    body: r#"{"model":"claude-opus-4-8","max_tokens":64000,"stream":true,"messages":[{"role":"user","content":"say hi to everybody in the house, and to the cat"}]}"#,
    held: "event: message_stop",
};

pub(super) const MESSAGES_WHOLE: Way = Way {
    name: "messages, whole",
    form: Form::Document,
    body: r#"{"model":"claude-opus-4-8","max_tokens":64000,"messages":[{"role":"user","content":"say hi to the cat"}]}"#,
    held: "{",
    ..MESSAGES
};

/// What Anthropic counts: a message without what its count does not depend on.
pub(super) const COUNTED: &str =
    r#"{"model":"claude-opus-4-8","messages":[{"role":"user","content":"say hi to the cat"}]}"#;

pub(super) const RESPONSES: Way = Way {
    name: "responses, streamed",
    wire: Wire::OpenaiResponses,
    form: Form::Events,
    provider: "codex",
    path: "/v1/responses",
    body: r#"{"model":"gpt-5","stream":true,"input":"say hi to everybody in the house"}"#,
    held: "event: response.completed",
};

pub(super) const RESPONSES_WHOLE: Way = Way {
    name: "responses, whole",
    form: Form::Document,
    body: r#"{"model":"gpt-5","input":"say hi to the cat"}"#,
    held: "{",
    ..RESPONSES
};

/// A chat stream whose client asks for the usage itself.
pub(super) const CHAT: Way = Way {
    name: "chat, streamed",
    wire: Wire::OpenaiChat,
    form: Form::Events,
    provider: "codex",
    path: "/v1/chat/completions",
    body: r#"{"model":"gpt-5","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"say hi to everybody in the house"}]}"#,
    held: r#""choices":[],"usage":{"#,
};

/// A chat stream whose client asks for no usage.
pub(super) const CHAT_UNASKED: Way = Way {
    name: "chat, streamed, no usage asked for",
    body: r#"{"model":"gpt-5","stream":true,"messages":[{"role":"user","content":"say hi to everybody in the house"}]}"#,
    held: "data: [DONE]",
    ..CHAT
};

pub(super) const CHAT_WHOLE: Way = Way {
    name: "chat, whole",
    form: Form::Document,
    body: r#"{"model":"gpt-5","messages":[{"role":"user","content":"say hi to the cat"}]}"#,
    held: "{",
    ..CHAT
};

pub(super) const GEMINI: Way = Way {
    name: "gemini, events",
    wire: Wire::Gemini,
    form: Form::Events,
    provider: "gemini",
    path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    body: r#"{"contents":[{"role":"user","parts":[{"text":"say hi to everybody in the house"}]}]}"#,
    held: "finishReason",
};

pub(super) const GEMINI_ARRAY: Way = Way {
    name: "gemini, array",
    form: Form::Array,
    path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
    ..GEMINI
};

pub(super) const GEMINI_WHOLE: Way = Way {
    name: "gemini, whole",
    form: Form::Document,
    path: "/v1beta/models/gemini-2.5-flash:generateContent",
    held: "{",
    ..GEMINI
};

pub(super) const STREAMS: [Way; 5] = [MESSAGES, RESPONSES, CHAT, GEMINI, GEMINI_ARRAY];
pub(super) const DOCUMENTS: [Way; 4] = [MESSAGES_WHOLE, RESPONSES_WHOLE, CHAT_WHOLE, GEMINI_WHOLE];

/// Returns all ways.
pub(super) fn all() -> impl Iterator<Item = Way> + Clone {
    STREAMS.into_iter().chain(DOCUMENTS)
}

impl Way {
    /// Returns the header in which a client of this dialect sends its key, and the value.
    pub(super) fn key_header(&self, key: &str) -> (&'static str, String) {
        match self.wire {
            Wire::AnthropicMessages => ("x-api-key", key.to_owned()),
            Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses => {
                ("authorization", format!("Bearer {key}"))
            }
            Wire::Gemini => ("x-goog-api-key", key.to_owned()),
        }
    }

    /// Returns the path at the egress port.
    pub(super) fn target(&self) -> String {
        format!("/{}{}", self.provider, self.path)
    }

    /// Asks as a bottle; the answer is read as it comes.
    pub(super) async fn open(&self, system: &System, bottle: &Bottle) -> Result<Streamed> {
        let (name, value) = self.key_header(&bottle.token);
        let headers = [(name, value.as_str()), ("content-type", "application/json")];
        let target = self.target();
        let opened = stream(&system.egress, Method::POST, &target, &headers, self.body);
        within(opened).await?.context(self.name)
    }

    /// Asks as a bottle, and reads the answer to its end.
    pub(super) async fn ask(&self, system: &System, bottle: &Bottle) -> Result<Answer> {
        self.ask_with(system, bottle, &[]).await
    }

    /// The same with more headers.
    pub(super) async fn ask_with(
        &self,
        system: &System,
        bottle: &Bottle,
        more: &[(&str, &str)],
    ) -> Result<Answer> {
        let (name, value) = self.key_header(&bottle.token);
        let mut headers = vec![(name, value.as_str()), ("content-type", "application/json")];
        headers.extend(more);
        let target = self.target();
        let sent = send(&system.egress, Method::POST, &target, &headers, self.body);
        within(sent).await?.context(self.name)
    }

    /// Asks the provider itself, past the proxy.
    pub(super) async fn ask_directly(&self, system: &System) -> Result<Answer> {
        let address = system.provider.address().to_string();
        let headers = [("content-type", "application/json")];
        let sent = send(&address, Method::POST, self.path, &headers, self.body);
        within(sent).await?.context(self.name)
    }

    /// Cuts a whole answer into its events, or into the pieces of its array.
    pub(super) fn pieces(&self, body: &str) -> Vec<Bytes> {
        let ends: &[&str] = match self.form {
            Form::Document => &[],
            Form::Events => &["\r\n\r\n", "\n\n"],
            Form::Array => &["},\r\n"],
        };
        let mut pieces = Vec::new();
        let mut rest = body;
        while let Some(end) = ends
            .iter()
            .filter_map(|end| Some(rest.find(end)? + end.len()))
            .min()
        {
            let (piece, after) = rest.split_at(end);
            pieces.push(Bytes::copy_from_slice(piece.as_bytes()));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Bytes::copy_from_slice(rest.as_bytes()));
        }
        pieces
    }
}

/// Waits for what must come soon.
pub(super) async fn within<T>(what: impl Future<Output = T>) -> Result<T> {
    within_time(WAIT_LIMIT, what).await
}

/// Waits for what must come in so much time.
pub(super) async fn within_time<T>(limit: Duration, what: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(limit, what)
        .await
        .with_context(|| format!("nothing came within {limit:?}"))
}

/// Waits for all of them at once.
pub(super) async fn together<T>(them: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut them: Vec<_> = them.into_iter().map(|it| (Box::pin(it), None)).collect();
    poll_fn(|cx| {
        for (it, done) in them.iter_mut().filter(|(_, done)| done.is_none()) {
            if let Poll::Ready(output) = it.as_mut().poll(cx) {
                *done = Some(output);
            }
        }
        if them.iter().all(|(_, done)| done.is_some()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    them.into_iter().filter_map(|(_, done)| done).collect()
}

/// Takes out what differs between two answers to one request: the ids and the time.
pub(super) fn without_ids(text: &str) -> String {
    let mut cleaned = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_hexdigit())
                .len();
        let (word, after) = rest.split_at(run);
        let is_time = run == 10 && word.bytes().all(|byte| byte.is_ascii_digit());
        cleaned.push_str(if run == 24 || is_time { "ID" } else { word });
        let next = after.chars().next();
        cleaned.extend(next);
        rest = &after[next.map_or(0, char::len_utf8)..];
    }
    cleaned
}
