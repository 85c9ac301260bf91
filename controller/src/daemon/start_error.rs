//! Why a controller does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bb_proto::reply::Mistake;

use crate::api::BindError;
use crate::settings::LoadError;
use crate::store::StoreError;

/// Why a controller does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The home cannot be used.
    #[error("using {}", path.display())]
    Home {
        /// What of it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another controller has the home.
    #[error("a controller already runs on {}{}", home.display(), with_pid(*pid))]
    InUse {
        /// The home.
        home: PathBuf,
        /// Its process id; not known in the moment in which it starts itself.
        pid: Option<u32>,
    },
    /// The settings cannot be taken.
    #[error(transparent)]
    Settings(#[from] LoadError),
    /// The ledger cannot be opened.
    #[error("opening the ledger {}", path.display())]
    Store {
        /// Its database.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
    /// The egress port cannot be bound.
    #[error("listening on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The control socket cannot be bound.
    #[error(transparent)]
    Socket(#[from] BindError),
    /// No certificates to trust providers by.
    #[error("reading the certificates that this host trusts: {0}")]
    Tls(String),
    /// The system gives no threads or signals.
    #[error("starting")]
    Runtime(#[source] io::Error),
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

impl StartError {
    /// Returns the exit code: 2 for settings with mistakes, else 1.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Settings(_)) {
            2
        } else {
            1
        }
    }

    /// Returns what is wrong, whole, and what to do.
    pub fn report(&self) -> String {
        let mut parts = vec![format!("error: {self}")];
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            parts.extend([": ".to_owned(), error.to_string()]);
            source = error.source();
        }
        if let Self::Settings(LoadError::Mistakes { path, mistakes }) = self {
            for Mistake {
                line,
                column,
                text,
                hint,
            } in mistakes
            {
                parts.push(format!("\n{}:{line}:{column}: {text}", path.display()));
                parts.extend(hint.iter().map(|hint| format!("\n  hint: {hint}")));
            }
        }
        parts.extend(self.hint().map(|hint| format!("\nhint: {hint}")));
        parts.concat()
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::InUse { .. } => Some("bb-ctl status shows it; bb-ctl shutdown ends it"),
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("choose another port: egress: listen: 127.0.0.1:PORT in settings.yml")
            }
            Self::Store { source, .. } => match source {
                StoreError::Newer { .. } => {
                    Some("install the newer version, or use another home with --home DIR")
                }
                StoreError::Damaged { .. } => {
                    Some("put a copy of it back, or move it away: a new ledger begins at zero")
                }
                StoreError::Full { .. } => Some("make room on the disk of the home"),
                _ => None,
            },
            _ => None,
        }
    }
}
