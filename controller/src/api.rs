//! The control socket: newline-delimited JSON-RPC for the operator's programs.
//!
//! It turns requests into orders to the ledger and to what runs bottles, and answers into lines.
//! Of the egress proxy it knows nothing.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bb_proto::error::{ErrorCode, RpcError};
use bb_proto::home::{Home, SOCKET_PATH_BYTES_MAX};
use bb_proto::reply::Hooks;
use bb_proto::time::Timestamp;
use interprocess::local_socket::tokio::Listener;
use interprocess::local_socket::tokio::prelude::*;
use interprocess::local_socket::{GenericFilePath, ListenerOptions};
use interprocess::os::unix::local_socket::ListenerOptionsExt as _;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::bottles::Supervisor;
use crate::ledger::LedgerHandle;
use crate::settings::live::Live;
use crate::store::reader::Reader;

mod answered;
mod in_hand;
mod methods;
mod session;
mod view;

use answered::Answered;
use in_hand::InHand;

/// The most clients that are connected at once.
const CLIENTS_MAX: usize = 64;
/// How many read the whole ledger at once, to verify or to copy it.
const WHOLE_READS_MAX: usize = 1;
/// How long accepting rests after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What every session needs.
#[derive(Debug, Clone)]
pub struct Api {
    shared: Arc<Shared>,
}

/// What an [`Api`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// The ledger.
    pub ledger: LedgerHandle,
    /// Questions to the ledger's database.
    pub reader: Reader,
    /// The settings in force.
    pub live: Arc<Live>,
    /// What runs bottles.
    pub supervisor: Supervisor,
    /// The home.
    pub home: Home,
    /// Where the egress proxy listens.
    pub egress: String,
    /// When the controller started.
    pub started_at: Timestamp,
    /// Requests refused for their token.
    pub wrong_tokens: Arc<AtomicU64>,
    /// How the commands that are run at events fare.
    pub hooks: watch::Receiver<Option<Hooks>>,
    /// Set to true to end the controller.
    pub stop: watch::Sender<bool>,
    /// The user whose programs may connect, besides root.
    pub uid: u32,
    /// Where tasks run that the end waits for.
    pub tracker: TaskTracker,
}

#[derive(Debug)]
struct Shared {
    parts: Parts,
    answered: Answered,
    in_hand: InHand,
    whole_read: Semaphore,
}

impl Api {
    /// Puts the control socket's part together.
    pub fn new(parts: Parts) -> Self {
        Self {
            shared: Arc::new(Shared {
                parts,
                answered: Answered::default(),
                in_hand: InHand::default(),
                whole_read: Semaphore::new(WHOLE_READS_MAX),
            }),
        }
    }

    fn parts(&self) -> &Parts {
        &self.shared.parts
    }

    fn wrong_tokens(&self) -> u64 {
        self.parts().wrong_tokens.load(Ordering::Relaxed)
    }
}

/// Why the socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The path is longer than a socket's path may be.
    #[error(
        "the socket's path {path} has {len} bytes, more than the {SOCKET_PATH_BYTES_MAX} that a \
         Unix socket may have; choose a shorter home with --home"
    )]
    TooLong {
        /// The path.
        path: String,
        /// Its bytes.
        len: usize,
    },
    /// The system says no.
    #[error("making the socket {path}")]
    Io {
        /// The path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Fails where no Unix socket can have this path.
pub fn check_path(path: &Path) -> Result<(), BindError> {
    let len = path.as_os_str().len();
    if len > SOCKET_PATH_BYTES_MAX {
        let path = path.display().to_string();
        return Err(BindError::TooLong { path, len });
    }
    Ok(())
}

/// Binds the socket, mode 0600, in place of one that nobody listens on.
///
/// The caller holds the home's lock, so that a socket that is there is a dead one.
pub fn bind(path: &Path) -> Result<Listener, BindError> {
    check_path(path)?;
    let shown = path.display().to_string();
    let wrap = |source| BindError::Io {
        path: shown.clone(),
        source,
    };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrap(error)),
        _ => {}
    }
    let name = path.to_fs_name::<GenericFilePath>().map_err(wrap)?;
    ListenerOptions::new()
        .name(name)
        .mode(0o600)
        .create_tokio()
        .map_err(wrap)
}

/// Serves clients until `stopping` turns true.
pub async fn serve(listener: Listener, api: Api, mut stopping: watch::Receiver<bool>) {
    let tracker = api.parts().tracker.clone();
    let permits = Arc::new(Semaphore::new(CLIENTS_MAX));
    let sessions = AtomicU64::new(0);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let peer = match stream.peer_creds() {
            Ok(peer) => peer,
            Err(error) => {
                tracing::warn!(%error, "a client was turned away: who it is cannot be known");
                continue;
            }
        };
        let uid = peer.euid();
        if uid != Some(api.parts().uid) && uid != Some(0) {
            tracing::warn!(?uid, "a client of another user was turned away");
            continue;
        }
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::warn!("a client was turned away: {CLIENTS_MAX} are connected");
            let text = format!("{CLIENTS_MAX} clients are connected, which is the most");
            let error = RpcError::new(ErrorCode::Busy, text).with_hint("try again later");
            tracker.spawn(session::turn_away(stream, error));
            continue;
        };
        let number = sessions.fetch_add(1, Ordering::Relaxed);
        let session = session::Session::new(api.clone(), uid.unwrap_or(0), stopping.clone());
        tracker.spawn(async move {
            tracing::debug!(number, "a client connected");
            session.run(stream).await;
            drop(permit);
        });
    }
}
