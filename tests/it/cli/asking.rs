//! How it stands: status, doctor, settings, events.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use insta::assert_snapshot;

use super::session::Session;

#[tokio::test(flavor = "multi_thread")]
async fn status_and_doctor_say_where_it_is_and_what_is_missing() -> Result<()> {
    let mut session = Session::begin("budget:\n  claude: 5M\n").await?;
    session.run("bb-ctl register web && bb-ctl register api && bb-ctl cutoff api")?;
    assert_eq!(session.message("web").await?, 200);
    session.ctl("status")?;
    session.ctl("doctor")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl status
    controller  0.1.0, pid PID, up SPAN
    home        ~/home
    socket      ~/home/run/controller.sock
    log         ~/home/log/controller.log
    settings    ~/home/settings.yml
    egress      127.0.0.1:PORT
    ledger      takes charges
    bottles     2: 1 running, 1 cutoff
    calls       0 in flight, 0 waiting, 100 tokens in the last minute
    estimates   claude: input within 64 % (median; p95 64 %), output within 150 % (median; p95 150 %), over 1 call
    $ bb-ctl doctor
    ok       ~/bin/bb-controller is of the same version, 0.1.0
    ok       ~/home is for its owner alone
    ok       ~/home/run is for its owner alone
    ok       ~/home/run/controller.sock is for its owner alone
    ok       the controller (pid PID) answers, version 0.1.0
    ok       the ledger takes charges
    ok       budgets are in force
    ok       claude: the controller puts the key in; bottles have none
    ok       codex: the controller puts the key in; bottles have none
    ok       gemini: the controller puts the key in; bottles have none
    warning  bottles are not sealed: an agent with a login of its own can go around the proxy
             hint: give the provider a credential in settings.yml, and the agent no login
    ok       keyed, nothing to spend but through the proxy: web
    warning  advisory, with a login and a network of their own: api
             hint: give the provider a credential in the settings, so that a bottle has no key of its own
    "#);
    // The log is where it says.
    let status = session.json("status")?;
    let log = status[0]["log"].as_str().context("a log")?;
    assert!(std::fs::read_to_string(log)?.contains("INFO"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_shown_checked_and_taken() -> Result<()> {
    let mut session = Session::begin("budget:\n  claude: 5M\n").await?;
    let good = std::fs::read_to_string(session.place.home.settings())?;
    session.ctl("settings check")?;
    std::fs::write(session.place.home.settings(), good.replace("5M", "6M"))?;
    session.ctl("settings reload --dry-run")?;
    session.ctl("settings reload")?;
    session.ctl("settings reload")?;
    std::fs::write(
        session.place.home.settings(),
        "budget:\n  claud: 5M\n  codex: -1\nshutdown: explode\nbottels:\n  web: 1\n",
    )?;
    session.ctl("settings check")?;
    session.ctl("settings reload")?;
    session.ctl("budget list")?;
    std::fs::remove_file(session.place.home.settings())?;
    session.ctl("settings reload")?;
    assert_snapshot!(session.said(), @r#"
    $ bb-ctl settings check
    ~/home/settings.yml can be taken
    $ bb-ctl settings reload --dry-run
    ~/home/settings.yml can be taken
      budget host/claude/total: limit 5M -> 6M
    $ bb-ctl settings reload
    ~/home/settings.yml was taken
      budget host/claude/total: limit 5M -> 6M
    $ bb-ctl settings reload
    ~/home/settings.yml was taken
    $ bb-ctl settings check
    ~/home/settings.yml:2:3: unknown provider "claud"
      hint: did you mean "claude"? There are claude, codex, gemini, openrouter, xai, deepseek, mistral, groq, vercel, vertex, together, cerebras
    ~/home/settings.yml:3:10: "-1" is less than nothing
      hint: a limit is at least 1 token
    ~/home/settings.yml:4:11: "explode" is nothing that "shutdown" can be
      hint: write cutoff
    ~/home/settings.yml:5:1: unknown key "bottels" in the file
      hint: did you mean "bottles"? There are budget, shutdown, gate, floor, unbounded, wait, drain, keep_calls, in_flight, warn, timezone, on_event, bottles, agents, providers, egress
    4 mistakes; the settings in force stay
    [1]
    $ bb-ctl settings reload
    ~/home/settings.yml:2:3: unknown provider "claud"
      hint: did you mean "claude"? There are claude, codex, gemini, openrouter, xai, deepseek, mistral, groq, vercel, vertex, together, cerebras
    ~/home/settings.yml:3:10: "-1" is less than nothing
      hint: a limit is at least 1 token
    ~/home/settings.yml:4:11: "explode" is nothing that "shutdown" can be
      hint: write cutoff
    ~/home/settings.yml:5:1: unknown key "bottels" in the file
      hint: did you mean "bottles"? There are budget, shutdown, gate, floor, unbounded, wait, drain, keep_calls, in_flight, warn, timezone, on_event, bottles, agents, providers, egress
    4 mistakes; the settings in force stay
    [1]
    $ bb-ctl budget list
    BUDGET             USED/LIMIT   %  CAP   PENDING  /MIN  LEFT  FROM
    host/claude/total        0/6M  0%  hard        0     0     -  settings line 14
    $ bb-ctl settings reload
    ! error: ~/home/settings.yml is gone
    ! hint: put it back; an empty file takes back all that it said
    [1]
    "#);
    let shown = session.run("bb-ctl settings show")?;
    let shown = String::from_utf8(shown.stdout)?;
    assert!(shown.contains("settings.yml, taken "), "{shown}");
    assert!(!shown.contains("sk-real-key"), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_prints_events_as_they_happen_until_the_controller_ends() -> Result<()> {
    let session = Session::begin("").await?;
    session.run("bb-ctl register web")?;
    let mut watch = session
        .shell("exec bb-ctl watch --bottle web")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(watch.stdout.take().context("its output")?).lines();
    // It watches once it has printed the first event; what came before is not told.
    let first = loop {
        session.run("bb-ctl register other --renew && bb-ctl cutoff web && bb-ctl restore web")?;
        let log = session.run("bb-ctl --json audit --bottle web")?;
        if String::from_utf8(log.stdout)?.lines().count() > 1 {
            break lines.next().context("a line")??;
        }
    };
    assert!(first.ends_with("  web cut off; 0 streams ended"), "{first}");
    let second = lines.next().context("a line")??;
    assert!(second.ends_with("  web restored"), "{second}");
    session.run("bb-ctl shutdown --yes")?;
    assert!(lines.next().is_none());
    let ended = watch.wait_with_output()?;
    assert_eq!(ended.status.code(), Some(4));
    let said = String::from_utf8(ended.stderr)?;
    assert!(
        said.starts_with("error: the connection to the controller was lost"),
        "{said}"
    );
    Ok(())
}
