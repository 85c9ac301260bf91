//! The egress proxy: every call of every bottle, from accept to settlement.
//!
//! It knows the ledger, the core, and what the settings say of providers. It does not know the control socket, and nothing of bottles
//! but who a token stands for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::ledger::LedgerHandle;
use crate::settings::limits::Limits;
use crate::settings::providers::Providers;

mod answers;
mod background;
mod body;
mod capping;
mod client_body;
mod counting;
mod cutting;
mod decoding;
mod document;
mod encoded;
mod exchange;
mod flow;
mod headers;
mod identify;
mod in_flight;
pub mod listener;
mod metered_body;
mod polled_body;
mod refuse;
mod reporting;
mod request;
mod respond;
mod route;
mod sending;
pub(crate) mod tap;
mod unmetered;
mod upstream;
mod websocket;
pub mod workers;

use answers::Answers;
use background::Background;
use counting::Counts;
use upstream::Upstreams;
use websocket::WEBSOCKETS_MAX;

/// What every exchange on one thread needs.
#[derive(Debug, Clone)]
struct Egress {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    ledger: LedgerHandle,
    providers: watch::Receiver<Arc<Providers>>,
    limits: watch::Receiver<Limits>,
    upstreams: Upstreams,
    websockets: Arc<Semaphore>,
    answers: Answers,
    tracker: TaskTracker,
    draining: watch::Receiver<bool>,
    wrong_tokens: Arc<AtomicU64>,
    background: Arc<Background>,
    counts: Counts,
}

/// What the proxy is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Where calls are admitted and charged.
    pub ledger: LedgerHandle,
    /// The providers, as the settings have them now.
    pub providers: watch::Receiver<Arc<Providers>>,
    /// The limits, as the settings have them now.
    pub limits: watch::Receiver<Limits>,
    /// Where tasks are spawned.
    pub tracker: TaskTracker,
    /// Whether new calls are refused because the controller stops.
    pub draining: watch::Receiver<bool>,
    /// How many requests were refused for their token.
    pub wrong_tokens: Arc<AtomicU64>,
    /// The TLS configuration towards providers.
    pub tls: Arc<rustls::ClientConfig>,
    /// What is known of calls that go on in the background.
    pub background: GoingOn,
}

/// Calls that go on in the background, as all threads know them.
#[derive(Debug, Clone, Default)]
pub struct GoingOn(Arc<Background>);

impl Egress {
    /// Puts the proxy together.
    fn new(parts: Parts) -> Self {
        Self {
            shared: Arc::new(Shared {
                ledger: parts.ledger,
                providers: parts.providers,
                limits: parts.limits,
                upstreams: Upstreams::new(parts.tls, parts.tracker.clone()),
                websockets: Arc::new(Semaphore::new(WEBSOCKETS_MAX)),
                answers: Answers::default(),
                tracker: parts.tracker,
                draining: parts.draining,
                wrong_tokens: parts.wrong_tokens,
                background: parts.background.0,
                counts: Counts::default(),
            }),
        }
    }

    fn limits(&self) -> Limits {
        *self.shared.limits.borrow()
    }

    fn providers(&self) -> Arc<Providers> {
        Arc::clone(&self.shared.providers.borrow())
    }

    fn is_draining(&self) -> bool {
        *self.shared.draining.borrow()
    }

    fn count_wrong_token(&self) {
        self.shared.wrong_tokens.fetch_add(1, Ordering::Relaxed);
    }
}
