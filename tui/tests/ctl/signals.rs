//! Signals, where there is no terminal: what is sent to us is the command's.

use std::path::Path;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::running::{ends, session};
use crate::session::{Session, wait_for, wait_for_file};

/// Starts a shell that traps a signal, tells its end by the exit code, and says when it is ready.
fn trap(session: &Session, signal: &str) -> (Child, String) {
    let ready = session.path("ready");
    let command = format!(
        "trap 'echo caught; exit 8' {signal}; echo $$ > {}; while :; do sleep 0.02; done",
        ready.display()
    );
    let keeper = session
        .command()
        .args(["run", "--name", "web", "--", "sh", "-c", &command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("bb-ctl can be run");
    let pid = wait_for_file(&ready).trim().to_owned();
    (keeper, pid)
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("a process");
}

#[test]
fn what_is_sent_to_us_reaches_the_command_which_ends_in_its_own_way() {
    for (name, signal) in [
        ("TERM", Signal::SIGTERM),
        ("INT", Signal::SIGINT),
        ("HUP", Signal::SIGHUP),
        ("QUIT", Signal::SIGQUIT),
        ("USR1", Signal::SIGUSR1),
    ] {
        let (session, controller) = session(&[]);
        let (keeper, _) = trap(&session, name);
        send(&keeper, signal);
        let output = keeper.wait_with_output().expect("its end");
        assert_eq!(output.status.code(), Some(8), "{name}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "caught\n",
            "{name}"
        );
        assert_eq!(ends(&controller)[0].1, 8, "{name}");
    }
}

#[test]
fn a_command_starts_with_no_signal_blocked() {
    let (session, _controller) = session(&[]);
    let output = session.output(&[
        "run",
        "--name",
        "web",
        "grep",
        "SigBlk",
        "/proc/self/status",
    ]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "SigBlk:\t0000000000000000\n"
    );
}

#[test]
fn a_command_inherits_no_descriptor_of_ours() {
    let (session, _controller) = session(&[]);
    let list = ["sh", "-c", "ls /proc/$$/fd"];
    let with = session
        .command()
        .args(["run", "--name", "web", "--"])
        .args(list)
        .output()
        .expect("bb-ctl can be run");
    let [shell, arguments @ ..] = list;
    let without = std::process::Command::new(shell)
        .args(arguments)
        .output()
        .expect("a shell");
    assert_eq!(
        String::from_utf8_lossy(&with.stdout),
        String::from_utf8_lossy(&without.stdout)
    );
}

#[test]
fn a_command_that_somebody_else_stops_waits_for_somebody_else() {
    let (session, _controller) = session(&[]);
    let (keeper, pid) = trap(&session, "TERM");
    let child = Pid::from_raw(pid.parse().expect("a pid"));
    let state = |letter: char| {
        let stat = std::fs::read_to_string(Path::new("/proc").join(&pid).join("stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.starts_with(letter).then_some(())
    };
    kill(child, Signal::SIGSTOP).expect("a process");
    wait_for("the command to stand still", || state('T'));
    send(&keeper, Signal::SIGTERM);
    kill(child, Signal::SIGCONT).expect("a process");
    let output = keeper.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(8));
}

#[test]
fn where_ends_cannot_be_seen_the_command_is_not_started() {
    let (session, controller) = session(&[]);
    // A shell cannot ignore it for its children; what can is a few lines of Perl or Python.
    let script = "import os, signal, sys\n\
                  signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
                  os.execv(sys.argv[1], sys.argv[1:])\n";
    let mut python = std::process::Command::new("python3");
    let output = match python
        .args(["-c", script])
        .arg(crate::session::executable())
        .args(["run", "--name", "web", "true"])
        .env("BB_HOME", session.home())
        .output()
    {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: no python3 to ignore SIGCHLD with: {error}");
            return;
        }
    };
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("SIGCHLD is ignored"));
    assert!(controller.calls().is_empty());
}
