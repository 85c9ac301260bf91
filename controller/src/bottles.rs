//! The processes of bottles on this host: watched until they end, stopped when that is ordered.
//!
//! A process is known by its id and its start time, so that one that took over an old id is never
//! taken for it, over a restart of the controller too.

use std::time::Duration;

use bb_core::bottle::Lifecycle;
use bb_proto::ids::{BottleName, RunId};
use bb_proto::process::Process;
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ledger::LedgerHandle;
use crate::process::Running;

/// How long a process may take to end after it was told to, before it is ended.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// How long a killed process may take to be gone.
const KILL_WAIT: Duration = Duration::from_secs(2);
/// How long whoever launched a process has to say how it ended, after it did.
const EXIT_CODE_WAIT: Duration = Duration::from_millis(500);

/// Watches and stops the processes of bottles.
#[derive(Debug, Clone)]
pub struct Supervisor {
    ledger: LedgerHandle,
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl Supervisor {
    /// Makes a supervisor whose watches end with `stopping`.
    pub fn new(ledger: LedgerHandle, tracker: TaskTracker, stopping: CancellationToken) -> Self {
        Self {
            ledger,
            tracker,
            stopping,
        }
    }

    /// Finds the processes again that were running when the controller last ended.
    pub async fn find_again(&self) {
        let running = self
            .ledger
            .look(|book, _| {
                let running = book
                    .bottles()
                    .iter()
                    .filter(|b| b.lifecycle == Lifecycle::Running);
                running
                    .filter_map(|b| {
                        let ordered = b.stop_ordered_at.is_some();
                        b.process
                            .map(|process| (b.name.clone(), b.run, process, ordered))
                    })
                    .collect::<Vec<_>>()
            })
            .await;
        for (name, run, process, stop_ordered) in running.unwrap_or_default() {
            self.watch(name.clone(), run, process);
            if stop_ordered {
                let supervisor = self.clone();
                self.tracker
                    .spawn(async move { supervisor.stop(&name).await });
            }
        }
    }

    /// Watches a process; its end ends the bottle.
    pub fn watch(&self, name: BottleName, run: RunId, process: Process) {
        let supervisor = self.clone();
        self.tracker.spawn(async move {
            let ended = async {
                if let Some(running) = Running::find(process) {
                    running.ended().await;
                    // Whoever launched it knows how it ended, and is about to say.
                    tokio::time::sleep(EXIT_CODE_WAIT).await;
                }
            };
            tokio::select! {
                () = ended => supervisor.has_ended(name, run).await,
                () = supervisor.stopping.cancelled() => {}
            }
        });
    }

    async fn has_ended(&self, name: BottleName, run: RunId) {
        let of = name.clone();
        let ended = self
            .ledger
            .act(move |book, now| {
                book.bottles()
                    .get(&of)
                    .is_some_and(|bottle| bottle.run == run)
                    && book.ended(&of, run, None, now).is_ok()
            })
            .await;
        tracing::debug!(%name, ?ended, "a bottle's process ended");
    }

    /// Ends the process group of a bottle: asked first, then without asking. Returns when it is
    /// gone or could not be reached.
    pub async fn stop(&self, name: &BottleName) {
        let of = name.clone();
        let looked = self
            .ledger
            .look(move |book, _| book.bottles().get(&of).map(|b| (b.run, b.process)))
            .await;
        let Ok(Some((run, Some(process)))) = looked else {
            return;
        };
        if let Some(running) = Running::find(process) {
            running.signal_group(Signal::TERM);
            running.wake_group();
            if tokio::time::timeout(STOP_GRACE, running.ended())
                .await
                .is_err()
            {
                tracing::info!(%name, "did not end when told to: killed");
            }
            // What is left of the group does not outlive its leader.
            running.signal_group(Signal::KILL);
            if tokio::time::timeout(KILL_WAIT, running.ended())
                .await
                .is_err()
            {
                tracing::warn!(%name, "was killed and is not gone");
                return;
            }
        }
        self.has_ended(name.clone(), run).await;
    }
}
