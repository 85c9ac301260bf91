//! What a provider says that the input of a call is, asked before the call: it costs no tokens.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bb_core::request::{CountRequest, counted_tokens};
use bb_proto::ids::ProviderKey;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Limited};

use super::Egress;
use super::body::{RequestBody, Whole};
use super::route::Call;

/// How long a count may take; after that a byte counts as a token.
const COUNT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer to a question for a count, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The most counts that are remembered.
const COUNTS_MAX: usize = 1_024;

/// A question: to whom, the digest of what is asked, and its length.
type Key = (ProviderKey, u64, usize);

/// Counts that were asked for, by what was asked: clients repeat their requests.
#[derive(Debug, Default)]
pub(super) struct Counts {
    digests: RandomState,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    of: HashMap<Key, u64>,
    order: VecDeque<Key>,
}

impl Counts {
    fn key(&self, provider: &ProviderKey, asked: &CountRequest) -> Key {
        let digest = self.digests.hash_one((&asked.path, &asked.body));
        (provider.clone(), digest, asked.body.len())
    }

    fn get(&self, key: &Key) -> Option<u64> {
        self.lock().of.get(key).copied()
    }

    fn put(&self, key: Key, tokens: u64) {
        let mut known = self.lock();
        if known.of.insert(key.clone(), tokens).is_none() {
            known.order.push_back(key);
        }
        while known.order.len() > COUNTS_MAX {
            if let Some(oldest) = known.order.pop_front() {
                known.of.remove(&oldest);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the tokens of a call's input as its provider counts them; `None` where it does not say.
pub(super) async fn counted(
    egress: &Egress,
    call: &Call,
    head: &http::request::Parts,
    body: &[u8],
) -> Option<u64> {
    let asked = CountRequest::of(call.wire, &call.path, body)?;
    let counts = &egress.shared.counts;
    let key = counts.key(&call.provider().ok()?.row.key, &asked);
    if let Some(tokens) = counts.get(&key) {
        return Some(tokens);
    }
    let tokens = tokio::time::timeout(COUNT_TIMEOUT, ask(egress, call, head, asked));
    let tokens = tokens.await.ok().flatten();
    if let Some(tokens) = tokens {
        counts.put(key, tokens);
    } else {
        tracing::debug!(bottle = %call.who.identity.bottle, "the input was not counted");
    }
    tokens
}

async fn ask(
    egress: &Egress,
    call: &Call,
    head: &http::request::Parts,
    asked: CountRequest,
) -> Option<u64> {
    let (mut question, ()) = Request::new(()).into_parts();
    question.method = Method::POST;
    question.headers = head.headers.clone();
    question.headers.remove(header::CONTENT_ENCODING);
    let head = call.towards_provider_at(question, &asked.path).ok()?;
    let body = RequestBody::Whole(Whole::new(Bytes::from(asked.body), None));
    let upstream = call.provider().ok()?.upstream(&asked.path).clone();
    let answer = egress
        .shared
        .upstreams
        .send(
            &upstream,
            Request::from_parts(head, body),
            egress.limits().connect_timeout,
        )
        .await
        .ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let answer = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
    counted_tokens(&answer.collect().await.ok()?.to_bytes())
}
