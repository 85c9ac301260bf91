//! `bb-ctl run` where no controller answers: it starts one, or says why it could not.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;

use bb_proto::home::Home;
use insta::assert_snapshot;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::controller::Controller;
use crate::running::script;
use crate::session::{Session, wait_for_file};

fn run(session: &Session) -> Output {
    Command::new(session.copy())
        .env_clear()
        .env("PATH", session.search_path())
        .env("BB_HOME", session.home())
        .current_dir(session.path(""))
        .args(["run", "--name", "web", "echo", "hello"])
        .output()
        .expect("bb-ctl can be run")
}

/// Writes a controller that says how it was started, then does what it is told.
fn controller(session: &Session, then: &str) -> PathBuf {
    let started = session.path("started");
    session.script(
        "bb-controller",
        &format!(
            "echo printed; echo $$ $(pwd) $(readlink /proc/$$/fd/0) \"$@\" > {started}.new\n\
             mv {started}.new {started}\n{then}",
            started = started.display()
        ),
    );
    started
}

#[test]
fn a_controller_is_started_in_a_session_of_its_own_and_waited_for() {
    let session = Session::new();
    let started = controller(&session, "exec sleep 60");
    let home = session.home();
    let answering = thread::spawn(move || {
        let said = wait_for_file(&started);
        let pid = said.split(' ').next().and_then(|pid| pid.parse().ok());
        let controller = Controller::start_as(pid.expect("a pid"), &home, script(&[]));
        (said, controller)
    });
    let output = run(&session);
    let (said, _controller) = answering.join().expect("a controller");
    let (pid, rest) = said.split_once(' ').expect("a pid and more");
    assert_eq!(
        session.transcript(&output),
        format!(
            "hello\n\
             stderr: started bb-controller (pid {pid}), log: $DIR/home/log/controller.log\n\
             exit: 0"
        )
    );

    assert_eq!(
        rest.trim_end(),
        format!("/ /dev/null --home {}", session.home().display())
    );
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives on");
    let fields: Vec<&str> = stat
        .rsplit_once(") ")
        .expect("fields")
        .1
        .split(' ')
        .collect();
    let own = nix::unistd::getsid(None).expect("a session").to_string();
    assert_ne!(fields[3], own, "its session");
    assert_eq!(fields[4], "0", "it has no terminal");
    let log = std::fs::read_to_string(session.home().join("log/controller.log")).expect("a log");
    assert_eq!(log, "printed\n");
    kill(Pid::from_raw(pid.parse().expect("a pid")), Signal::SIGKILL).expect("a process");
}

#[test]
fn a_controller_that_does_not_start_is_reported_with_the_last_it_said() {
    let session = Session::new();
    controller(
        &session,
        "echo 'error: one mistake in the settings' >&2; echo '  budgt is none' >&2; exit 1",
    );
    let output = run(&session);
    assert_snapshot!(session.transcript(&output), @r"
    stderr: error: the controller ended as it started: one mistake in the settings; budgt is none
    stderr: hint: its log: $DIR/home/log/controller.log
    exit: 125
    ");
}

#[test]
fn where_another_one_was_faster_that_one_is_used_as_soon_as_it_answers() {
    let session = Session::new();
    let started = controller(&session, "echo 'error: another one runs' >&2; exit 1");
    let home = session.home();
    let socket = Home::new(&home).socket();
    std::fs::create_dir_all(socket.parent().expect("a directory")).expect("the directory");
    let answering = thread::spawn(move || {
        let said = wait_for_file(&started);
        let listener = UnixListener::bind(&socket).expect("a socket");
        let pid = said.split(' ').next().expect("a pid");
        let has_ended = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        // The other one takes connections before it answers, until after ours has ended.
        let mut tries_after = 0;
        while tries_after < 3 {
            drop(listener.accept().expect("a try"));
            tries_after += u32::from(has_ended());
        }
        std::fs::remove_file(&socket).expect("the socket");
        Controller::start(&home, script(&[]))
    });
    let output = run(&session);
    assert_eq!(
        session.transcript(&output),
        "hello\nexit: 0",
        "it is not said to be ours"
    );
    answering.join().expect("a controller");
}

#[test]
fn without_a_controller_to_start_the_command_is_not_run() {
    let session = Session::new();
    let output = run(&session);
    assert_snapshot!(session.transcript(&output), @r"
    stderr: error: no controller answers, and bb-controller is neither beside bb-ctl nor on PATH
    stderr: hint: install it, or start it: bb-controller --home $DIR/home
    exit: 125
    ");
    assert!(!session.home().exists(), "nothing is left behind");
}
