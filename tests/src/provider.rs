//! The scripted provider: a real HTTP server that answers as four providers do, and the referee
//! that keeps its own count of what it was asked, what it said and what that costs.
//!
//! A test tells it what to answer with a [`Script`], points the proxy at [`Provider::url`], and
//! compares the ledger with [`Provider::calls`] and [`Provider::totals`]. It knows nothing of the
//! proxy. Ids are new for every call, models are echoed, the request's own limits hold.

mod body;
mod cli;
mod referee;
mod render;
mod request;
mod script;
mod server;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use cli::main;
pub use referee::{Answer, Call, Ending, Received, Totals, WAIT_LIMIT};
pub use request::Kind;
pub use script::{Chunking, Encoding, Fault, On, Script, Tokens, Tool};

use referee::Referee;
use state::State;

/// How a provider is started.
#[derive(Debug, Clone)]
pub struct Options {
    pub listen: SocketAddr,
    /// Names on the certificate; `None` is plain HTTP.
    pub tls: Option<Vec<String>>,
    /// The only key that is served; others get 401. `None` serves all.
    pub key: Option<String>,
    /// Whether Responses are served over a WebSocket too; else an upgrade is answered with 426.
    pub websockets: bool,
    /// The requests kept with their bodies, the latest ones; the totals count all.
    pub calls_kept: usize,
    /// The answer to whatever nothing else is said for.
    pub script: Script,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            key: None,
            websockets: false,
            calls_kept: 10_000,
            script: Script::default(),
        }
    }
}

/// A running provider; the last clone that is dropped stops it.
#[derive(Debug, Clone)]
pub struct Provider {
    state: Arc<State>,
    address: SocketAddr,
    ca_pem: Option<Arc<str>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    _guard: Arc<DropGuard>,
}

impl Provider {
    /// Starts one over plain HTTP on a port of its own.
    pub async fn start(script: Script) -> anyhow::Result<Self> {
        Self::start_with(Options {
            script,
            ..Options::default()
        })
        .await
    }

    /// Starts one over TLS, with a certificate for the loopback names and `names`.
    pub async fn start_tls(script: Script, names: &[&str]) -> anyhow::Result<Self> {
        let names = ["localhost", "127.0.0.1"]
            .iter()
            .chain(names)
            .map(|name| (*name).to_owned())
            .collect();
        Self::start_with(Options {
            script,
            tls: Some(names),
            ..Options::default()
        })
        .await
    }

    /// Starts one as `options` say; its tasks run on the runtime that this is called on.
    pub async fn start_with(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("binding the provider to {}", options.listen))?;
        let address = listener
            .local_addr()
            .context("asking for the provider's address")?;
        let (tls, ca_pem) = match &options.tls {
            None => (None, None),
            Some(names) => {
                let (acceptor, pem) = tls::acceptor(names)?;
                (Some(acceptor), Some(Arc::from(pem)))
            }
        };
        let stop = CancellationToken::new();
        let state = Arc::new(State::new(&options, stop.clone()));
        let tasks = TaskTracker::new();
        tasks.spawn(server::accept(
            Arc::clone(&state),
            listener,
            tls,
            stop.clone(),
        ));
        let guard = Arc::new(stop.clone().drop_guard());
        Ok(Self {
            state,
            address,
            ca_pem,
            stop,
            tasks,
            _guard: guard,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL, without a slash at its end.
    pub fn url(&self) -> String {
        let scheme = if self.ca_pem.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate authority, if it speaks TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Sets the answer to whatever nothing else is said for.
    pub fn set_script(&self, script: Script) {
        self.state.set_default(script);
    }

    /// Sets the answer to requests that `on` names; the latest such setting that fits is used.
    pub fn set_script_on(&self, on: On, script: Script) {
        self.state.set_on(on, script);
    }

    /// Answers the next model call that is not answered yet with `script`, before all settings.
    pub fn enqueue(&self, script: Script) {
        self.state.enqueue(script);
    }

    /// Returns the model calls, the oldest first.
    pub fn calls(&self) -> Vec<Call> {
        calls(&self.state.referee)
    }

    /// Returns all requests, those that are no model call included.
    pub fn requests(&self) -> Vec<Call> {
        self.state.referee.requests()
    }

    pub fn totals(&self) -> Totals {
        self.state.referee.totals()
    }

    /// Waits until `condition` holds for the model calls, and returns them.
    pub async fn wait_for(
        &self,
        condition: impl FnMut(&[Call]) -> bool,
    ) -> anyhow::Result<Vec<Call>> {
        self.wait_within(WAIT_LIMIT, condition).await
    }

    /// Waits for `limit` at most until `condition` holds for the model calls, and returns them.
    pub async fn wait_within(
        &self,
        limit: Duration,
        mut condition: impl FnMut(&[Call]) -> bool,
    ) -> anyhow::Result<Vec<Call>> {
        let look = |referee: &Referee| Some(calls(referee)).filter(|calls| condition(calls));
        self.state.referee.wait(limit, look).await
    }

    /// Waits until `condition` holds for the totals; cheaper than the calls where there are many.
    pub async fn wait_for_totals(
        &self,
        mut condition: impl FnMut(&Totals) -> bool,
    ) -> anyhow::Result<Totals> {
        let look = |referee: &Referee| Some(referee.totals()).filter(|totals| condition(totals));
        self.state.referee.wait(WAIT_LIMIT, look).await
    }

    /// Ends all connections and refuses new ones, as a provider that is gone.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn calls(referee: &Referee) -> Vec<Call> {
    let mut requests = referee.requests();
    requests.retain(|call| call.request.kind == Kind::Call);
    requests
}
