//! `bb-ctl run` in a terminal: keys, jobs, modes, sizes, as if it were not there.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::controller::Controller;
use crate::running::session;
use crate::session::{Session, wait_for, wait_for_file, wait_or_say};
use crate::tmux::Tmux;

const BASH: &str = "bash --norc --noprofile";

fn open(shell: &str) -> Option<(Session, Controller, Tmux)> {
    let (session, controller) = session(&[]);
    let tmux = Tmux::open(&session, shell)?;
    tmux.wait_for_line("ready$");
    Some((session, controller, tmux))
}

/// Returns the state letter of a process, and the foreground group of its terminal.
fn state(pid: &str) -> Option<(String, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some(((*fields.first()?).to_owned(), (*fields.get(5)?).to_owned()))
}

/// Returns the process above one.
fn parent(pid: &str) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let (_, rest) = stat.rsplit_once(") ").expect("fields");
    rest.split(' ').nth(1).expect("a parent").to_owned()
}

fn signal(pid: &str, signal: Signal) {
    kill(Pid::from_raw(pid.parse().expect("a pid")), signal).expect("a process");
}

fn wait_for_state(pid: &str, letters: &str) {
    wait_or_say(
        || format!("process {pid} in {letters}, is {:?}", state(pid)),
        || state(pid).filter(|(letter, _)| letters.contains(letter.as_str())),
    );
}

/// A command that tells its pid and then copies lines until the end of input.
fn cat(session: &Session) -> (String, std::path::PathBuf) {
    let pid = session.path("pid");
    let run = format!(
        "bb-ctl run --name web -- sh -c 'echo $$ > {}; exec cat'",
        pid.display()
    );
    (run, pid)
}

#[test]
fn ctrl_c_reaches_the_command_alone_and_its_exit_code_comes_through() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    session.looping("job", "trap 'echo caught; exit 9' INT; echo begun", "");
    tmux.line("bb-ctl run --name web job; echo rc=$?");
    tmux.wait_for_line("begun");
    tmux.type_in("", &["C-c"]);
    tmux.wait_for_text("caught");
    tmux.wait_for_line("rc=9");
}

#[test]
fn ctrl_z_gives_the_shell_its_terminal_and_fg_gives_it_back() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    let (run, pid) = cat(&session);
    tmux.line(&run);
    let pid = wait_for_file(&pid).trim().to_owned();
    wait_for("the command in the foreground", || {
        state(&pid).filter(|(_, front)| *front == pid)
    });
    tmux.line("one");
    tmux.wait_for_text("one\none");
    for round in ["two", "three"] {
        tmux.type_in("", &["C-z"]);
        tmux.wait_for_text("Stopped");
        wait_for_state(&pid, "T");
        tmux.line(&format!("clear; echo shell-{round}"));
        tmux.wait_for_line(&format!("shell-{round}"));
        tmux.line("fg");
        wait_for("the command in the foreground", || {
            state(&pid).filter(|(letter, front)| *front == pid && letter != "T")
        });
        tmux.line(round);
        tmux.wait_for_text(&format!("{round}\n{round}"));
    }
    tmux.type_in("", &["C-d"]);
    tmux.line("echo rc=$?");
    tmux.wait_for_line("rc=0");
}

#[test]
fn a_command_in_the_background_works_on_and_comes_back() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    let (pid, ticks) = (session.path("pid"), session.path("ticks"));
    session.looping(
        "job",
        &format!(
            "trap 'echo caught; exit 9' INT; echo $$ > {}",
            pid.display()
        ),
        &format!("echo tick >> {};", ticks.display()),
    );
    let count = || std::fs::read_to_string(&ticks).map_or(0, |text| text.lines().count());
    tmux.line("bb-ctl run --name web job");
    let pid = wait_for_file(&pid).trim().to_owned();
    tmux.type_in("", &["C-z"]);
    tmux.wait_for_text("Stopped");
    tmux.line("bg");
    let before = count();
    wait_for("more ticks", || (count() > before + 3).then_some(()));
    tmux.line("echo shell-works");
    tmux.wait_for_line("shell-works");
    let (_, shells) = state(&pid).expect("a process");
    assert_ne!(shells, pid, "the terminal is the shell's");
    // The shell tells nobody that a running job is in front now: the next key does.
    tmux.line("fg");
    wait_for("the job in the foreground", || {
        state(&pid).filter(|(_, front)| *front != shells)
    });
    tmux.type_in("", &["C-c"]);
    tmux.wait_for_text("caught");
    tmux.line("echo rc=$?");
    tmux.wait_for_line("rc=9");
}

#[test]
fn a_command_that_was_started_in_the_background_stops_when_it_wants_the_terminal() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    let (run, pid) = cat(&session);
    tmux.line(&format!("{run} &"));
    let pid = wait_for_file(&pid).trim().to_owned();
    wait_for_state(&pid, "T");
    tmux.line("");
    tmux.wait_for_text("Stopped");
    tmux.line("fg");
    wait_for("the command in the foreground", || {
        state(&pid).filter(|(letter, front)| *front == pid && letter != "T")
    });
    tmux.line("here");
    tmux.wait_for_text("here\nhere");
    tmux.type_in("", &["C-d"]);
    tmux.line("echo rc=$?");
    tmux.wait_for_line("rc=0");
}

#[test]
fn a_script_that_waits_for_us_stops_with_us() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    let (run, pid) = cat(&session);
    session.script("script", &format!("{run}\necho after=$?"));
    tmux.line("script");
    let pid = wait_for_file(&pid).trim().to_owned();
    tmux.type_in("", &["C-z"]);
    tmux.wait_for_text("Stopped");
    tmux.line("fg");
    wait_for("the command in the foreground", || {
        state(&pid).filter(|(letter, front)| *front == pid && letter != "T")
    });
    tmux.type_in("", &["C-d"]);
    tmux.wait_for_line("after=0");
}

#[test]
fn where_no_shell_could_continue_it_ctrl_z_stops_nothing() {
    let (session, _controller) = session(&[]);
    let (run, pid) = cat(&session);
    let Some(tmux) = Tmux::open(&session, &run.replace('\'', "\"").replace("$$", "\\$\\$")) else {
        return;
    };
    let pid = wait_for_file(&pid).trim().to_owned();
    wait_for("the command in the foreground", || {
        state(&pid).filter(|(_, front)| *front == pid)
    });
    tmux.type_in("", &["C-z"]);
    tmux.line("hello");
    tmux.wait_for_text("hello\nhello");
}

#[test]
fn a_shell_that_took_the_terminal_back_keeps_it() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    let (run, pid) = cat(&session);
    tmux.line(&run);
    let pid = wait_for_file(&pid).trim().to_owned();
    wait_for("the command in the foreground", || {
        state(&pid).filter(|(_, front)| *front == pid)
    });
    let keeper = parent(&pid);
    signal(&keeper, Signal::SIGSTOP);
    tmux.wait_for_text("Stopped");
    signal(&pid, Signal::SIGKILL);
    wait_for_state(&pid, "Z");
    // A mode of the shell's own, which tidying up after the command would take away.
    tmux.line("printf '\\033[?1000h'; bg; wait");
    tmux.wait_for_text("Exit 137");
    tmux.line("echo shell-works");
    tmux.wait_for_line("shell-works");
    tmux.wait_for_value("#{mouse_any_flag}", "1");
}

#[test]
fn a_stop_by_somebody_else_in_the_background_is_not_ours() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    let pid = session.path("pid");
    session.looping("job", &format!("echo $$ > {}", pid.display()), "");
    tmux.line("bb-ctl run --name web job &");
    let pid = wait_for_file(&pid).trim().to_owned();
    let keeper = parent(&pid);
    signal(&pid, Signal::SIGSTOP);
    wait_for_state(&pid, "T");
    signal(&pid, Signal::SIGCONT);
    wait_for_state(&pid, "RS");
    signal(&keeper, Signal::SIGTERM);
    tmux.wait_for_text("ended by SIGTERM");
    assert!(!tmux.screen().contains("Stopped"), "{}", tmux.screen());
}

#[test]
fn the_modes_of_the_command_come_back_with_it() {
    let Some((session, _controller, tmux)) = open("dash -i") else {
        return;
    };
    let pid = session.path("pid");
    session.looping(
        "job",
        &format!("stty -echo -icrnl; echo $$ > {}", pid.display()),
        "",
    );
    tmux.line("bb-ctl run --name web job");
    let pid = wait_for_file(&pid).trim().to_owned();
    let modes = || {
        let output = Command::new("stty")
            .args(["-a", "-F", &tmux.device()])
            .output();
        String::from_utf8_lossy(&output.expect("stty").stdout).into_owned()
    };
    assert!(modes().contains(" -icrnl"), "{}", modes());
    tmux.type_in("", &["C-z"]);
    wait_for_state(&pid, "T");
    wait_for("the shell's modes", || {
        modes().contains(" icrnl").then_some(())
    });
    tmux.line("fg");
    wait_for_state(&pid, "RS");
    wait_for("the command's modes", || {
        modes().contains(" -icrnl").then_some(())
    });
}

#[test]
fn a_killed_full_screen_program_leaves_the_terminal_as_it_was() {
    // A shell without an editor of its own, which would hide what is wrong.
    let Some((session, _controller, tmux)) = open("dash -i") else {
        return;
    };
    let pid = session.path("pid");
    session.script(
        "screen",
        &format!(
            "stty raw -echo; printf '\\033[?1049h\\033[?25l\\033[?1000h\\033[?2004hFULL'; \
             echo $$ > {}; exec sleep 60",
            pid.display()
        ),
    );
    tmux.line("bb-ctl run --name web screen; echo rc=$?");
    let pid = wait_for_file(&pid).trim().to_owned();
    tmux.wait_for_text("FULL");
    tmux.wait_for_value("#{alternate_on}#{cursor_flag}#{mouse_any_flag}", "101");
    signal(&pid, Signal::SIGKILL);
    tmux.wait_for_line("rc=137");
    tmux.wait_for_value("#{alternate_on}#{cursor_flag}#{mouse_any_flag}", "010");
    tmux.line("stty -a | tr ' ' '\\n' | grep -x -e icanon -e echo -e '-icanon' -e '-echo'");
    tmux.wait_for_text("\nicanon\necho\n");
}

#[test]
fn a_program_that_ends_well_may_change_nothing_either() {
    let Some((session, _controller, tmux)) = open("dash -i") else {
        return;
    };
    session.script("quiet", "stty -echo");
    tmux.line("bb-ctl run --name web quiet; stty -a | grep -o -e ' -echo ' -e ' echo '");
    tmux.wait_for_line(" echo");
}

#[test]
fn the_command_sees_a_resize() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    session.looping("job", "trap 'stty size' WINCH; echo begun", "");
    tmux.line("bb-ctl run --name web job");
    tmux.wait_for_line("begun");
    tmux.resize(100, 30);
    tmux.wait_for_line("30 100");
    tmux.type_in("", &["C-c"]);
}

#[test]
fn a_command_behind_a_pipe_gets_the_terminal_when_it_asks_for_it() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    session.script("job", "cat; read answer < /dev/tty; echo got-$answer");
    tmux.line("echo piped | bb-ctl run --name web job; echo rc=$?");
    tmux.wait_for_line("piped");
    tmux.line("word");
    tmux.wait_for_line("got-word");
    tmux.wait_for_line("rc=0");
}

#[test]
fn ctrl_c_and_ctrl_z_reach_a_command_behind_a_pipe_through_us() {
    let Some((session, _controller, tmux)) = open(BASH) else {
        return;
    };
    let pid = session.path("pid");
    session.looping(
        "job",
        &format!(
            "trap 'echo caught; exit 9' INT; echo $$ > {}",
            pid.display()
        ),
        "",
    );
    tmux.line("true | bb-ctl run --name web job; echo rc=$?");
    let pid = wait_for_file(&pid).trim().to_owned();
    tmux.type_in("", &["C-z"]);
    tmux.wait_for_text("Stopped");
    wait_for_state(&pid, "T");
    tmux.line("fg");
    wait_for_state(&pid, "RSD");
    tmux.type_in("", &["C-c"]);
    tmux.wait_for_text("caught");
}

#[test]
fn what_cannot_be_taken_back_is_asked_first_where_somebody_is_there() {
    use bb_proto::reply::{Acted, Target};
    use bb_proto::request::{BottleStop, Call};
    use bb_proto::view::BottleState;
    let session = Session::new();
    let controller = Controller::start(&session.home(), |call| match call {
        Call::BottleStop(call) => crate::controller::answer::<BottleStop>(&Acted {
            dry_run: call.dry_run,
            targets: vec![Target {
                name: call.names[0].clone(),
                run: None,
                changed: true,
                streams_ended: 2,
                took_us: 900,
                observed: BottleState::Stopped,
                note: None,
            }],
        }),
        other => crate::fixture::read(other),
    });
    let Some(tmux) = Tmux::open(&session, BASH) else {
        return;
    };
    tmux.wait_for_line("ready$");
    tmux.line("bb-ctl stop web; echo first=$?");
    tmux.wait_for_text("would stop web: 2 streams would end; go on? [y/N]");
    tmux.line("n");
    tmux.wait_for_line("error: nothing was done");
    tmux.wait_for_line("first=1");
    tmux.line("bb-ctl stop docs; echo second=$?");
    tmux.wait_for_text("would stop docs");
    tmux.line("y");
    tmux.wait_for_line("stopped docs: 2 streams ended in 0.9 ms");
    tmux.wait_for_line("second=0");
    tmux.line("bb-ctl stop web --yes; echo third=$?");
    tmux.wait_for_line("third=0");
    let dry: Vec<bool> = controller
        .calls()
        .iter()
        .map(|call| matches!(call, Call::BottleStop(stop) if stop.dry_run))
        .collect();
    assert_eq!(dry, [true, true, false, false]);
}
