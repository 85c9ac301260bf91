//! The referee's book as JSON, for shells and for benches in another process.

use std::time::Instant;

use serde_json::{Value, json};

use super::{Call, Referee};

/// The headers that a report shows; a test in the same process can read them all.
const HEADERS_SHOWN: [&str; 14] = [
    "host",
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "user-agent",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "te",
    "anthropic-version",
    "x-stainless-retry-count",
    "x-claude-code-session-id",
    "x-client-request-id",
    "session-id",
];

impl Referee {
    /// The totals, and the last `calls_max` requests without their bodies.
    pub(in crate::provider) fn report(&self, calls_max: usize) -> Value {
        let requests = self.requests();
        let first = requests.len().saturating_sub(calls_max);
        let shown: Vec<Value> = requests[first..]
            .iter()
            .map(|call| self.entry(call))
            .collect();
        json!({ "totals": self.totals(), "requests": shown })
    }

    fn entry(&self, call: &Call) -> Value {
        let (request, answer) = (&call.request, &call.answer);
        let headers: serde_json::Map<String, Value> = HEADERS_SHOWN
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), request.header(name)?.into())))
            .collect();
        json!({
            "id": request.id,
            "kind": request.kind.as_str(),
            "wire": request.wire,
            "method": request.method.as_str(),
            "version": format!("{:?}", request.version),
            "path": request.path,
            "query": request.query,
            "model": request.model,
            "streamed": request.streamed,
            "output_max": request.output_max,
            "headers": headers,
            "body_bytes": request.body.len(),
            "received_ms": self.millis(request.at),
            "first_byte_ms": answer.first_byte_at.map(|at| self.millis(at)),
            "last_byte_ms": answer.last_byte_at.map(|at| self.millis(at)),
            "ended_ms": answer.ended_at.map(|at| self.millis(at)),
            "events": answer.events,
            "bytes": answer.bytes,
            "stated": answer.stated,
            "billed": answer.billed,
            "ending": answer.ending,
        })
    }

    /// Milliseconds since the provider started.
    fn millis(&self, at: Instant) -> f64 {
        at.duration_since(self.started).as_secs_f64() * 1000.0
    }
}
