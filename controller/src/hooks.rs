//! The operator's command at events: runs it as the core decides, beside everything else.
//!
//! It hears of events like any other watcher, so nobody waits for it; what fails is logged and
//! counted, and is no event itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bb_core::hooks::{Due, Hooks, RUNNING_MAX};
use bb_proto::event::{Event, HookInput};
use bb_proto::reply::{self, HookFailure};
use bb_proto::time::Millis;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::ledger::Told;
use crate::settings::HookSetting;

mod command;
mod output;

use command::Command;

/// How often at most the log says that events were left out.
const DROPPED_LOG_EVERY: Duration = Duration::from_secs(1);

/// What commands at events are run with.
#[derive(Debug)]
pub struct Parts {
    /// What happens.
    pub told: Told,
    /// The command in force.
    pub setting: watch::Receiver<Option<Arc<HookSetting>>>,
    /// Where it is said how commands fare; `None` as long as there was no setting.
    pub fare: watch::Sender<Option<reply::Hooks>>,
    /// The controller's home, in which they are run.
    pub home: PathBuf,
    /// Where they are run.
    pub tracker: TaskTracker,
    /// From when on none is started.
    pub stopping: CancellationToken,
    /// From when on none may run.
    pub ending: CancellationToken,
}

/// Runs the command at events until `stopping`, and returns when none runs any more.
pub async fn run(parts: Parts) {
    let (ended, ends) = mpsc::channel(RUNNING_MAX);
    let runner = Runner {
        hooks: Hooks::default(),
        fare: reply::Hooks::default(),
        begun: Instant::now(),
        alarmed: None,
        dropped_logged: (0, None),
        ended,
        parts,
    };
    runner.run(ends).await;
}

/// How a run of the command ended.
type Ended = Result<(), String>;

struct Runner {
    parts: Parts,
    hooks: Hooks,
    fare: reply::Hooks,
    /// What the times of `hooks` are counted from.
    begun: Instant,
    /// The last alarm: it comes once more as an event.
    alarmed: Option<u64>,
    /// How many events had been left out when the log last said so, and when.
    dropped_logged: (u64, Option<Instant>),
    ended: mpsc::Sender<Ended>,
}

impl Runner {
    async fn run(mut self, mut ends: mpsc::Receiver<Ended>) {
        self.take_setting();
        loop {
            self.start_what_is_due();
            self.say_how_it_fares();
            let wait = self.hooks.wait(self.now());
            let due = Instant::now() + Duration::from_millis(wait.map_or(0, |wait| wait.0));
            tokio::select! {
                () = self.parts.stopping.cancelled() => break,
                told = self.parts.told.events.recv() => match told {
                    Ok(event) => self.happened(event),
                    Err(RecvError::Lagged(events)) => self.lost(events),
                    Err(RecvError::Closed) => break,
                },
                Ok(event) = self.parts.told.alarms.recv() => {
                    self.happened(event.clone());
                    self.alarmed = Some(event.seq);
                }
                Some(ended) = ends.recv() => self.has_ended(ended),
                Ok(()) = self.parts.setting.changed() => self.take_setting(),
                () = tokio::time::sleep_until(due), if wait.is_some() => {}
            }
        }
        let left_out = self.hooks.forget();
        if left_out > 0 {
            tracing::info!(left_out, "events run no command: the controller ends");
        }
        while self.hooks.running() > 0 {
            let Some(ended) = ends.recv().await else {
                return;
            };
            self.has_ended(ended);
            self.say_how_it_fares();
        }
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn take_setting(&mut self) {
        let is_set = self.parts.setting.borrow_and_update().is_some();
        if is_set {
            self.parts.fare.send_if_modified(|fare| {
                let was_none = fare.is_none();
                fare.get_or_insert_default();
                was_none
            });
        } else {
            self.hooks.forget();
        }
    }

    fn happened(&mut self, event: Event) {
        if self.alarmed == Some(event.seq) {
            return;
        }
        let setting = self.parts.setting.borrow();
        let is_wanted = |it: &Arc<HookSetting>| it.events.contains(&event.kind);
        if setting.as_ref().is_some_and(is_wanted) {
            drop(setting);
            self.hooks.happened(event);
        }
    }

    fn lost(&mut self, events: u64) {
        if self.parts.setting.borrow().is_some() {
            self.hooks.lost(events);
        }
    }

    fn start_what_is_due(&mut self) {
        let setting = self.parts.setting.borrow().clone();
        while let Some(due) = self.hooks.start(self.now()) {
            let Some(setting) = &setting else {
                self.hooks.ended();
                continue;
            };
            self.start(setting, due);
        }
    }

    fn start(&self, setting: &HookSetting, due: Due) {
        let (seq, kind) = (due.event.seq, due.event.kind);
        let input = HookInput {
            event: due.event,
            skipped: due.skipped,
        };
        let program = setting.program.clone();
        let command = Command::new(setting, &self.parts.home, &input);
        let ending = self.parts.ending.clone();
        let ended = self.ended.clone();
        self.parts.tracker.spawn(async move {
            let result = match command {
                Ok(command) => command.run(&ending).await,
                Err(failure) => Err((failure, String::new())),
            };
            let result = result.map_err(|(failure, output)| {
                tracing::warn!(program, ?kind, seq, %failure, ?output, "a command at an event failed");
                format!("{program}: {failure}")
            });
            // Nobody counts any more.
            drop(ended.send(result).await);
        });
    }

    fn has_ended(&mut self, ended: Ended) {
        self.hooks.ended();
        match ended {
            Ok(()) => self.fare.succeeded += 1,
            Err(text) => {
                self.fare.failed += 1;
                self.failed(text);
            }
        }
    }

    fn failed(&mut self, text: String) {
        self.fare.last_failure = Some(HookFailure {
            at: clock::now(),
            text,
        });
    }

    fn say_how_it_fares(&mut self) {
        let dropped = self.hooks.dropped();
        if dropped > self.fare.dropped {
            let events = dropped - self.fare.dropped;
            self.failed(format!(
                "{events} events were left out: too many came at once"
            ));
        }
        self.fare.dropped = dropped;
        self.fare.running = self.hooks.running() as u64;
        let (logged, at) = self.dropped_logged;
        let is_time = at.is_none_or(|at| at.elapsed() >= DROPPED_LOG_EVERY);
        if dropped > logged && is_time {
            tracing::warn!(
                events = dropped - logged,
                "events run no command: too many wait"
            );
            self.dropped_logged = (dropped, Some(Instant::now()));
        }
        let fare = &self.fare;
        self.parts.fare.send_if_modified(|told| match told {
            Some(told) if told != fare => {
                told.clone_from(fare);
                true
            }
            _ => false,
        });
    }
}
