//! Calls in every dialect, each with a model of its own, so that every book can be compared.

use anyhow::{Context as _, Result};
use bb_proto::usage::Usage;
use bb_tests::harness::{WAIT_LIMIT, stream};
use http::Method;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::home::Place;

/// What an agent is told while the ledger cannot be written.
pub(super) const SENTENCE: &str =
    "the controller cannot write its ledger and admits no calls until it can; tell the operator";

/// How a call ended as its client saw it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) model: String,
    /// The status, where an answer began.
    pub(super) status: Option<u16>,
    pub(super) text: String,
    /// Whether the client saw what ends an answer of this kind.
    pub(super) saw_end: bool,
}

/// Asks in one of the dialects, by number, and reads as far as it goes.
pub(super) async fn ask(egress: &str, token: &str, number: usize) -> Asked {
    let model = format!("m-{number}");
    let messages = json!([{"role": "user", "content": "say hi to everybody"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "say hi to everybody"}]}]);
    let gemini = format!("/gemini/v1beta/models/{model}:streamGenerateContent?alt=sse");
    let (path, body, end) = match number % 6 {
        0 | 1 => (
            "/claude/v1/messages",
            json!({"model": model, "max_tokens": 500, "stream": true, "messages": messages}),
            Some("event: message_stop"),
        ),
        2 => (
            "/claude/v1/messages",
            json!({"model": model, "max_tokens": 500, "messages": messages}),
            None,
        ),
        3 => (
            "/codex/v1/responses",
            json!({"model": model, "stream": true, "input": "say hi to everybody"}),
            Some("event: response.completed"),
        ),
        4 => (
            "/codex/v1/chat/completions",
            json!({"model": model, "stream": true, "messages": messages}),
            Some("data: [DONE]"),
        ),
        _ => (
            gemini.as_str(),
            json!({"contents": contents}),
            Some("finishReason"),
        ),
    };
    // Every wire takes the token in some header; the path takes it for all.
    let path = format!("/b/{token}{path}");
    let headers = [("content-type", "application/json")];
    let opened = stream(egress, Method::POST, &path, &headers, body.to_string());
    let Ok(Ok(streamed)) = tokio::time::timeout(WAIT_LIMIT, opened).await else {
        return Asked {
            model,
            status: None,
            text: String::new(),
            saw_end: false,
        };
    };
    let status = streamed.status.as_u16();
    let read = tokio::time::timeout(WAIT_LIMIT, streamed.rest()).await;
    let (text, is_whole) = read.unwrap_or_default();
    let saw_end = match end {
        _ if status != 200 => false,
        Some(end) => text.contains(end),
        None => is_whole,
    };
    Asked {
        model,
        status: Some(status),
        text,
        saw_end,
    }
}

/// Keeps the controller from writing, until it is dropped; what it has decided waits.
pub(super) struct NothingIsWritten {
    _lock: Connection,
}

impl NothingIsWritten {
    pub(super) fn begin(place: &Place) -> Result<Self> {
        let connection = Connection::open(place.home.database())?;
        connection.busy_timeout(WAIT_LIMIT)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Self { _lock: connection })
    }
}

/// A call as the ledger has it.
#[derive(Debug, Clone)]
pub(super) struct Charged {
    pub(super) model: String,
    pub(super) kind: String,
    pub(super) ending: String,
    pub(super) estimated: bool,
    pub(super) charge: i64,
    pub(super) usage: Usage,
}

/// The ledger's file, read beside the controller.
pub(super) struct File(Connection);

impl File {
    pub(super) fn open(place: &Place) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(place.home.database(), flags)?;
        connection.busy_timeout(WAIT_LIMIT)?;
        Ok(Self(connection))
    }

    pub(super) fn number(&self, sql: &str) -> Result<i64> {
        self.0
            .query_row(sql, [], |row| row.get(0))
            .context(sql.to_owned())
    }

    /// Returns every entry, in their order.
    pub(super) fn charged(&self) -> Result<Vec<Charged>> {
        let mut statement = self.0.prepare(
            "SELECT model, kind, ending, estimated, charge, input, cache_read, cache_write, output,
                 reasoning
             FROM entries ORDER BY seq",
        )?;
        let rows = statement.query_map([], |row| {
            let count = |at: usize| {
                let count: Option<i64> = row.get(at)?;
                Ok::<_, rusqlite::Error>(count.and_then(|count| u64::try_from(count).ok()))
            };
            Ok(Charged {
                model: row.get(0)?,
                kind: row.get(1)?,
                ending: row.get(2)?,
                estimated: row.get(3)?,
                charge: row.get(4)?,
                usage: Usage {
                    input: count(5)?,
                    cache_read: count(6)?,
                    cache_write: count(7)?,
                    output: count(8)?,
                    reasoning: count(9)?,
                },
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
