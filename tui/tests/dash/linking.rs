//! The controller comes, goes, comes back, and speaks another version.

use std::time::Duration;

use bb_proto::request::Call;

use crate::controller::Controller;
use crate::terminal::Terminal;

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn without_a_controller_the_command_is_on_the_screen_and_it_goes_on_once_there_is_one() {
    let home = home();
    let mut terminal = Terminal::start(home.path(), &[]);
    let screen = terminal.wait_for("No controller answers.");
    assert!(screen.contains("bb-controller"), "{screen}");
    let _controller = Controller::start(home.path());
    terminal.wait_for("● live");
    terminal.wait_for("next out: web in 12m");
    terminal.press("q");
    assert!(terminal.end().0.success());
}

#[test]
fn a_controller_that_ends_is_missed_and_its_restart_is_said() {
    let home = home();
    let first = Controller::start(home.path());
    let terminal = Terminal::start(home.path(), &[]);
    terminal.wait_for("● live");
    drop(first);
    let screen = terminal.wait_for("✗ no answer for");
    assert!(screen.contains("all as of 14:02:11 CET"), "{screen}");
    assert!(screen.contains("web"), "the last figures stay\n{screen}");
    terminal.wait_for("(no act is sent)");
    let _second = Controller::speaking(home.path(), bb_proto::version::PROTOCOL, 1_795_179_740_000);
    terminal.wait_for("controller restarted 14:02:20");
    terminal.wait_for("● live");
}

#[test]
fn another_version_of_the_messages_shows_nothing_of_the_host() {
    let home = home();
    let _controller = Controller::speaking(home.path(), 99, 1);
    let mut terminal = Terminal::start(home.path(), &[]);
    let screen = terminal.wait_for("The controller speaks protocol 99");
    assert!(!screen.contains("web"), "{screen}");
    terminal.press("q");
    assert!(terminal.end().0.success());
}

#[test]
fn a_host_that_never_rests_is_polled_four_times_a_second_at_most() {
    let home = home();
    let controller = Controller::start(home.path());
    let terminal = Terminal::start(home.path(), &[]);
    terminal.wait_for("● live");
    let snapshots = |controller: &Controller| {
        controller.asked(|call| match call {
            Call::Snapshot(asked) => Some(asked.clone()),
            _ => None,
        })
    };
    let before = snapshots(&controller).len();
    for more in 1..=8 {
        controller.touch();
        controller.wait_for_polls(before + more);
    }
    let polls = snapshots(&controller);
    let gaps = polls[before..].windows(2).map(|pair| pair[1].0 - pair[0].0);
    let shortest = gaps.min().expect("polls");
    assert!(shortest >= Duration::from_millis(240), "{shortest:?}");
    assert!(
        polls[1..]
            .iter()
            .all(|(_, asked)| asked.since.is_some() && asked.wait_ms.is_some())
    );
}
