//! A client in a bottle of its own, pointed at the controller by the controller's own recipe.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bb_proto::reply::CallRow;
use bb_proto::request::{BottleCutoff, BottleShow, SettingsReload};
use bb_proto::view;
use bb_tests::clients::{Client, Prompt, Run, Said};
use bb_tests::harness::{Bottle, System};
use bb_tests::provider::{Call, Ending, Options, Provider, Script};
use tokio::sync::Semaphore;

use crate::home::skipped;

/// How long a client may go on after it was refused or cut.
const LEFT_LIMIT: Duration = Duration::from_secs(5);

/// How long a client goes on is measured, so they do not compete with each other.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// Calls `test` with each client that is installed; says which ones are not.
pub(super) async fn each<F>(clients: &[Client], test: impl Fn(Client) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    for client in clients {
        let _permit = ONE_AT_A_TIME.acquire().await?;
        match client.program() {
            Ok(_) => test(*client).await.with_context(|| client.to_string())?,
            Err(missing) => skipped(&missing.reason()),
        }
    }
    Ok(())
}

/// Returns the ways a client can be told to ask: a coding agent always streams.
pub(super) fn streaming(client: Client) -> &'static [bool] {
    match client {
        Client::ClaudeCode | Client::Codex => &[true],
        _ => &[true, false],
    }
}

/// A controller, a provider, and a bottle for one client.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) client: Client,
    pub(super) provider: Provider,
    pub(super) system: System,
    pub(super) bottle: Bottle,
}

impl Scene {
    /// Starts all but the client; `budget` is one of all providers, for this run.
    pub(super) async fn start(client: Client, script: Script, budget: Option<u64>) -> Result<Self> {
        let provider = Provider::start(script).await?;
        let system = System::start(&provider, "").await?;
        Self::with(client, provider, system, budget).await
    }

    /// Starts all but the client, with a provider that serves Responses over a WebSocket.
    pub(super) async fn start_websockets(
        client: Client,
        script: Script,
        budget: Option<u64>,
    ) -> Result<Self> {
        let provider = Provider::start_with(Options {
            script,
            websockets: true,
            ..Options::default()
        })
        .await?;
        let system = System::start(&provider, "").await?;
        Self::with(client, provider, system, budget).await
    }

    /// Returns the prompt `say hi` for Codex with its built-in provider, moved: it tries a
    /// WebSocket first.
    pub(super) fn built_in_prompt(&self) -> Prompt {
        let base_url = format!("http://{}/codex", self.system.egress);
        Prompt::new(self.client, base_url, &self.bottle.token)
    }

    /// Starts all but the client, which has a login of its own that the controller passes on.
    pub(super) async fn start_passing(client: Client, script: Script) -> Result<Self> {
        let provider = Provider::start(script).await?;
        let system = System::start(&provider, "").await?;
        let settings = std::fs::read_to_string(system.home().settings())?;
        let kept = settings
            .lines()
            .filter(|line| !line.contains("credential:"));
        let settings: Vec<&str> = kept.collect();
        std::fs::write(system.home().settings(), settings.join("\n"))?;
        let checked = system.call(SettingsReload::default()).await?;
        ensure!(checked.applied, "{checked:?}");
        Self::with(client, provider, system, None).await
    }

    async fn with(
        client: Client,
        provider: Provider,
        system: System,
        budget: Option<u64>,
    ) -> Result<Self> {
        let budgets: Vec<_> = budget.iter().map(|limit| ("all", *limit)).collect();
        let bottle = system
            .bottle_with("web", &budgets, |params| {
                params.client = Some(client.recipe().to_owned());
            })
            .await?;
        Ok(Self {
            client,
            provider,
            system,
            bottle,
        })
    }

    /// Returns the prompt `say hi` for the client, by the recipe.
    pub(super) fn prompt(&self) -> Result<Prompt> {
        let recipe = self.bottle.registered.client.clone();
        let recipe = recipe.context("the controller answered no recipe")?;
        Ok(Prompt::by_recipe(self.client, recipe))
    }

    /// Returns the bottle as clients of the socket see it.
    pub(super) async fn shown(&self) -> Result<view::Bottle> {
        let name = self.bottle.name.clone();
        Ok(self.system.call(BottleShow { name }).await?.bottle)
    }

    /// Cuts the bottle off, as the operator.
    pub(super) async fn cut_off(&self) -> Result<()> {
        let order = BottleCutoff {
            names: vec![self.bottle.name.clone()],
            ..BottleCutoff::default()
        };
        self.system.call(order).await?;
        Ok(())
    }

    /// Returns what the ledger has, the oldest call first.
    pub(super) async fn ledger(&self) -> Result<Vec<CallRow>> {
        self.system.settled().await?;
        let mut rows = self.system.calls_of(&self.bottle).await?.rows;
        rows.reverse();
        rows.into_iter()
            .map(|row| row.call.context("a row without its call"))
            .collect()
    }

    /// Returns the one call that reached the provider.
    pub(super) fn only_call(&self) -> Result<Call> {
        let calls = self.provider.calls();
        ensure!(calls.len() == 1, "calls at the provider: {calls:?}");
        calls.into_iter().next().context("no call")
    }

    /// Waits for the client's end, and requires that its one call was ended by us: aborted at the
    /// provider, charged by estimate, told in `sentence`, and not asked again.
    pub(super) async fn expect_cut(
        &self,
        running: bb_tests::clients::Running,
        sentence: &str,
    ) -> Result<Run> {
        let run = running.finish().await?;
        let call = self.only_call()?;
        ensure!(call.answer.ending == Some(Ending::Aborted), "{call:?}");
        let cut_at = call.answer.ended_at.context("not ended")?;
        expect_told(&run, cut_at, sentence)?;
        let rows = self.ledger().await?;
        let [row] = rows.as_slice() else {
            anyhow::bail!("calls in the ledger: {rows:?}");
        };
        ensure!(
            row.ending == bb_proto::reply::Ending::Cut && row.estimated,
            "{row:?}"
        );
        let refusals = self.shown().await?.refusals;
        ensure!(refusals == 0, "it asked {refusals} more times: {run:?}");
        Ok(run)
    }
}

/// Requires that a client ended by itself soon after `since`, with an error that says `sentence`.
pub(super) fn expect_told(run: &Run, since: Instant, sentence: &str) -> Result<()> {
    let left = since.elapsed();
    ensure!(!run.timed_out && left <= LEFT_LIMIT, "{left:?}: {run:?}");
    let Said { text, error } = run.said();
    if run.client == Client::GeminiSdk && run.code() == 0 {
        // In a stream the dialect has no error that its SDK shows: it is the answer's last words.
        ensure!(text.is_some_and(|text| text.ends_with(sentence)), "{run:?}");
        return Ok(());
    }
    ensure!(
        run.code() == 1 && text.is_none() && error.is_some_and(|error| error.contains(sentence)),
        "{run:?}"
    );
    Ok(())
}
