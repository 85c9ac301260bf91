//! Takes the settings again: at a hangup signal, and when the file changed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::settings::live::Live;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long a file must have been left alone before it is read: it may be half written.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// What tells one version of a file from another.
type Stamp = Option<(SystemTime, u64)>;

/// What asks for the settings to be taken again.
#[derive(Debug)]
pub(super) struct Reloads {
    path: PathBuf,
    hangup: Signal,
    taken: Stamp,
}

impl Reloads {
    /// Begins to look and to listen; the file is read after this.
    pub(super) fn begin(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            taken: stamp(&path),
            path,
        })
    }

    /// Takes the settings whenever that is asked for, until `stopping`.
    pub(super) async fn run(mut self, live: Arc<Live>, stopping: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = looks.tick() => {
                    let found = stamp(&self.path);
                    if found == self.taken || !is_left_alone(found) {
                        continue;
                    }
                    self.taken = found;
                }
                _ = self.hangup.recv() => self.taken = stamp(&self.path),
            }
            take(&live).await;
        }
    }
}

async fn take(live: &Live) {
    match live.reload().await {
        Ok(checked) if checked.applied => tracing::info!("the settings were taken"),
        Ok(checked) => {
            for mistake in &checked.mistakes {
                tracing::error!(
                    line = mistake.line,
                    column = mistake.column,
                    text = mistake.text,
                    "the settings were not taken"
                );
            }
        }
        Err(error) => tracing::error!(%error, "the settings were not taken"),
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

/// Returns whether nobody wrote the file just now; one from the future is taken as it is.
fn is_left_alone(found: Stamp) -> bool {
    found.is_none_or(|(modified, _)| {
        SystemTime::now()
            .duration_since(modified)
            .map_or(true, |since| since >= LEFT_ALONE)
    })
}
