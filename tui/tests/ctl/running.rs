//! `bb-ctl run`: names, environment, arguments, exit codes, what the controller is told.

use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use bb_proto::error::ErrorCode;
use bb_proto::ids::BottleName;
use bb_proto::reply::Acted;
use bb_proto::request::{BottleEnded, BottleRegister, Call};
use insta::assert_snapshot;
use serde_json::Value;

use crate::controller::{Answer, Controller, answer, refusal};
use crate::fixture;
use crate::session::{Session, wait_for, wait_for_file};

/// Registers everybody but those who are there, and knows two recipes.
pub(crate) fn script(taken: &'static [&'static str]) -> impl Fn(&Call) -> Answer {
    move |call| match call {
        Call::BottleRegister(call) if taken.contains(&call.name.as_str()) => refusal(
            ErrorCode::Exists,
            &format!("{} is running", call.name),
            "choose another name",
        ),
        Call::BottleRegister(call) if !matches!(call.client.as_deref(), Some("sdk" | "sh")) => {
            refusal(
                ErrorCode::NotFound,
                "no such client",
                "the clients are sdk, sh",
            )
        }
        Call::BottleEnded(_) => answer::<BottleEnded>(&Acted {
            dry_run: false,
            targets: Vec::new(),
        }),
        other => fixture::read(other),
    }
}

pub(crate) fn session(taken: &'static [&'static str]) -> (Session, Controller) {
    let session = Session::new();
    let controller = Controller::start(&session.home(), script(taken));
    (session, controller)
}

pub(crate) fn registrations(controller: &Controller) -> Vec<BottleRegister> {
    let register = |call| match call {
        Call::BottleRegister(register) => Some(register),
        _ => None,
    };
    controller
        .calls()
        .into_iter()
        .filter_map(register)
        .collect()
}

pub(crate) fn ends(controller: &Controller) -> Vec<(BottleName, i32)> {
    let ended = |call| match call {
        Call::BottleEnded(ended) => Some((ended.name, ended.exit_code)),
        _ => None,
    };
    controller.calls().into_iter().filter_map(ended).collect()
}

#[test]
fn the_exit_code_of_the_command_is_ours_and_the_controller_is_told() {
    let (session, controller) = session(&[]);
    let output = session.output(&["run", "--name", "web", "--", "sh", "-c", "echo out; exit 7"]);
    assert_eq!(session.transcript(&output), "out\nexit: 7");
    let web = BottleName::new("web").expect("a name");
    assert_eq!(ends(&controller), [(web, 7)]);
}

#[test]
fn a_command_that_a_signal_ended_has_the_code_that_a_shell_gives() {
    let (session, controller) = session(&[]);
    let output = session.output(&["run", "--name", "web", "--", "sh", "-c", "kill -KILL $$"]);
    assert_snapshot!(session.transcript(&output), @r"
    stderr: bottle web was ended by SIGKILL
    exit: 137
    ");
    assert_eq!(ends(&controller)[0].1, 137);
}

#[test]
fn a_bottle_without_a_name_is_named_after_its_command_and_says_so() {
    let (session, _controller) = session(&["agent", "agent-2"]);
    session.script("agent", "echo hello");
    assert_snapshot!(session.run(&["run", "agent"]), @r"
    hello
    stderr: bottle agent-3, named after the command; --name gives it another
    exit: 0
    ");
    assert_snapshot!(session.run(&["run", "--json", "agent"]), @r#"
    hello
    stderr: {"started":{"client":"sdk","name":"agent-3","run":"018f4b2e-6f00-7000-8000-000000000000"}}
    exit: 0
    "#);
}

#[test]
fn a_name_that_was_given_is_not_changed_behind_the_back() {
    let (session, controller) = session(&["web"]);
    let proof = session.path("ran");
    let command = format!("touch {}", proof.display());
    assert_snapshot!(session.run(&["run", "--name", "web", "--", "sh", "-c", &command]), @r"
    stderr: error: web is running
    stderr: hint: choose another name
    exit: 125
    ");
    assert!(!proof.exists(), "what is refused never runs");
    assert!(ends(&controller).is_empty());
}

#[test]
fn the_command_gets_the_recipes_environment_and_loses_its_own_key() {
    let (session, controller) = session(&[]);
    let output = session
        .command()
        .env("OWN_KEY", "secret")
        .env("KEPT", "yes")
        .args([
            "run",
            "--env",
            "MORE=a=b",
            "--env",
            "SAID_BASE_URL=mine",
            "--",
            "sh",
            "-c",
        ])
        .arg("echo $SAID_KEY,$SAID_BASE_URL,${OWN_KEY-gone},$KEPT,$MORE,$0,$1")
        .args(["zero", "--json"])
        .output()
        .expect("bb-ctl can be run");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "bb_0123456789abcdef,mine,gone,yes,a=b,zero,--json\n"
    );
    let registered = registrations(&controller);
    assert_eq!(registered[0].client.as_deref(), Some("sh"));
    assert_eq!(registered[0].command[0], "sh");
}

#[test]
fn arguments_of_the_recipe_come_right_after_the_program() {
    let session = Session::new();
    let _controller = Controller::start(&session.home(), |call| match call {
        Call::BottleRegister(call) => {
            let mut registered = fixture::registered(call);
            if let Some(client) = &mut registered.client {
                client.args = vec!["-c".to_owned(), "a b".to_owned()];
            }
            registered.warnings = vec!["codex has its own login".to_owned()];
            answer::<BottleRegister>(&registered)
        }
        other => script(&[])(other),
    });
    session.script("codex", "printf '<%s>' \"$@\"");
    assert_snapshot!(session.run(&["run", "--name", "web", "codex", "exec", "-c", "x"]), @r"
    <-c><a b><exec><-c><x>stderr: warning: codex has its own login
    exit: 0
    ");
}

#[test]
fn a_command_without_a_recipe_of_its_own_gets_the_one_for_libraries() {
    let (session, controller) = session(&[]);
    session.script("my agent", "echo $SAID_KEY");
    let output = session.output(&["run", "my agent"]);
    assert!(output.status.success());
    let registered = registrations(&controller);
    let clients: Vec<Option<&str>> = registered.iter().map(|r| r.client.as_deref()).collect();
    assert_eq!(clients, [Some("my agent"), Some("sdk")]);
    assert_eq!(registered[1].name.as_str(), "my-agent");

    assert_snapshot!(session.run(&["run", "--client", "nobody", "my agent"]), @r"
    stderr: error: no such client
    stderr: hint: the clients are sdk, sh
    exit: 125
    ");
}

#[test]
fn the_launch_is_registered_as_it_was_asked_for_with_the_commands_own_process() {
    let (session, controller) = session(&[]);
    let seen = session.path("seen");
    let command = format!("cut -d' ' -f1,5 /proc/$$/stat > {}", seen.display());
    let output = session
        .command()
        .args([
            "run", "--name", "web", "--agent", "reviewer", "--parent", "a", "--parent", "b",
        ])
        .args([
            "--provider",
            "claude",
            "--budget",
            "200k",
            "--budget",
            "codex=7",
            "--",
        ])
        .args(["sh", "-c", &command])
        .output()
        .expect("bb-ctl can be run");
    assert!(output.status.success(), "{output:?}");
    let registered = &registrations(&controller)[0];
    assert_eq!(
        registered
            .agent
            .as_ref()
            .map(ToString::to_string)
            .as_deref(),
        Some("reviewer")
    );
    assert_eq!(
        registered
            .parents
            .as_ref()
            .map(|names| names.iter().map(BottleName::as_str).collect()),
        Some(vec!["a", "b"])
    );
    let budgets: Vec<String> = registered
        .budgets
        .iter()
        .map(|budget| format!("{}={}", budget.provider, budget.limit))
        .collect();
    assert_eq!(budgets, ["all=200000", "codex=7"]);
    let process = registered.process.expect("a process");
    assert!(process.start_ticks > 0);
    let pid = process.pid;
    assert_eq!(
        wait_for_file(&seen),
        format!("{pid} {pid}\n"),
        "it leads its own group"
    );
}

#[test]
fn a_command_with_more_to_say_than_a_line_holds_still_runs() {
    let (session, controller) = session(&[]);
    let long = "x".repeat(120_000);
    let output = session
        .command()
        .args(["run", "--name", "web", "--", "sh", "-c", "echo $#-${#12}"])
        .args(["sh"])
        .args(vec![&long; 12])
        .output()
        .expect("bb-ctl can be run");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "12-120000\n");
    let told: usize = registrations(&controller)[0]
        .command
        .iter()
        .map(String::len)
        .sum();
    assert!(told < 5_000, "{told}");
}

#[test]
fn what_is_no_command_ends_as_it_does_in_a_shell_and_makes_no_bottle() {
    let (session, controller) = session(&[]);
    let text = session.path("text");
    std::fs::write(&text, "not a program").expect("a file");
    assert_snapshot!(session.run(&["run", "no-such-command"]), @r"
    stderr: error: no-such-command: no such command
    exit: 127
    ");
    assert_snapshot!(session.run(&["run", &text.display().to_string()]), @r"
    stderr: error: $DIR/text cannot be executed
    exit: 126
    ");
    assert_snapshot!(session.run(&["run", "--json", "/nowhere/at/all"]), @r#"
    stderr: {"error":{"code":"no_command","hint":null,"message":"/nowhere/at/all: no such command"}}
    exit: 127
    "#);
    assert!(controller.calls().is_empty());
    session.with_interpreter("broken", "/no/interpreter", "");
    assert_snapshot!(session.run(&["run", "--name", "web", "broken"]), @r"
    stderr: error: broken cannot be executed: its interpreter is not there
    exit: 126
    ");
}

#[test]
fn a_command_line_of_run_that_is_not_understood_is_a_failure_of_run() {
    let session = Session::new();
    assert_snapshot!(session.run(&["run"]), @r"
    stderr: error: the following required arguments were not provided: <CMD>...
    stderr: hint: usage: bb-ctl run <CMD>...
    exit: 125
    ");
    assert_snapshot!(session.run(&["--home", "x", "run", "--budget", "many", "sh"]), @r#"
    stderr: error: invalid value 'many' for '--budget <[PROVIDER=]TOKENS>': "many" is no number of tokens; write a whole number or one like 200k, 1.5M, 2G
    exit: 125
    "#);
    assert_snapshot!(session.run(&["run", "--bogus", "sh"]), @r"
    stderr: error: unexpected argument '--bogus' found
    stderr: hint: to pass '--bogus' as a value, use '-- --bogus'
    exit: 125
    ");
}

#[test]
fn the_command_lives_on_when_its_keeper_is_killed() {
    let (session, controller) = session(&[]);
    let (begun, done) = (session.path("begun"), session.path("done"));
    let gate = session.path("gate");
    let command = format!(
        "echo $$ > {}; until [ -e {} ]; do sleep 0.02; done; echo yes > {}",
        begun.display(),
        gate.display(),
        done.display()
    );
    let mut keeper = session
        .command()
        .args(["run", "--name", "web", "--", "sh", "-c", &command])
        .spawn()
        .expect("bb-ctl can be run");
    let pid = wait_for_file(&begun).trim().to_owned();
    keeper.kill().expect("a keeper");
    assert_eq!(keeper.wait().expect("its end").signal(), Some(9));
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "it lives on");
    std::fs::write(&gate, "").expect("a file");
    assert_eq!(wait_for_file(&done), "yes\n");
    wait_for("the end of the command", || {
        (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
    assert!(
        ends(&controller).is_empty(),
        "the controller sees it by the process"
    );
}

#[test]
fn a_child_that_was_never_released_never_runs() {
    let session = Session::new();
    let held = session.path("held");
    let (path, home) = (held.clone(), session.home());
    let _controller = Controller::start(&home, move |call| match call {
        Call::BottleRegister(call) => {
            let pid = call.process.expect("a process").pid;
            std::fs::write(&path, format!("{pid}\n")).expect("a file");
            // Answers when the one who asked is gone.
            wait_for("the end of the keeper", || {
                let parent = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
                parent.is_none().then_some(())
            });
            answer::<BottleRegister>(&fixture::registered(call))
        }
        other => fixture::read(other),
    });
    let ran = session.path("ran");
    let mut keeper = session
        .command()
        .args(["run", "--name", "web", "touch", &ran.display().to_string()])
        .spawn()
        .expect("bb-ctl can be run");
    let pid = wait_for_file(&held).trim().to_owned();
    keeper.kill().expect("a keeper");
    keeper.wait().expect("its end");
    wait_for("the end of the held child", || {
        (!Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
    assert!(!ran.exists());
}

#[test]
fn a_child_whose_keeper_is_gone_before_it_looks_ends_at_once() {
    let session = Session::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let inherited = nix::unistd::dup(&reader).expect("a descriptor");
    drop(writer);
    let mut child = session
        .command()
        .args(["__become", &inherited.as_raw_fd().to_string(), "true"])
        .spawn()
        .expect("bb-ctl can be run");
    let ended = wait_for("its end", || child.try_wait().expect("a child"));
    assert_eq!(ended.code(), Some(125));
}

#[test]
fn programs_are_told_in_objects_what_runs_and_what_ended_it() {
    let (session, _controller) = session(&[]);
    let output = session.output(&["--json", "run", "--", "sh", "-c", "kill -TERM $$"]);
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stderr)
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    assert_eq!(lines[0]["started"]["name"], "sh");
    assert_eq!(lines[0]["started"]["run"], fixture::RUN);
    assert_eq!(lines[1]["ended"]["signal"], "SIGTERM");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !text.contains(fixture::TOKEN),
        "the token is not for the log"
    );
}
