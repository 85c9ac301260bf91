//! A whole system to test: a real controller on a home of its own, the scripted provider behind
//! it, clients of its socket and of its egress port.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bb_controller::daemon::Controller;
use bb_proto::client::{Client, ClientError};
use bb_proto::home::Home;
use bb_proto::ids::BottleName;
use bb_proto::reply::{Registered, Usages};
use bb_proto::request::{BottleRegister, LaunchBudget, Method, UsageBy, UsageQuery};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::provider::Provider;

mod daemon;
mod http;

pub use daemon::Daemon;
pub use http::{Answer, Streamed, send, stream};

/// The key that the controller puts in.
pub const REAL_KEY: &str = "sk-real-key-of-the-operator";
/// How long anything that must happen may take.
pub const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// A controller in this process, with its home and its provider.
#[derive(Debug)]
pub struct System {
    /// Where calls go: `127.0.0.1:PORT`.
    pub egress: String,
    /// The provider behind it: the referee.
    pub provider: Provider,
    home: Home,
    stop: watch::Sender<bool>,
    running: Option<JoinHandle<()>>,
    folder: Arc<TempDir>,
}

/// A bottle that was registered.
#[derive(Debug, Clone)]
pub struct Bottle {
    /// Its name.
    pub name: BottleName,
    /// What it identifies itself by.
    pub token: String,
    /// As it was answered.
    pub registered: Registered,
}

/// Returns settings that point the three wires at the provider, a key of ours put in, a port of
/// its own, and `more` after that.
pub fn settings(provider: &Provider, folder: &Path, more: &str) -> anyhow::Result<String> {
    let key = folder.join("key");
    std::fs::write(&key, REAL_KEY)?;
    let (url, key) = (provider.url(), key.display().to_string());
    let mut rows = String::new();
    for name in ["claude", "codex", "gemini"] {
        writeln!(
            rows,
            "  {name}:\n    upstream: {url}\n    credential: file:{key}"
        )?;
    }
    Ok(format!(
        "egress:\n  listen: 127.0.0.1:0\nproviders:\n{rows}{more}"
    ))
}

impl System {
    /// Starts a controller in front of a provider; `more` is added to the usual settings.
    pub async fn start(provider: &Provider, more: &str) -> anyhow::Result<Self> {
        let folder = Arc::new(tempfile::tempdir()?);
        let home = Home::new(folder.path().join("home"));
        std::fs::create_dir_all(home.path())?;
        std::fs::write(home.settings(), settings(provider, folder.path(), more)?)?;
        Self::start_on(provider.clone(), home, folder).await
    }

    async fn start_on(
        provider: Provider,
        home: Home,
        folder: Arc<TempDir>,
    ) -> anyhow::Result<Self> {
        let controller = Controller::start(home.clone()).await?;
        let egress = controller.egress.to_string();
        let stop = controller.stopper();
        // The harness is no daemon: its task ends with the test.
        #[expect(
            clippy::disallowed_methods,
            reason = "joined by stop, or ends with the test"
        )]
        let running = tokio::spawn(controller.run(std::future::pending()));
        Ok(Self {
            egress,
            provider,
            home,
            stop,
            running: Some(running),
            folder,
        })
    }

    /// Returns the home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns a folder that goes away with the test.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Ends the controller in order, and waits until it has ended.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        if let Some(running) = self.running.take() {
            running.await?;
        }
        Ok(())
    }

    /// Ends the controller and starts it again on the same home; its port is another.
    pub async fn restart(mut self) -> anyhow::Result<Self> {
        self.stop().await?;
        let (provider, home) = (self.provider.clone(), self.home.clone());
        Self::start_on(provider, home, Arc::clone(&self.folder)).await
    }

    /// Calls a method on a connection of its own.
    pub async fn call<M>(&self, params: M) -> Result<M::Reply, ClientError>
    where
        M: Method + Send + 'static,
        M::Reply: Send + 'static,
    {
        call(&self.home, params).await
    }

    /// Registers a bottle without budgets.
    pub async fn bottle(&self, name: &str) -> anyhow::Result<Bottle> {
        self.bottle_with(name, &[], |_| {}).await
    }

    /// Registers a bottle with budgets of its run, such as `("claude", 200_000)`; `change` changes
    /// what is asked for.
    pub async fn bottle_with(
        &self,
        name: &str,
        budgets: &[(&str, u64)],
        change: impl FnOnce(&mut BottleRegister),
    ) -> anyhow::Result<Bottle> {
        let mut params = registration(name)?;
        for (provider, limit) in budgets {
            params.budgets.push(LaunchBudget {
                provider: provider.parse()?,
                limit: bb_proto::units::Tokens(*limit),
            });
        }
        change(&mut params);
        let registered = self.call(params).await?;
        Ok(Bottle {
            name: registered.name.clone(),
            token: registered.token.clone(),
            registered,
        })
    }

    /// Returns what the ledger has of a bottle, a row a call.
    pub async fn calls_of(&self, bottle: &Bottle) -> anyhow::Result<Usages> {
        let query = UsageQuery {
            bottle: Some(bottle.name.clone()),
            by: UsageBy::Call,
            limit: Some(1_000),
            ..UsageQuery::default()
        };
        Ok(self.call(query).await?)
    }

    /// Waits until no call is in flight, so that the ledger has all there is to have.
    pub async fn settled(&self) -> anyhow::Result<()> {
        self.wait_until("no call is in flight", async || {
            let snapshot = self.call(bb_proto::request::Snapshot::default()).await?;
            let totals = &snapshot.head.totals;
            Ok(totals.in_flight == 0 && totals.waiting == 0)
        })
        .await
    }

    /// Waits until a condition holds, with a limit.
    pub async fn wait_until(
        &self,
        what: &str,
        mut holds: impl AsyncFnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let waited = tokio::time::timeout(WAIT_LIMIT, async {
            while !holds().await? {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            anyhow::Ok(())
        });
        waited
            .await
            .with_context(|| format!("waiting until {what}"))?
    }
}

/// Returns the registration of a bottle with nothing but its name.
pub fn registration(name: &str) -> anyhow::Result<BottleRegister> {
    Ok(BottleRegister {
        name: name.parse()?,
        agent: None,
        parents: None,
        provider: None,
        budgets: Vec::new(),
        command: Vec::new(),
        client: None,
        renew: false,
        process: None,
        request_id: None,
        dry_run: false,
    })
}

/// Calls a method of the controller of a home, on a connection of its own.
pub async fn call<M>(home: &Home, params: M) -> Result<M::Reply, ClientError>
where
    M: Method + Send + 'static,
    M::Reply: Send + 'static,
{
    let socket = home.socket();
    let called = tokio::task::spawn_blocking(move || {
        let mut client = Client::connect(&socket)?;
        client.set_timeout(WAIT_LIMIT)?;
        client.call(&params)
    });
    called
        .await
        .unwrap_or_else(|error| Err(ClientError::Malformed(error.to_string())))
}
