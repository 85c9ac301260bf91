//! A home with a controller in a process of its own, the scripted provider behind it, and bottles.

use anyhow::{Context as _, Result};
use bb_proto::event::{Actor, EventKind};
use bb_proto::process::Process;
use bb_proto::reply::Registered;
use bb_proto::request::{AuditList, BottleRegister, BottleShow, BudgetList, LaunchBudget};
use bb_proto::units::Tokens;
use bb_proto::view::BottleState;
use bb_tests::harness::{Daemon, call, registration, send};
use bb_tests::provider::{Provider, Script};
use http::Method;

use super::terminal::{Size, Terminal};
use crate::home::Place;

const QUESTION: &str =
    r#"{"model":"claude-opus-4-8","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#;

/// A host with a controller, once it is started.
pub(super) struct Scene {
    pub(super) place: Place,
    pub(super) daemon: Option<Daemon>,
    _provider: Provider,
}

impl Scene {
    /// Makes the home; every call costs a hundred tokens.
    pub(super) async fn before_the_controller() -> Result<Self> {
        let provider = Provider::start(Script::costing(60, 40)).await?;
        Ok(Self {
            place: Place::before(&provider, "")?,
            daemon: None,
            _provider: provider,
        })
    }

    /// The same with its controller.
    pub(super) async fn start() -> Result<Self> {
        let mut scene = Self::before_the_controller().await?;
        scene.start_controller()?;
        Ok(scene)
    }

    pub(super) fn start_controller(&mut self) -> Result<()> {
        self.daemon = Some(self.place.start()?);
        Ok(())
    }

    /// Opens the dashboard, and waits until it follows the controller.
    pub(super) async fn dashboard(&self, size: Size) -> Result<Terminal> {
        let mut terminal = Terminal::start(&self.place.home, size)?;
        terminal.wait_for("● live").await?;
        Ok(terminal)
    }

    /// Registers a bottle that may spend a thousand tokens.
    pub(super) async fn register(&self, name: &str) -> Result<Registered> {
        self.register_process(name, None).await
    }

    /// The same with its process.
    pub(super) async fn register_process(
        &self,
        name: &str,
        process: Option<Process>,
    ) -> Result<Registered> {
        let budget = LaunchBudget {
            provider: "claude".parse()?,
            limit: Tokens(1_000),
        };
        let params = BottleRegister {
            budgets: vec![budget],
            process,
            ..registration(name)?
        };
        Ok(call(&self.place.home, params).await?)
    }

    /// Asks the model once, as a bottle; returns the status.
    pub(super) async fn ask_the_model(&self, bottle: &Registered) -> Result<u16> {
        let egress = &self.daemon.as_ref().context("a controller")?.egress;
        let headers = [("x-api-key", bottle.token.as_str())];
        let path = "/claude/v1/messages";
        let answer = send(egress, Method::POST, path, &headers, QUESTION).await?;
        Ok(answer.status.as_u16())
    }

    /// Returns the state of a bottle as the controller has it.
    pub(super) async fn state(&self, name: &str) -> Result<BottleState> {
        let name = name.parse()?;
        let shown = call(&self.place.home, BottleShow { name }).await?;
        Ok(shown.bottle.state)
    }

    /// Returns the limit of the only budget there is.
    pub(super) async fn limit(&self) -> Result<u64> {
        let listed = call(&self.place.home, BudgetList { bottle: None }).await?;
        anyhow::ensure!(listed.budgets.len() == 1, "{:?}", listed.budgets);
        Ok(listed.budgets[0].limit.0)
    }

    /// Returns what the operator did, the latest last, without the launches.
    pub(super) async fn orders(&self) -> Result<Vec<EventKind>> {
        let audit = call(&self.place.home, AuditList::default()).await?;
        let orders = audit.events.iter().rev();
        let orders = orders.filter(|event| event.actor == Actor::Operator);
        let kinds = orders.map(|event| event.kind);
        Ok(kinds.filter(|kind| *kind != EventKind::Launched).collect())
    }
}
