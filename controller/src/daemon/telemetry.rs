//! The log: one file in the home, fields over sentences, never a prompt, a key or a body.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Mutex;

use bb_proto::home::Home;
use tracing_subscriber::EnvFilter;

use super::StartError;

/// Begins to log into the home's log file; `BB_LOG` chooses what, as `tracing` filters do.
pub(super) fn begin(home: &Home) -> Result<(), StartError> {
    let path = home.log();
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| StartError::Home { path, source })?;
    let filter = EnvFilter::try_from_env("BB_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Mutex::new(file))
        .finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("a log was begun before");
    }
    Ok(())
}
