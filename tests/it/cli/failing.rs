//! What cannot be: no controller, no such command, no such bottle.

use anyhow::Result;
use insta::assert_snapshot;

use super::session::Session;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_controller_every_command_says_how_to_start_one() -> Result<()> {
    let mut session = Session::without_controller("").await?;
    session.ctl("status")?;
    session.ctl("list --json")?;
    session.ctl("cutoff web")?;
    session.ctl("doctor")?;
    session.ctl("--home '/no where' status")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl status
    ! error: no controller answers at ~/home/run/controller.sock
    ! hint: start one: bb-controller --home ~/home
    [4]
    $ bb-ctl list --json
    ! {"error":{"code":"not_reachable","hint":"start one: bb-controller --home ~/home","message":"no controller answers at ~/home/run/controller.sock"}}
    [4]
    $ bb-ctl cutoff web
    ! error: no controller answers at ~/home/run/controller.sock
    ! hint: start one: bb-controller --home ~/home
    [4]
    $ bb-ctl doctor
    ok       ~/bin/bb-controller is of the same version, 0.1.0
    ok       ~/home is for its owner alone
    error    no controller answers at ~/home/run/controller.sock
             hint: start one: bb-controller --home ~/home
    ok       ~/home/settings.yml is there
    [4]
    $ bb-ctl --home '/no where' status
    ! error: no controller answers at /no where/run/controller.sock
    ! hint: start one: bb-controller --home '/no where'
    [4]
    "#);
    // Each of them, whatever its words.
    for line in [
        "register web",
        "show web",
        "env web",
        "restore web",
        "stop web --yes",
        "remove web --yes",
        "budget list",
        "budget set host all 5M",
        "budget unset host/all",
        "budget raise host/all 5",
        "usage",
        "audit",
        "watch",
        "settings show",
        "settings check",
        "settings reload",
        "shutdown --yes",
    ] {
        let output = session.run(&format!("bb-ctl {line}"))?;
        let said = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(4), "{line}: {said}");
        assert!(
            said.contains("start one: bb-controller --home"),
            "{line}: {said}"
        );
        assert!(output.stdout.is_empty(), "{line}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_is_not_understood_ends_with_two() -> Result<()> {
    let mut session = Session::without_controller("").await?;
    for line in [
        "",
        "explode",
        "cutof web",
        "cutoff",
        "cutoff 'a b'",
        "list --all",
        "budget set host claude",
        "budget raise web/claude lots",
        "usage --by hour",
        "usage --since soon",
        "audit --limit -1",
        "--json cutoff",
    ] {
        session.ctl(line)?;
    }
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl 
    ! error: the command is missing
    ! hint: --help lists the commands
    [2]
    $ bb-ctl explode
    ! error: unrecognized subcommand 'explode'
    ! hint: usage: bb-ctl [OPTIONS] <COMMAND>
    [2]
    $ bb-ctl cutof web
    ! error: unrecognized subcommand 'cutof'
    ! hint: a similar subcommand exists: 'cutoff'
    [2]
    $ bb-ctl cutoff
    ! error: the following required arguments were not provided: <BOTTLE>...
    ! hint: usage: bb-ctl cutoff <BOTTLE>...
    [2]
    $ bb-ctl cutoff 'a b'
    ! error: invalid value 'a b' for '<BOTTLE>...': ' ' is not allowed in a name; a name begins with a letter or digit and goes on with letters, digits, '.', '_' and '-'
    [2]
    $ bb-ctl list --all
    ! error: unexpected argument '--all' found
    ! hint: usage: bb-ctl list [OPTIONS]
    [2]
    $ bb-ctl budget set host claude
    ! error: the limit is missing
    ! hint: bb-ctl budget set host claude 5M
    [2]
    $ bb-ctl budget raise web/claude lots
    ! error: invalid value 'lots' for '<TOKENS>': "lots" is no number of tokens; write a whole number or one like 200k, 1.5M, 2G
    [2]
    $ bb-ctl usage --by hour
    ! error: invalid value 'hour' for '--by <WHAT>' [possible values: bottle, agent, provider, model, call]
    [2]
    $ bb-ctl usage --since soon
    ! error: invalid value 'soon' for '--since <DURATION>': expected number at 0
    [2]
    $ bb-ctl audit --limit -1
    ! error: unexpected argument '-1' found
    ! hint: usage: bb-ctl audit [OPTIONS]
    [2]
    $ bb-ctl --json cutoff
    ! {"error":{"code":"usage","hint":"usage: bb-ctl cutoff <BOTTLE>...","message":"the following required arguments were not provided: <BOTTLE>..."}}
    [2]
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_ends_with_one() -> Result<()> {
    let mut session = Session::begin("").await?;
    for line in [
        "show nobody",
        "env nobody",
        "cutoff nobody",
        "restore nobody",
        "stop nobody",
        "remove nobody",
        "--json show nobody",
        "budget raise nobody/claude 5",
    ] {
        session.ctl(line)?;
    }
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl show nobody
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles
    [1]
    $ bb-ctl env nobody
    ! error: there is no bottle named nobody
    ! hint: bb-ctl register nobody
    [1]
    $ bb-ctl cutoff nobody
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles
    [1]
    $ bb-ctl restore nobody
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles
    [1]
    $ bb-ctl stop nobody
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles
    [1]
    $ bb-ctl remove nobody
    ! error: there is no bottle named nobody
    ! hint: bb-ctl list shows all bottles
    [1]
    $ bb-ctl --json show nobody
    ! {"error":{"code":"not_found","hint":"bb-ctl list shows all bottles","message":"there is no bottle named nobody"}}
    [1]
    $ bb-ctl budget raise nobody/claude 5
    ! error: nobody/claude is no budget
    ! hint: bb-ctl budget list shows them all; bb-ctl budget set makes one
    [1]
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_is_ended_and_another_one_is_not_started_twice() -> Result<()> {
    let mut session = Session::begin("").await?;
    session.ctl("shutdown --dry-run")?;
    session.ctl("status --json >/dev/null")?;
    session.ctl("shutdown")?;
    if let Some(mut daemon) = session.daemon.take() {
        assert_eq!(daemon.ended()?.code(), Some(0));
    }
    session.ctl("status")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl shutdown --dry-run
    would end the controller (pid PID): 0 calls in flight
    $ bb-ctl status --json >/dev/null
    $ bb-ctl shutdown
    the controller (pid PID) has ended
    $ bb-ctl status
    ! error: no controller answers at ~/home/run/controller.sock
    ! hint: start one: bb-controller --home ~/home
    [4]
    "#);
    Ok(())
}
