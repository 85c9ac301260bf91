//! What goes wrong: one line of error, one of hint, an exit code; an object for programs.

use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::Value;

use crate::controller::Controller;
use crate::fixture;
use crate::session::Session;

#[test]
fn where_no_controller_answers_the_hint_is_the_command_that_starts_one() {
    let session = Session::new();
    assert_snapshot!(session.run(&["list"]), @r"
    stderr: error: no controller answers at $DIR/home/run/controller.sock
    stderr: hint: start one: bb-controller --home $DIR/home
    exit: 4
    ");
    assert_snapshot!(session.run(&["cutoff", "web", "--json"]), @r#"
    stderr: {"error":{"code":"not_reachable","hint":"start one: bb-controller --home $DIR/home","message":"no controller answers at $DIR/home/run/controller.sock"}}
    exit: 4
    "#);
    let odd = session.path("a b");
    assert_snapshot!(session.run(&["status", "--home", &odd.display().to_string()]), @r"
    stderr: error: no controller answers at $DIR/a b/run/controller.sock
    stderr: hint: start one: bb-controller --home '$DIR/a b'
    exit: 4
    ");
}

#[test]
fn a_command_line_that_is_not_understood_says_what_was_meant() {
    let session = Session::new();
    assert_snapshot!(session.run(&["cutof", "web"]), @r"
    stderr: error: unrecognized subcommand 'cutof'
    stderr: hint: a similar subcommand exists: 'cutoff'
    exit: 2
    ");
    assert_snapshot!(session.run(&["cutoff"]), @r"
    stderr: error: the following required arguments were not provided: <BOTTLE>...
    stderr: hint: usage: bb-ctl cutoff <BOTTLE>...
    exit: 2
    ");
    assert_snapshot!(session.run(&["show", "a/b"]), @r"
    stderr: error: invalid value 'a/b' for '<BOTTLE>': '/' is not allowed in a name; a name begins with a letter or digit and goes on with letters, digits, '.', '_' and '-'
    exit: 2
    ");
    assert_snapshot!(session.run(&["list", "--jsn"]), @r"
    stderr: error: unexpected argument '--jsn' found
    stderr: hint: a similar argument exists: '--json'
    exit: 2
    ");
    assert_snapshot!(session.run(&["usage", "--since", "soon", "--json"]), @r#"
    stderr: {"error":{"code":"usage","hint":null,"message":"invalid value 'soon' for '--since <DURATION>': expected number at 0"}}
    exit: 2
    "#);
    assert_snapshot!(session.run(&["budget", "set", "host", "5M"]), @r"
    stderr: error: host names no provider
    stderr: hint: bb-ctl budget set host all 5M
    exit: 2
    ");
    assert_snapshot!(session.run(&["budget", "raise", "host/claude/dya", "+1M"]), @r#"
    stderr: error: invalid value 'host/claude/dya' for '<KEY>': "dya" is no window; a window is total, run, hour, day, week, month, rolling 5h or block 5h
    exit: 2
    "#);
    assert_snapshot!(session.run(&[]), @r"
    stderr: error: the command is missing
    stderr: hint: --help lists the commands
    exit: 2
    ");
}

#[test]
fn a_refusal_of_the_controller_is_said_with_its_hint() {
    let session = Session::new();
    let _controller = Controller::start(&session.home(), fixture::read);
    assert_snapshot!(session.run(&["show", "nobody"]), @r"
    stderr: error: there is no bottle nobody
    stderr: hint: bb-ctl list shows them all
    exit: 1
    ");
    let output = session.output(&["show", "nobody", "--json"]);
    assert!(output.stdout.is_empty());
    let error: Value = serde_json::from_slice(&output.stderr).expect("an object");
    assert_eq!(error["error"]["code"], "not_found");
}

#[test]
fn a_home_whose_socket_no_system_takes_is_refused_in_words() {
    let session = Session::new();
    let long = format!("/tmp/{}", "x".repeat(100));
    assert_snapshot!(session.run(&["list", "--home", &long]), @r"
    stderr: error: /tmp/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx/run/controller.sock has 125 bytes; the path of a socket has at most 107
    stderr: hint: choose a shorter home with --home DIR or BB_HOME
    exit: 1
    ");
    let homeless = session
        .command()
        .env_remove("HOME")
        .env_remove("BB_HOME")
        .arg("list")
        .output()
        .expect("bb-ctl can be run");
    assert_snapshot!(session.transcript(&homeless), @r"
    stderr: error: there is no home directory: neither BB_HOME nor HOME is set
    stderr: hint: name one with --home DIR
    exit: 2
    ");
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let session = Session::new();
    let _controller = Controller::start(&session.home(), fixture::read);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = session
        .command()
        .arg("list")
        .stdout(Stdio::from(writer))
        .output()
        .expect("bb-ctl can be run");
    assert_eq!(session.transcript(&output), "exit: 0");
}
