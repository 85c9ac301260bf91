//! Where a controller's files are: the one layout that both sides must agree on.

use std::path::{Path, PathBuf};

/// The longest path of a Unix socket, in bytes.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A controller's home directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// Takes a directory as the home.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Chooses the home: `given` (a flag), else `bb_home` (the variable `BB_HOME`), else
    /// `.bot-bottle` below `user_home` (the variable `HOME`).
    ///
    /// Returns `None` where none of the three says anything.
    pub fn choose(
        given: Option<PathBuf>,
        bb_home: Option<PathBuf>,
        user_home: Option<PathBuf>,
    ) -> Option<Self> {
        let set = |path: &PathBuf| !path.as_os_str().is_empty();
        given
            .or(bb_home.filter(set))
            .or_else(|| user_home.filter(set).map(|home| home.join(".bot-bottle")))
            .map(Self)
    }

    /// Returns the directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the settings file.
    pub fn settings(&self) -> PathBuf {
        self.0.join("settings.yml")
    }

    /// Returns the ledger's database.
    pub fn database(&self) -> PathBuf {
        self.0.join("bot-bottle.db")
    }

    /// Returns the directory of the socket, mode 0700.
    pub fn run_dir(&self) -> PathBuf {
        self.0.join("run")
    }

    /// Returns the control socket, mode 0600.
    pub fn socket(&self) -> PathBuf {
        self.run_dir().join("controller.sock")
    }

    /// Returns the file that the one running controller holds locked.
    pub fn lock(&self) -> PathBuf {
        self.run_dir().join("controller.lock")
    }

    /// Returns the directory of logs.
    pub fn log_dir(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Returns the controller's log.
    pub fn log(&self) -> PathBuf {
        self.log_dir().join("controller.log")
    }
}
