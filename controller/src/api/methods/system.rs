//! Who is there, whether it works, what it knows, and its end.

use std::time::Duration;

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::frame::LINE_BYTES_MAX;
use bb_proto::reply::{Finding, Health, Hello, Hooks, Severity, ShuttingDown};
use bb_proto::request;
use bb_proto::version::{PROTOCOL, VERSION};
use bb_proto::view::{Head, Ledger, Snapshot};
use serde_json::value::RawValue;

use super::super::Api;
use super::super::view::{enforced, with_newest_raises};
use super::{closed, reply};
use crate::settings::providers::Key;

/// The longest a request waits for a change.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);
/// The most rows of one part of a snapshot.
const PART_ROWS: usize = 500;
/// The longest part of a snapshot, in bytes: the rest of its line is the answer around it.
const PART_BYTES_MAX: usize = LINE_BYTES_MAX - 1_024;

impl Api {
    pub(super) fn hello(&self, params: &request::Hello) -> Result<Hello, RpcError> {
        if let Some(theirs) = params.protocol.filter(|theirs| *theirs != PROTOCOL) {
            return Err(RpcError::new(
                ErrorCode::WrongProtocol,
                format!("this controller speaks protocol {PROTOCOL}, the client speaks {theirs}"),
            )
            .with_hint("install the client that came with the controller"));
        }
        let parts = self.parts();
        Ok(Hello {
            protocol: PROTOCOL,
            version: VERSION.to_owned(),
            pid: std::process::id(),
            home: parts.home.path().display().to_string(),
            log: parts.home.log().display().to_string(),
            egress: parts.egress.clone(),
            started_at: parts.started_at,
        })
    }

    fn ledger_state(&self) -> Ledger {
        match self.parts().ledger.closed_since() {
            Some(since) => Ledger::Failing { since },
            None => Ledger::Ok,
        }
    }

    pub(super) async fn health(&self) -> Health {
        let ledger = self.ledger_state();
        let mut findings = Vec::new();
        let mut find = |severity, text: String, hint: Option<&str>| {
            findings.push(Finding {
                severity,
                text,
                hint: hint.map(str::to_owned),
            });
        };
        if ledger == Ledger::Ok {
            find(Severity::Ok, "the ledger takes charges".to_owned(), None);
        } else {
            find(
                Severity::Error,
                "the ledger is closed: no call is admitted".to_owned(),
                Some("make room on the disk of the home; it opens by itself"),
            );
        }
        let live = &self.parts().live;
        let look = self.parts().ledger.look(|book, _| {
            let has_budgets = book.budgets().iter().next().is_some();
            (has_budgets, book.estimate_errors())
        });
        let (has_budgets, estimates) = look.await.unwrap_or_default();
        match (live.has_file(), has_budgets) {
            (_, true) => find(Severity::Ok, "budgets are in force".to_owned(), None),
            (true, false) => find(
                Severity::Warning,
                "the settings have no budget: calls are metered, nothing is limited".to_owned(),
                Some("bb-ctl budget set host claude 5M"),
            ),
            (false, false) => find(
                Severity::Warning,
                "no settings file: calls are metered, nothing is limited".to_owned(),
                Some("write settings.yml, see docs/CONFIGURATION.md, or bb-ctl budget set"),
            ),
        }
        let providers = live.providers();
        let mut keys: Vec<_> = providers.iter().collect();
        keys.sort_by_key(|(key, _)| (*key).clone());
        for (key, provider) in keys {
            match &provider.key {
                Key::Ours(_) => find(
                    Severity::Ok,
                    format!("{key}: the controller puts the key in; bottles have none"),
                    None,
                ),
                Key::Missing(why) => find(
                    Severity::Error,
                    format!("{key}: its calls are refused: {why}"),
                    Some("set it where the controller runs, then bb-ctl settings reload"),
                ),
                Key::Passthrough => {}
            }
        }
        find(
            Severity::Warning,
            "bottles are not sealed: an agent with a login of its own can go around the proxy"
                .to_owned(),
            Some("give the provider a credential in settings.yml, and the agent no login"),
        );
        let wrong = self.wrong_tokens();
        if wrong > 0 {
            find(
                Severity::Warning,
                format!("{wrong} requests had no valid token"),
                Some("point the client at its bottle: bb-ctl env NAME"),
            );
        }
        let hooks = self.parts().hooks.borrow().clone();
        if let Some(hooks) = &hooks {
            findings.push(of_hooks(hooks));
        }
        Health {
            ok: ledger == Ledger::Ok,
            ledger,
            findings,
            estimates,
            hooks,
        }
    }

    pub(super) async fn snapshot(
        &self,
        params: &request::Snapshot,
    ) -> Result<Box<RawValue>, RpcError> {
        self.wait_for_change(params).await;
        let since = params.since;
        let (changes, revision, now, totals, events) = self
            .parts()
            .ledger
            .look(move |book, now| {
                let changes = book.changes(since, now);
                (
                    changes,
                    book.revision(),
                    now,
                    book.totals(now),
                    book.newest_event(),
                )
            })
            .await
            .map_err(closed)?;
        let parts = self.parts();
        let head = Head {
            revision,
            now,
            time_zone: parts.live.time_zone(),
            started_at: parts.started_at,
            protocol: PROTOCOL,
            version: VERSION.to_owned(),
            home: parts.home.path().display().to_string(),
            pid: std::process::id(),
            egress: parts.egress.clone(),
            ledger: self.ledger_state(),
            has_settings: parts.live.has_file(),
            totals,
            events,
        };
        let providers = parts.live.providers();
        let bottles = changes
            .bottles
            .into_iter()
            .map(|bottle| enforced(bottle, &providers));
        let snapshot = Snapshot {
            head,
            budgets: changes
                .budgets
                .into_iter()
                .map(with_newest_raises)
                .collect(),
            bottles: bottles.collect(),
            whole: changes.whole,
            budgets_gone: Vec::new(),
            bottles_gone: changes.bottles_gone,
            more: false,
            next: None,
        };
        fitting(&snapshot, params.part.unwrap_or(0))
    }

    async fn wait_for_change(&self, params: &request::Snapshot) {
        let (Some(since), Some(wait_ms)) = (params.since, params.wait_ms) else {
            return;
        };
        let wait = Duration::from_millis(wait_ms).min(WAIT_MAX);
        let mut revisions = self.parts().ledger.revisions();
        let mut stopping = self.parts().stop.subscribe();
        tokio::select! {
            _ = revisions.wait_for(|revision| *revision != since) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    pub(super) async fn shutdown(
        &self,
        params: &request::Shutdown,
    ) -> Result<ShuttingDown, RpcError> {
        let in_flight = self.parts().ledger.look(|book, _| book.open_calls()).await;
        if !params.dry_run {
            self.parts().stop.send_replace(true);
        }
        Ok(ShuttingDown {
            grace_ms: u64::try_from(self.parts().live.grace().as_millis()).unwrap_or(u64::MAX),
            in_flight: in_flight.map_err(closed)? as u64,
        })
    }
}

/// Says whether the command of `on_event` does what it is there for.
fn of_hooks(hooks: &Hooks) -> Finding {
    let Hooks {
        succeeded,
        failed,
        dropped,
        ..
    } = hooks;
    let (severity, text, hint) = match &hooks.last_failure {
        None => (
            Severity::Ok,
            format!(
                "on_event: its command has failed at no event, and ended well {succeeded} times"
            ),
            None,
        ),
        Some(last) => (
            Severity::Warning,
            format!(
                "on_event: its command failed {failed} times and ended well {succeeded} times, \
                 {dropped} events were left out; the last failure: {}",
                last.text
            ),
            Some("the log has what it wrote".to_owned()),
        ),
    };
    Finding {
        severity,
        text,
        hint,
    }
}

/// Returns as many rows from `from` on as a line has room for.
fn fitting(snapshot: &Snapshot, from: u32) -> Result<Box<RawValue>, RpcError> {
    let all = snapshot.budgets.len() + snapshot.bottles.len();
    if from == 0 && all <= PART_ROWS {
        let whole = reply(Ok(snapshot))?;
        if whole.get().len() <= PART_BYTES_MAX {
            return Ok(whole);
        }
    }
    let mut rows = PART_ROWS;
    loop {
        let part = reply(Ok(part_of(snapshot, from, rows)))?;
        if part.get().len() <= PART_BYTES_MAX || rows == 1 {
            return Ok(part);
        }
        rows /= 2;
    }
}

/// Returns so many rows of a snapshot, budgets first.
fn part_of(snapshot: &Snapshot, from: u32, rows: usize) -> Snapshot {
    let budgets = snapshot.budgets.len();
    let all = budgets + snapshot.bottles.len();
    let start = (from as usize).min(all);
    let end = start.saturating_add(rows).min(all);
    let of_budgets = start.min(budgets)..end.min(budgets);
    let of_bottles = start.saturating_sub(budgets)..end.saturating_sub(budgets);
    Snapshot {
        head: snapshot.head.clone(),
        budgets: snapshot
            .budgets
            .get(of_budgets)
            .unwrap_or_default()
            .to_vec(),
        bottles: snapshot
            .bottles
            .get(of_bottles)
            .unwrap_or_default()
            .to_vec(),
        whole: snapshot.whole,
        budgets_gone: snapshot.budgets_gone.clone(),
        bottles_gone: snapshot.bottles_gone.clone(),
        more: end < all,
        next: (end < all).then(|| u32::try_from(end).unwrap_or(u32::MAX)),
    }
}
