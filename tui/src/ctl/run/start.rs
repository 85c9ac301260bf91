//! Starting the controller where none answers.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bb_proto::home::Home;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::process;
use crate::ctl::connection::{Connection, start_command};
use crate::ctl::exit::{Exit, Failure};
use crate::ctl::output::Output;
use crate::ctl::program::{self, CONTROLLER};
use crate::ctl::wait;

/// The word by which `bb-ctl` knows that it is to start a daemon.
const DETACH: &str = "__detach";

/// How long a controller may take until it answers.
const STARTING: Duration = Duration::from_secs(15);
/// How long another one may take, where ours ended because another was faster.
const OTHER_STARTING: Duration = Duration::from_secs(2);
/// How much of the log's end is read for the reason why it did not start.
const LOG_BYTES_MAX: u64 = 64 * 1024;
/// How a line begins that says why.
const ERROR: &str = "error:";
/// How many lines of that are told.
const LAST_WORDS_MAX: usize = 4;

/// What the process between us and the controller says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Detached {
    Pid(u32),
    Error(String),
}

/// Connects to the controller; starts one first where none answers.
pub(super) fn connect(home: &Home, output: Output) -> Result<Connection, Failure> {
    match Connection::open(home) {
        Err(failure) if failure.code() == Some("not_reachable") => start(home, output),
        other => other,
    }
}

fn start(home: &Home, output: Output) -> Result<Connection, Failure> {
    let program = program::controller().ok_or_else(|| {
        failed(format!(
            "no controller answers, and {CONTROLLER} is neither beside bb-ctl nor on PATH"
        ))
        .with_hint(format!(
            "install it, or start it: {}",
            start_command(home.path())
        ))
    })?;
    let (log, log_from) = open_log(home).map_err(|error| {
        failed(format!(
            "{} cannot be written: {error}",
            home.log().display()
        ))
    })?;
    let pid = spawn_detached(&program, home, log)?;
    let mut connected = None;
    let mut answers = || {
        if connected.is_none() {
            connected = Connection::open(home).ok();
        }
        connected.is_some()
    };
    let answered_or_ended = wait::until(STARTING, || answers() || !process::is_alive(pid));
    // One that ended may have found another one that was faster.
    let answered = answered_or_ended && wait::until(OTHER_STARTING, answers);
    match connected {
        Some(connection) if answered => {
            let hello = connection.hello();
            if hello.pid == pid {
                output.note(
                    &json!({"controller": {"pid": pid, "log": hello.log}}),
                    |_| format!("started bb-controller (pid {pid}), log: {}", hello.log),
                );
            }
            Ok(connection)
        }
        _ => {
            let why = last_words(home, log_from).map_or_else(String::new, |why| format!(": {why}"));
            let what = if process::is_alive(pid) {
                "the controller was started and does not answer"
            } else {
                "the controller ended as it started"
            };
            Err(failed(format!("{what}{why}"))
                .with_hint(format!("its log: {}", home.log().display())))
        }
    }
}

fn failed(message: String) -> Failure {
    Failure::new(Exit::RUN_FAILED, "not_started", message)
}

/// Opens the log for what the controller prints, and returns where that will begin.
fn open_log(home: &Home) -> io::Result<(File, u64)> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home.log_dir())?;
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(home.log())?;
    let from = log.metadata()?.len();
    Ok((log, from))
}

/// Starts the controller in a session of its own, by a process in between that ends at once: so
/// it is nobody's child that would have to be waited for.
fn spawn_detached(program: &Path, home: &Home, log: File) -> Result<u32, Failure> {
    let cannot = |why: String| failed(format!("{} cannot be started: {why}", program.display()));
    let between = Command::new("/proc/self/exe")
        .arg(DETACH)
        .arg(program)
        .arg("--home")
        .arg(home.path())
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(log)
        .output()
        .map_err(|error| cannot(error.to_string()))?;
    match serde_json::from_slice(&between.stdout) {
        Ok(Detached::Pid(pid)) => Ok(pid),
        Ok(Detached::Error(why)) => Err(cannot(why)),
        Err(_) => Err(cannot(between.status.to_string())),
    }
}

/// Starts a daemon, where the command line says so.
pub(super) fn inner(arguments: &[OsString]) -> Option<Exit> {
    match arguments {
        [_, word, command @ ..] if word == DETACH => Some(detach(command)),
        _ => None,
    }
}

/// The process in between: begins a session, starts the command in it, says its pid.
fn detach(command: &[OsString]) -> Exit {
    let said = match start_in_session(command) {
        Ok(pid) => Detached::Pid(pid),
        Err(error) => Detached::Error(error.to_string()),
    };
    match Output::new(true).show(&said, |_| String::new()) {
        Ok(()) => Exit::DONE,
        Err(_) => Exit::FAILED,
    }
}

fn start_in_session(command: &[OsString]) -> io::Result<u32> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    nix::unistd::setsid()?;
    let log = io::stderr().as_fd().try_clone_to_owned()?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(child.id())
}

/// Returns why the controller ended, as it logged it since it was started: its last error with
/// what follows it, else its last line.
fn last_words(home: &Home, from: u64) -> Option<String> {
    let mut log = File::open(home.log()).ok()?;
    let end = log.metadata().ok()?.len();
    log.seek(SeekFrom::Start(from.max(end.saturating_sub(LOG_BYTES_MAX))))
        .ok()?;
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let error = lines.iter().rposition(|line| line.starts_with(ERROR));
    let words: Vec<&str> = match error {
        Some(at) => lines.into_iter().skip(at).take(LAST_WORDS_MAX).collect(),
        None => lines.last().copied().into_iter().collect(),
    };
    let words = words.join("; ");
    (!words.is_empty()).then(|| words.trim_start_matches(ERROR).trim_start().to_owned())
}
