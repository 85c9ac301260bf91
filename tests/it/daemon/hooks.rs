//! The operator's command at events: real scripts, run by a real controller.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bb_tests::harness::{Daemon, WAIT_LIMIT, send, stream};
use bb_tests::provider::{Provider, Script};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::session::Session;
use crate::home::Place;
use crate::socket::raw::Raw;

const PATH: &str = "/claude/v1/messages";
const ASKED: &str =
    r#"{"model":"claude-opus-4-8","max_tokens":64000,"messages":[{"role":"user","content":"hi"}]}"#;
/// Never ends by itself, and neither does a child of it; says who both are.
const HANGS: &str = "sleep 100 & echo \"$$ $!\" >> pids; wait";
/// Puts each event down.
const TELLS: &str = "cat >> told";

/// Writes a script.
fn script(at: &Path, body: &str) -> Result<PathBuf> {
    std::fs::write(at, format!("#!/bin/sh\n{body}\n"))?;
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o700))?;
    Ok(at.to_owned())
}

/// A controller before a provider, with a script at events.
struct Scene {
    provider: Provider,
    place: Place,
    folder: TempDir,
    daemon: Option<Daemon>,
}

impl Scene {
    /// Starts it; `more` stands under `on_event:`, and what follows that.
    async fn start(body: &str, more: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let hook = script(&folder.path().join("hook"), body)?;
        let command = format!("on_event:\n  command: {}\n{more}", hook.display());
        let provider = Provider::start(Script::default()).await?;
        let place = Place::before(&provider, &command)?;
        let daemon = Some(place.start()?);
        Ok(Self {
            provider,
            place,
            folder,
            daemon,
        })
    }

    async fn result(&self, method: &str, params: Value) -> Result<Value> {
        Raw::connect(&self.place.home)
            .await?
            .result(method, params)
            .await
    }

    /// Registers a bottle; returns its token.
    async fn bottle(&self, name: &str, limit: u64) -> Result<String> {
        let budgets = json!([{"provider": "claude", "limit": limit}]);
        let asked = json!({"name": name, "budgets": budgets});
        let registered = self.result("bottle.register", asked).await?;
        let token = registered["token"].as_str().context("a token")?;
        Ok(token.to_owned())
    }

    /// Makes a call that costs so much; returns its status.
    async fn spend(&self, token: &str, tokens: u64) -> Result<u16> {
        self.provider.enqueue(Script::costing(20, tokens - 20));
        let egress = &self.daemon.as_ref().context("a controller")?.egress;
        let headers = [("x-api-key", token)];
        let answer = send(egress, Method::POST, PATH, &headers, ASKED).await?;
        Ok(answer.status.as_u16())
    }

    async fn cutoff(&self, name: &str) -> Result<()> {
        let order = json!({"names": [name], "why": "a test"});
        self.result("bottle.cutoff", order).await?;
        Ok(())
    }

    /// Returns a file that a script wrote in the home; empty where there is none.
    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.place.home.path().join(name)).unwrap_or_default()
    }

    /// Returns the events that a script put down.
    fn told(&self) -> Result<Vec<Value>> {
        let told = self.file("told");
        let whole = told.split_inclusive('\n').filter(|it| it.ends_with('\n'));
        whole.map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    async fn hooks(&self) -> Result<Value> {
        Ok(self.result("health", json!({})).await?["hooks"].clone())
    }

    /// Returns the processes that the scripts said they are.
    fn pids(&self) -> Vec<u32> {
        let pids = self.file("pids");
        pids.split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    /// Sets the grace period to 300 ms.
    async fn shorten_grace(&self) -> Result<()> {
        let text = std::fs::read_to_string(self.place.home.settings())?;
        let text = text.replace("egress:\n", "egress:\n  grace: 300ms\n");
        std::fs::write(self.place.home.settings(), text)?;
        let taken = self.result("settings.reload", json!({})).await?;
        anyhow::ensure!(taken["applied"] == true, "{taken}");
        Ok(())
    }

    /// Asks the controller to end; returns how long that took.
    async fn end(&mut self) -> Result<Duration> {
        let daemon = self.daemon.take().context("a controller")?;
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let (status, _) = daemon.terminate()?;
            anyhow::ensure!(status.success(), "{status}");
            Ok(begun.elapsed())
        })
        .await?
    }
}

/// Waits until something holds, with a limit.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let waited = tokio::time::timeout(WAIT_LIMIT, async {
        while !holds().await? {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    });
    waited.await.with_context(|| format!("until {what}"))?
}

/// Returns whether a process runs; one that only waits to be noticed does not.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != Some('Z'))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warned_budget_runs_the_command_with_the_event_and_little_else() -> Result<()> {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let body = "env > env; pwd -P > pwd; cat > new; mv new told";
    let scene = Scene::start(body, "").await?;
    let web = scene.bottle("web", 1_000).await?;
    assert_eq!(scene.spend(&web, 600).await?, 200);
    until("it was told", async || Ok(!scene.told()?.is_empty())).await?;

    let listed = scene.result("events.list", json!({"match": "50%"})).await?["events"].clone();
    let [event] = listed.as_array().context("events")?.as_slice() else {
        panic!("{listed}")
    };
    assert_eq!(event["kind"], "warned");
    assert_eq!(event["bottle"], "web");
    let mut wanted = event.clone();
    wanted["skipped"] = json!(0);
    assert_eq!(scene.told()?, [wanted]);

    let home = scene.place.home.path().canonicalize()?;
    assert_eq!(scene.file("pwd").trim_end(), home.display().to_string());
    let env = scene.file("env");
    let bb_home = format!("BB_HOME={}", scene.place.home.path().display());
    assert!(env.lines().any(|line| line == bb_home), "{env}");
    assert!(env.lines().any(|line| line == "BB_EVENT=warned"), "{env}");
    assert!(env.lines().any(|line| line.starts_with("PATH=/")), "{env}");
    assert!(!env.contains("CARGO"), "{env}");
    until("it is counted", async || {
        Ok(scene.hooks().await?["succeeded"] == 1)
    })
    .await?;
    let wanted = json!({"running": 0, "succeeded": 1, "failed": 0, "dropped": 0});
    assert_eq!(scene.hooks().await?, wanted);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_program_and_its_arguments_and_no_shell_reads_them() -> Result<()> {
    let scene = Scene::start(TELLS, "").await?;
    let settings = std::fs::read_to_string(scene.place.home.settings())?;
    let hook = script(
        &scene.folder.path().join("other"),
        "printf '%s|' \"$@\" > args",
    )?;
    let list = format!("command: [{}, two words, \"$HOME\", '*']", hook.display());
    let line = settings.lines().find(|line| line.contains("command:"));
    let settings = settings.replace(line.context("a command")?.trim(), &list);
    std::fs::write(scene.place.home.settings(), settings)?;
    // What was set before holds until the file is taken, and not after.
    scene.bottle("web", 1_000).await?;
    scene.cutoff("web").await?;
    until("the first is told", async || Ok(scene.told()?.len() == 1)).await?;
    let taken = scene.result("settings.reload", json!({})).await?;
    assert_eq!(taken["applied"], true, "{taken}");
    scene.bottle("api", 1_000).await?;
    scene.cutoff("api").await?;
    until("the second is told", async || {
        Ok(!scene.file("args").is_empty())
    })
    .await?;
    assert_eq!(scene.file("args"), "two words|$HOME|*|");
    assert_eq!(scene.told()?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_events_in_a_second_the_first_and_the_last_are_told_and_the_rest_counted()
-> Result<()> {
    let more = concat!(
        "  events: [warned]\n",
        "budget:\n  claude:\n    limit: 1100\n    cap: soft\n",
        "    warn: [9, 18, 27, 36, 45, 54, 63, 72, 81, 90]\n",
    );
    let scene = Scene::start(TELLS, more).await?;
    let web = scene.bottle("web", 1_000_000).await?;
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(scene.spend(&web, 100).await?, 200);
    }
    let took = begun.elapsed();
    let last = |told: &[Value]| {
        told.last()
            .is_some_and(|it| it["text"].to_string().contains("90%"))
    };
    until("the last is told", async || Ok(last(&scene.told()?))).await?;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let told = scene.told()?;
    let text = told[0]["text"].to_string();
    assert!(text.contains(" 9%") && told[0]["skipped"] == 0, "{told:?}");
    let skipped: u64 = told.iter().filter_map(|it| it["skipped"].as_u64()).sum();
    assert_eq!(told.len() as u64 + skipped, 10, "{told:?}");
    // On a machine that is slow enough it is more than one second.
    assert!(
        told.len() as u64 <= 2 + took.as_secs(),
        "{took:?}: {told:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_too_long_is_killed_with_its_child() -> Result<()> {
    let scene = Scene::start(HANGS, "  timeout: 500ms\n").await?;
    scene.bottle("web", 1_000).await?;
    scene.cutoff("web").await?;
    until("it runs", async || Ok(scene.pids().len() == 2)).await?;
    let pids = scene.pids();
    until("it has failed", async || {
        Ok(scene.hooks().await?["failed"] == 1)
    })
    .await?;
    until("both are gone", async || {
        Ok(!pids.iter().any(|pid| runs(*pid)))
    })
    .await?;
    let last = scene.hooks().await?["last_failure"]["text"].to_string();
    assert!(
        last.contains("did not end within 500ms and was killed"),
        "{last}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_leaves_running_ends_with_it_and_a_flood_ends_it() -> Result<()> {
    let scene = Scene::start("sleep 100 & echo $! > pids", "").await?;
    scene.bottle("web", 1_000).await?;
    scene.cutoff("web").await?;
    until("it ended well", async || {
        Ok(scene.hooks().await?["succeeded"] == 1)
    })
    .await?;
    let pids = scene.pids();
    until("its child is gone", async || Ok(!runs(pids[0]))).await?;

    script(
        &scene.folder.path().join("hook"),
        "while :; do echo again and again; done",
    )?;
    scene.bottle("api", 1_000).await?;
    scene.cutoff("api").await?;
    until("it has failed", async || {
        Ok(scene.hooks().await?["failed"] == 1)
    })
    .await?;
    let last = scene.hooks().await?["last_failure"]["text"].to_string();
    assert!(last.contains("wrote more than 1048576 bytes"), "{last}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_charged_and_refused_while_as_many_commands_hang_as_may() -> Result<()> {
    let mut scene = Scene::start(HANGS, "  timeout: 10m\n").await?;
    scene.shorten_grace().await?;
    let web = scene.bottle("web", 2_000).await?;
    for number in 0..6 {
        let name = format!("b{number}");
        scene.bottle(&name, 1_000).await?;
        scene.cutoff(&name).await?;
    }
    until("four run", async || Ok(scene.pids().len() == 8)).await?;
    for _ in 0..4 {
        assert_eq!(scene.spend(&web, 500).await?, 200);
    }
    assert_eq!(scene.spend(&web, 500).await?, 400);
    let usage = scene
        .result("usage.query", json!({"bottle": "web", "by": "bottle"}))
        .await?;
    assert_eq!(usage["total"]["charge"], 2_000, "{usage}");
    let wanted = json!({"running": 4, "succeeded": 0, "failed": 0, "dropped": 0});
    assert_eq!(scene.hooks().await?, wanted);
    let pids = scene.pids();
    assert_eq!(pids.len(), 8);
    scene.end().await?;
    until("all are gone", async || {
        Ok(!pids.iter().any(|pid| runs(*pid)))
    })
    .await?;
    // Those that waited were not started any more.
    assert_eq!(scene.pids().len(), 8);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_a_command_has_the_grace_period_and_no_more() -> Result<()> {
    let body = "trap '' TERM INT HUP; echo $$ > pids; cat > new; sleep 0.7; mv new told";
    let mut scene = Scene::start(body, "").await?;
    scene.bottle("web", 1_000).await?;
    scene.cutoff("web").await?;
    until("it runs", async || Ok(scene.pids().len() == 1)).await?;
    let took = scene.end().await?;
    assert_eq!(scene.told()?.len(), 1);
    assert!(took < Duration::from_secs(8), "{took:?}");

    let mut scene = Scene::start(HANGS, "  timeout: 10m\n").await?;
    scene.shorten_grace().await?;
    scene.bottle("web", 1_000).await?;
    scene.cutoff("web").await?;
    until("it runs", async || Ok(scene.pids().len() == 2)).await?;
    let took = scene.end().await?;
    assert!(took >= Duration::from_millis(300), "{took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let pids = scene.pids();
    until("both are gone", async || {
        Ok(!pids.iter().any(|pid| runs(*pid)))
    })
    .await?;
    let log = std::fs::read_to_string(scene.place.home.log())?;
    assert!(log.contains("was killed: the controller ended"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_charged_after_a_crash_is_told() -> Result<()> {
    let mut scene = Scene::start(TELLS, "").await?;
    let web = scene.bottle("web", 100_000).await?;
    let slow = Script::slow(5_000, Duration::from_millis(20));
    scene.provider.enqueue(slow);
    let daemon = scene.daemon.take().context("a controller")?;
    let asked = ASKED.replace("{\"model\"", "{\"stream\":true,\"model\"");
    let headers = [("x-api-key", web.as_str())];
    let mut flowing = stream(&daemon.egress, Method::POST, PATH, &headers, asked).await?;
    flowing.read_until("content_block_delta").await?;
    daemon.kill()?;
    scene.daemon = Some(scene.place.start()?);
    until("it is told", async || Ok(!scene.told()?.is_empty())).await?;
    let told = scene.told()?;
    assert_eq!(told[0]["kind"], "recovered", "{told:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_in_the_status_the_doctor_and_the_log_and_run_no_command() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let body = "echo run >> runs; printf 'no\\033[31m bell\\n' >&2; exit 3";
    let hook = script(&folder.path().join("hook"), body)?;
    let more = format!("on_event:\n  command: {}\n", hook.display());
    let session = Session::begin(&more).await?;
    let said = |line: &str| -> Result<String> {
        Ok(String::from_utf8_lossy(&session.run(line)?.stdout).into_owned())
    };
    let before = said("bb-ctl status")?;
    assert!(
        before.contains("hooks       0 running, 0 ended well, 0 failed, 0 events left out"),
        "{before}"
    );
    said("bb-ctl register web && bb-ctl cutoff web --why x")?;
    until("it has failed", async || {
        Ok(said("bb-ctl status")?.contains("1 failed"))
    })
    .await?;
    let failure = format!("{}: ended with exit status: 3", hook.display());
    let status = said("bb-ctl status")?;
    assert!(
        status.contains("0 running, 0 ended well, 1 failed, 0 events left out; last failure "),
        "{status}"
    );
    assert!(status.contains(&failure), "{status}");
    let doctor = said("bb-ctl doctor")?;
    assert!(
        doctor.contains("warning  on_event: its command failed 1 times"),
        "{doctor}"
    );
    assert!(doctor.contains(&failure), "{doctor}");
    let shown = session.json("status")?;
    assert_eq!(shown[0]["hooks"]["failed"], 1, "{shown:?}");
    let log = std::fs::read_to_string(session.place.home.log())?;
    let line = log
        .lines()
        .find(|line| line.contains("a command at an event failed"));
    let line = line.with_context(|| log.clone())?;
    assert!(line.contains("no\\u{1b}[31m bell"), "{line}");

    // One that is not there is known where it is run, if it is below the home directory.
    let settings = std::fs::read_to_string(session.place.home.settings())?;
    let settings = settings.replace(&hook.display().to_string(), "~/no/such/hook-of-ours");
    std::fs::write(session.place.home.settings(), settings)?;
    said("bb-ctl settings reload")?;
    said("bb-ctl register api && bb-ctl cutoff api --why x")?;
    until("it has failed", async || {
        Ok(said("bb-ctl status")?.contains("2 failed"))
    })
    .await?;
    let status = said("bb-ctl status")?;
    assert!(
        status.contains("~/no/such/hook-of-ours: could not be started: No such file"),
        "{status}"
    );
    let runs = std::fs::read_to_string(session.place.home.path().join("runs"))?;
    assert_eq!(runs, "run\n");
    Ok(())
}
