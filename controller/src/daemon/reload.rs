//! Takes the settings again: at a hangup signal, and when the file changed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::settings::live::Live;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What tells one version of a file from another.
type Stamp = Option<(SystemTime, u64)>;

pub(super) async fn run(live: Arc<Live>, path: PathBuf, stopping: CancellationToken) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => {
            tracing::warn!(%error, "hangup signals are not heard");
            return;
        }
    };
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut taken = stamp(&path);
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = looks.tick() => {
                let found = stamp(&path);
                if found == taken {
                    continue;
                }
                taken = found;
            }
            _ = hangup.recv() => taken = stamp(&path),
        }
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
}

fn stamp(path: &PathBuf) -> Stamp {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}
