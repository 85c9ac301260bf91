//! One run of the command: started in a process group of its own, given its event, ended with
//! its group.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use bb_proto::event::HookInput;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::output::{OUTPUT_BYTES_MAX, Output};
use crate::process::Running;
use crate::settings::HookSetting;

/// The variables of the controller that a command has too.
const ENVIRONMENT_KEPT: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];
/// How long a killed command may take to be gone.
const KILL_WAIT: Duration = Duration::from_secs(2);
/// How long what a command wrote last is read, once it has ended.
const REST_WAIT: Duration = Duration::from_millis(100);

/// Why a run counts as failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be started.
    Start(String),
    /// It ended by itself, and not well.
    Status(ExitStatus),
    /// It took too long.
    Timeout(Duration),
    /// It wrote too much.
    Output,
    /// The controller ended.
    Ending,
    /// It was killed and is not gone.
    Stuck,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(why) => write!(f, "could not be started: {why}"),
            Self::Status(status) => write!(f, "ended with {status}"),
            Self::Timeout(limit) => write!(f, "did not end within {limit:?} and was killed"),
            Self::Output => write!(f, "wrote more than {OUTPUT_BYTES_MAX} bytes and was killed"),
            Self::Ending => f.write_str("was killed: the controller ended"),
            Self::Stuck => f.write_str("was killed and is not gone"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Start(error.to_string())
    }
}

/// A command that can be run.
#[derive(Debug)]
pub(super) struct Command {
    program: PathBuf,
    arguments: Vec<String>,
    timeout: Duration,
    home: PathBuf,
    kind: String,
    input: Vec<u8>,
}

/// A command that runs, and our ends of its pipes.
struct Started {
    group: Group,
    input: OwnedFd,
    output: OwnedFd,
}

/// A child that leads a process group; its group does not outlive this.
struct Group {
    child: Child,
    is_over: bool,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Not waited for yet, so the id is still its own.
        if !self.is_over && kill_process_group(Pid::from_child(&self.child), Signal::KILL).is_ok() {
            // It is the system's if it is not gone at once: the controller ends.
            self.child.try_wait().ok();
        }
    }
}

impl Command {
    /// Puts together what is run for an event.
    pub(super) fn new(
        setting: &HookSetting,
        home: &Path,
        input: &HookInput,
    ) -> Result<Self, Failure> {
        let start = |error: serde_json::Error| Failure::Start(error.to_string());
        let mut line = serde_json::to_vec(input).map_err(start)?;
        line.push(b'\n');
        let kind = serde_json::to_value(input.event.kind).map_err(start)?;
        Ok(Self {
            program: setting
                .path(std::env::var_os("HOME"))
                .map_err(Failure::Start)?,
            arguments: setting.arguments.clone(),
            timeout: setting.timeout,
            home: home.to_owned(),
            kind: kind.as_str().unwrap_or_default().to_owned(),
            input: line,
        })
    }

    /// Runs it; whatever happens, nothing of its group runs when this returns.
    ///
    /// Fails where it did not end well by itself, with the end of what it wrote.
    pub(super) async fn run(mut self, ending: &CancellationToken) -> Result<(), (Failure, String)> {
        let bare = |failure| (failure, String::new());
        let limit = self.timeout;
        let deadline = Instant::now() + limit;
        let input = std::mem::take(&mut self.input);
        // The file may be on a disk that hangs.
        let starting = tokio::task::spawn_blocking(move || self.start());
        let started = timeout_at(deadline, starting).await;
        let Ok(Ok(started)) = started else {
            return Err(bare(Failure::Timeout(limit)));
        };
        let mut started = started.map_err(|error| bare(error.into()))?;
        let output = pipe::Receiver::from_owned_fd(started.output);
        let mut output = Output::new(output.map_err(|error| bare(error.into()))?);
        let running = Running::child(&started.group.child);
        let running = running.map_err(|error| bare(error.into()))?;
        let sender = pipe::Sender::from_owned_fd(started.input);
        let sender = sender.map_err(|error| bare(error.into()))?;

        let talk = async {
            tokio::join!(give(sender, &input), output.read());
            if !output.is_too_much() {
                std::future::pending::<()>().await;
            }
        };
        let failure = tokio::select! {
            biased;
            () = running.ended() => None,
            () = talk => Some(Failure::Output),
            () = tokio::time::sleep_until(deadline) => Some(Failure::Timeout(limit)),
            () = ending.cancelled() => Some(Failure::Ending),
        };
        // Its id is its own until it is waited for, whether it has ended or not.
        running.signal_group(Signal::KILL);
        let is_gone = timeout(KILL_WAIT, running.ended()).await.is_ok();
        // What it left running in a session of its own may hold the pipe open.
        timeout(REST_WAIT, output.read()).await.ok();
        let status = if is_gone {
            started.group.child.try_wait()
        } else {
            Ok(None)
        };
        started.group.is_over = true;
        let failure = match (failure, status) {
            (Some(failure), _) => failure,
            (None, Ok(Some(status))) if status.success() => return Ok(()),
            (None, Ok(Some(status))) => Failure::Status(status),
            (None, _) => Failure::Stuck,
        };
        Err((failure, output.text()))
    }

    fn start(self) -> io::Result<Started> {
        let (stdin, input) = io::pipe()?;
        let (output, stdout) = io::pipe()?;
        let kept = ENVIRONMENT_KEPT
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let child = std::process::Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(kept)
            .env("BB_HOME", &self.home)
            .env("BB_EVENT", &self.kind)
            .current_dir(&self.home)
            .stdin(stdin)
            .stderr(stdout.try_clone()?)
            .stdout(stdout)
            .process_group(0)
            .spawn()?;
        let group = Group {
            child,
            is_over: false,
        };
        Ok(Started {
            group,
            input: input.into(),
            output: output.into(),
        })
    }
}

/// Gives a command its event; one that does not read it is no fault.
async fn give(mut pipe: pipe::Sender, input: &[u8]) {
    if let Err(error) = pipe.write_all(input).await {
        tracing::debug!(%error, "a command did not read its event");
    }
}
