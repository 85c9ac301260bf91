//! Bottles that become known.

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::event::{Actor, EventKind};
use bb_proto::ids::{AgentName, BottleName, ProviderKey, RunId};
use bb_proto::process::Process;
use bb_proto::request::LaunchBudget;
use bb_proto::time::Timestamp;

use super::budgets::check_limit;
use super::{Book, Effect, Entry};
use crate::bottle::{Bottle, Lifecycle};

/// A bottle that asks to be known. Its token and run id are made by the caller, new and random.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its name.
    pub name: BottleName,
    /// This run.
    pub run: RunId,
    /// What it will identify itself by.
    pub token: String,
    /// The agent it runs; else what the settings say.
    pub agent: Option<AgentName>,
    /// What it extends; else what the settings say.
    pub parents: Option<Vec<BottleName>>,
    /// Its provider; else what the settings say.
    pub provider: Option<ProviderKey>,
    /// Budgets of this run.
    pub budgets: Vec<LaunchBudget>,
    /// The command it runs.
    pub command: Vec<String>,
    /// Its process on this host.
    pub process: Option<Process>,
    /// Whether a running bottle of this name gets a new token instead of an error.
    pub renew: bool,
    /// The user id of the peer that asks.
    pub uid: u32,
}

impl Book {
    /// Makes a bottle known, or says why it cannot be; `dry_run` changes nothing.
    ///
    /// Fails with `exists` where a bottle of that name runs, with `wrong_state` where one that is
    /// to get a new token would change by it, and with `invalid_params` where it
    /// would extend itself or a budget makes no sense.
    pub fn register(
        &mut self,
        registration: Registration,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Bottle, RpcError> {
        let name = registration.name.clone();
        let known = self.bottles.get(&name);
        let running = known.filter(|bottle| bottle.is_running());
        if let Some(running) = running {
            if !registration.renew {
                return Err(exists(&name));
            }
            let running = running.clone();
            return self.renew(running, registration, dry_run, now);
        }
        let uid = registration.uid;
        let bottle = self.new_bottle(registration, now);
        self.check_registration(&bottle)?;
        if dry_run {
            return Ok(bottle);
        }
        let text = match bottle.command.as_slice() {
            [] => format!("{name} registered"),
            command => format!("{name} launched: {}", command.join(" ")),
        };
        let mut event = self.event(now, EventKind::Launched, Actor::Operator, text);
        event.bottle = Some(name.clone());
        event.run = Some(bottle.run);
        event.uid = Some(uid);
        self.commit(Entry::Bottle(Box::new(bottle.clone())));
        self.happened(event);
        self.effect(Effect::TokenIssued {
            token: bottle.token.clone(),
            bottle: name.clone(),
        });
        self.reopen(Some(&name), now);
        self.admit_waiting(now);
        Ok(bottle)
    }

    /// Gives a running bottle a new token; all else it keeps.
    fn renew(
        &mut self,
        running: Bottle,
        asked: Registration,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Bottle, RpcError> {
        let changes = [
            (
                "that agent",
                asked.agent.is_some() && asked.agent != running.agent,
            ),
            (
                "those parents",
                asked
                    .parents
                    .is_some_and(|parents| parents != running.parents),
            ),
            (
                "that provider",
                asked.provider.is_some() && asked.provider != running.provider,
            ),
            (
                "those budgets",
                !asked.budgets.is_empty() && asked.budgets != running.budgets,
            ),
        ];
        if let Some((what, _)) = changes.iter().find(|(_, changes)| *changes) {
            return Err(RpcError::new(
                ErrorCode::WrongState,
                format!("{} does not run with {what}", running.name),
            )
            .with_hint(format!(
                "a new token changes nothing else; end it first: bb-ctl stop {}",
                running.name
            )));
        }
        let renewed = Bottle {
            token: asked.token,
            process: asked.process.or(running.process),
            ..running.clone()
        };
        if dry_run {
            return Ok(renewed);
        }
        let text = format!("{} got a new token", renewed.name);
        let mut event = self.event(now, EventKind::Launched, Actor::Operator, text);
        event.bottle = Some(renewed.name.clone());
        event.run = Some(renewed.run);
        event.uid = Some(asked.uid);
        self.commit(Entry::Bottle(Box::new(renewed.clone())));
        self.happened(event);
        self.effect(Effect::TokenRevoked(running.token));
        self.effect(Effect::TokenIssued {
            token: renewed.token.clone(),
            bottle: renewed.name.clone(),
        });
        Ok(renewed)
    }

    fn new_bottle(&self, asked: Registration, now: Timestamp) -> Bottle {
        let manifest = self
            .bottles
            .manifest(&asked.name)
            .cloned()
            .unwrap_or_default();
        Bottle {
            name: asked.name,
            run: asked.run,
            parents: asked.parents.unwrap_or(manifest.parents),
            agent: asked.agent.or(manifest.agent),
            provider: asked.provider.or(manifest.provider),
            token: asked.token,
            command: asked.command,
            process: asked.process,
            budgets: asked.budgets,
            lifecycle: Lifecycle::Running,
            launched_at: now,
            ended_at: None,
            exit_code: None,
            stop_ordered_at: None,
            closings: Vec::new(),
            refusals: 0,
        }
    }

    fn check_registration(&self, bottle: &Bottle) -> Result<(), RpcError> {
        if self
            .bottles
            .ancestors(&bottle.parents)
            .contains(&bottle.name)
        {
            return Err(RpcError::new(
                ErrorCode::InvalidParams,
                format!("{} would be its own ancestor", bottle.name),
            )
            .with_hint("a bottle's parents must not extend the bottle itself"));
        }
        for budget in &bottle.budgets {
            check_limit(budget.limit)?;
        }
        let mut selectors: Vec<_> = bottle
            .budgets
            .iter()
            .map(|budget| &budget.provider)
            .collect();
        selectors.sort();
        if let Some([twice, _]) = selectors.array_windows().find(|[one, other]| one == other) {
            return Err(RpcError::new(
                ErrorCode::InvalidParams,
                format!("two budgets for {twice}"),
            )
            .with_hint("give one budget a provider"));
        }
        Ok(())
    }
}

fn exists(name: &BottleName) -> RpcError {
    RpcError::new(
        ErrorCode::Exists,
        format!("a bottle named {name} is running"),
    )
    .with_hint(format!(
        "choose another name, or end it first: bb-ctl stop {name}"
    ))
}
