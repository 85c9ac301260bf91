//! Every way out gives the terminal back as it was.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::controller::Controller;
use crate::terminal::Terminal;

/// What takes back what was asked of the terminal: screen, cursor, mouse, paste.
const UNDONE: [&str; 4] = [
    "\u{1b}[?1049l",
    "\u{1b}[?25h",
    "\u{1b}[?1000l",
    "\u{1b}[?2004l",
];

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn where_standard_output_is_no_terminal_it_is_refused_with_the_command_for_scripts() {
    let home = home();
    let ended = Command::new(env!("CARGO_BIN_EXE_bb-dash"))
        .arg("--home")
        .arg(home.path())
        .stdin(Stdio::null())
        .output()
        .expect("bb-dash");
    let said = String::from_utf8(ended.stderr).expect("text");
    assert_eq!(ended.status.code(), Some(1));
    assert!(said.contains("bb-ctl list"), "{said}");
    assert!(!said.contains('\u{1b}') && ended.stdout.is_empty());
}

#[test]
fn q_leaves_the_terminal_as_it_was_and_says_that_the_controller_goes_on() {
    let home = home();
    let _controller = Controller::start(home.path());
    let mut terminal = Terminal::start(home.path(), &[]);
    terminal.wait_for("● live");
    assert!(!terminal.is_cooked());
    terminal.press("q");
    let (status, last) = terminal.end();
    assert!(status.success());
    assert!(terminal.is_cooked());
    for undone in UNDONE {
        terminal.wait_for_bytes(undone);
    }
    assert!(
        last.contains("bb-controller keeps running (pid 4120). Stop it: bb-ctl"),
        "{last}"
    );
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let home = home();
        let _controller = Controller::start(home.path());
        let mut terminal = Terminal::start(home.path(), &[]);
        terminal.wait_for("● live");
        terminal.signal(signal);
        let (status, _) = terminal.end();
        assert!(status.success(), "{signal}");
        assert!(terminal.is_cooked(), "{signal}");
        for undone in UNDONE {
            terminal.wait_for_bytes(undone);
        }
    }
}

#[test]
fn suspended_it_gives_the_terminal_back_and_takes_it_again_when_it_goes_on() {
    let home = home();
    let _controller = Controller::start(home.path());
    let mut terminal = Terminal::start(home.path(), &[]);
    terminal.wait_for("● live");
    for by_key in [true, false] {
        if by_key {
            terminal.press("\u{1a}");
        } else {
            terminal.signal(Signal::SIGTSTP);
        }
        let stopped = waitpid(terminal.pid(), Some(WaitPidFlag::WUNTRACED)).expect("its status");
        assert!(
            matches!(stopped, WaitStatus::Stopped(_, Signal::SIGTSTP)),
            "{stopped:?}"
        );
        assert!(terminal.is_cooked());
        terminal.wait_for_bytes("\u{1b}[?1049l");
        terminal.forget_bytes();
        terminal.signal(Signal::SIGCONT);
        terminal.wait_for_bytes("\u{1b}[?1049h");
        terminal.wait_for("● live");
        assert!(!terminal.is_cooked());
    }
    terminal.press("q");
    assert!(terminal.end().0.success());
}

#[test]
fn a_home_whose_socket_would_have_too_long_a_path_is_refused_in_words() {
    let home = home();
    let long = home.path().join("x".repeat(120));
    let mut terminal = Terminal::start(&long, &[]);
    terminal.wait_for_bytes("choose a shorter --home");
    assert_eq!(terminal.end().0.code(), Some(1));
}
