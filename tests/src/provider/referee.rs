//! The provider's own count: each request, what was stated and generated for it, how it ended.

mod report;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use bb_proto::usage::{Usage, Wire};
use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use serde::Serialize;
use tokio::sync::Notify;

use super::request::Kind;

/// How long a waiting helper waits before it gives up.
pub const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// A request as it arrived.
#[derive(Debug)]
pub struct Received {
    /// Counted from one, over all requests of this provider.
    pub id: u64,
    pub kind: Kind,
    pub wire: Wire,
    pub method: Method,
    pub version: Version,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub peer: SocketAddr,
    pub at: Instant,
    /// The model it names; empty if it names none.
    pub model: String,
    /// Whether it asks for a stream.
    pub streamed: bool,
    /// The limit it sets on the output.
    pub output_max: Option<u64>,
}

impl Received {
    /// Returns a header's value, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// All of it was handed to the connection.
    Finished,
    /// The client went away before that.
    Aborted,
    /// The script's fault ended it.
    Faulted,
    /// It was an error status, so nothing was generated.
    Refused(u16),
}

/// What has become of a request so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Answer {
    /// The usage in the last event sent that states one.
    pub stated: Usage,
    /// What the provider has read and generated so far, and would bill if it were ended now.
    pub billed: Usage,
    /// The events handed to the connection whole.
    pub events: u64,
    /// The body bytes handed to the connection.
    pub bytes: u64,
    pub first_byte_at: Option<Instant>,
    pub last_byte_at: Option<Instant>,
    /// `None` while it goes on, a stalled one included.
    pub ending: Option<Ending>,
    pub ended_at: Option<Instant>,
}

/// A request and its answer, at the moment of asking.
#[derive(Debug, Clone)]
pub struct Call {
    pub request: Arc<Received>,
    pub answer: Answer,
}

/// The sums over all model calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Totals {
    /// Requests for a model's answer, refused ones included.
    pub calls: u64,
    pub open: u64,
    /// The most that were open at one time.
    pub open_max: u64,
    pub finished: u64,
    pub aborted: u64,
    pub faulted: u64,
    pub refused: u64,
    /// Requests that are no model call: counts, lists, probes.
    pub side_requests: u64,
    pub events: u64,
    pub bytes: u64,
    /// The sums of [`Answer::stated`] over all calls that ended.
    pub stated: Usage,
    /// The sums of [`Answer::billed`] over all calls that ended.
    pub billed: Usage,
}

/// The book that the server writes and tests read.
#[derive(Debug)]
pub(super) struct Referee {
    book: Mutex<Book>,
    changed: Notify,
    events: AtomicU64,
    bytes: AtomicU64,
    calls_kept: usize,
    started: Instant,
}

#[derive(Debug, Default)]
struct Book {
    entries: VecDeque<Arc<Entry>>,
    totals: Totals,
}

#[derive(Debug)]
struct Entry {
    request: Arc<Received>,
    answer: Mutex<Answer>,
}

impl Referee {
    pub(super) fn new(calls_kept: usize) -> Self {
        Self {
            book: Mutex::default(),
            changed: Notify::new(),
            events: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            calls_kept,
            started: Instant::now(),
        }
    }

    /// Enters a request; its answer ends exactly once, at the latest when the record is dropped.
    pub(super) fn enter(self: &Arc<Self>, request: Received) -> Record {
        let entry = Arc::new(Entry {
            request: Arc::new(request),
            answer: Mutex::default(),
        });
        let mut book = locked(&self.book);
        if entry.request.kind == Kind::Call {
            book.totals.calls += 1;
            book.totals.open += 1;
            book.totals.open_max = book.totals.open_max.max(book.totals.open);
        } else {
            book.totals.side_requests += 1;
        }
        if self.calls_kept > 0 {
            if book.entries.len() >= self.calls_kept {
                book.entries.pop_front();
            }
            book.entries.push_back(Arc::clone(&entry));
        }
        drop(book);
        self.changed.notify_waiters();
        Record {
            referee: Arc::clone(self),
            entry,
            open: true,
        }
    }

    pub(super) fn requests(&self) -> Vec<Call> {
        locked(&self.book)
            .entries
            .iter()
            .map(|entry| entry.call())
            .collect()
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            events: self.events.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            ..locked(&self.book).totals
        }
    }

    /// Waits until `look` returns something.
    pub(super) async fn wait<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> anyhow::Result<T> {
        let found = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                // Registered before the look, so that no change falls between the two.
                changed.as_mut().enable();
                if let Some(found) = look(self) {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(limit, found).await {
            Ok(found) => Ok(found),
            Err(_) => bail!(
                "not seen within {limit:?}; the provider has {:?}",
                self.totals()
            ),
        }
    }
}

impl Entry {
    fn call(&self) -> Call {
        Call {
            request: Arc::clone(&self.request),
            answer: *locked(&self.answer),
        }
    }
}

/// The pen for one request: progress is written as it is made, the end exactly once.
#[derive(Debug)]
pub(super) struct Record {
    referee: Arc<Referee>,
    entry: Arc<Entry>,
    open: bool,
}

impl Record {
    pub(super) fn id(&self) -> u64 {
        self.entry.request.id
    }

    pub(super) fn request(&self) -> &Received {
        &self.entry.request
    }

    /// What was read before the first byte of the answer, and generated if it is not streamed.
    pub(super) fn billed(&self, billed: Usage) {
        locked(&self.entry.answer).billed = billed;
    }

    /// A frame of `bytes` was handed over, and with it `events` became whole.
    pub(super) fn sent(
        &self,
        bytes: usize,
        events: usize,
        stated: Option<Usage>,
        billed: Option<Usage>,
    ) {
        let now = Instant::now();
        let (bytes, events) = (count(bytes), count(events));
        let mut answer = locked(&self.entry.answer);
        answer.bytes += bytes;
        answer.events += events;
        answer.first_byte_at.get_or_insert(now);
        answer.last_byte_at = Some(now);
        answer.stated = stated.unwrap_or(answer.stated);
        answer.billed = billed.unwrap_or(answer.billed);
        drop(answer);
        if self.entry.request.kind == Kind::Call {
            self.referee.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.referee.events.fetch_add(events, Ordering::Relaxed);
        }
        self.referee.changed.notify_waiters();
    }

    pub(super) fn end(&mut self, ending: Ending) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        let mut answer = locked(&self.entry.answer);
        answer.ending = Some(ending);
        answer.ended_at = Some(Instant::now());
        let Answer { stated, billed, .. } = *answer;
        drop(answer);
        if self.entry.request.kind == Kind::Call {
            let mut book = locked(&self.referee.book);
            let totals = &mut book.totals;
            totals.open -= 1;
            match ending {
                Ending::Finished => totals.finished += 1,
                Ending::Aborted => totals.aborted += 1,
                Ending::Faulted => totals.faulted += 1,
                Ending::Refused(_) => totals.refused += 1,
            }
            add(&mut totals.stated, stated);
            add(&mut totals.billed, billed);
        }
        self.referee.changed.notify_waiters();
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.end(Ending::Aborted);
    }
}

fn add(sum: &mut Usage, usage: Usage) {
    let plus = |sum: &mut Option<u64>, more: Option<u64>| {
        if let Some(more) = more {
            *sum = Some(sum.unwrap_or(0) + more);
        }
    };
    plus(&mut sum.input, usage.input);
    plus(&mut sum.cache_read, usage.cache_read);
    plus(&mut sum.cache_write, usage.cache_write);
    plus(&mut sum.output, usage.output);
    plus(&mut sum.reasoning, usage.reasoning);
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The book is whole between any two statements that write it, so a poisoned lock is still good.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
