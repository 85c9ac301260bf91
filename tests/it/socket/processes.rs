//! Bottles that have a process on this host.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::raw::Raw;
use super::system;

/// A process group of its own; whatever is left of it goes with the test.
pub(crate) struct Group(Child);

impl Group {
    pub(crate) fn spawn(script: &str) -> Result<Self> {
        let child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Returns the process as `bottle.register` takes it.
    pub(crate) fn process(&self) -> Result<Value> {
        let pid = self.pid();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').context("a stat line")?;
        let ticks = fields.split_ascii_whitespace().nth(19).context("a start")?;
        Ok(json!({"pid": pid, "start_ticks": ticks.parse::<u64>()?}))
    }

    /// Waits for its end; returns the signal that ended it.
    pub(crate) fn signal(&mut self) -> Result<Option<i32>> {
        Ok(self.0.wait()?.signal())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = rustix::process::Pid::from_raw(self.pid().cast_signed()) {
            // One that is gone is what is wanted.
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        drop(self.0.wait());
    }
}

async fn until_state(raw: &mut Raw, name: &str, state: &str) -> Result<Value> {
    let begun = Instant::now();
    loop {
        let shown = raw.result("bottle.show", json!({"name": name})).await?;
        if shown["bottle"]["state"] == state {
            return Ok(shown["bottle"].clone());
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{shown}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_ends_its_bottle_and_who_knows_how_may_say() -> Result<()> {
    let (_system, mut raw) = system().await?;
    let group = Group::spawn("read x; exit 7")?;
    let params = json!({"name": "web", "process": group.process()?});
    let web = raw.result("bottle.register", params).await?;
    drop(group);
    let ended = until_state(&mut raw, "web", "stopped").await?;
    assert_eq!(ended.get("exit_code"), None);
    assert!(ended["ended_at"].is_i64(), "{ended}");
    let said = json!({"name": "web", "run": web["run"], "exit_code": 7});
    let acted = raw.result("bottle.ended", said).await?;
    assert_eq!(acted["targets"][0]["observed"], "failed");
    let other =
        json!({"name": "web", "run": "019aa0b2-6f00-7000-8000-0000000000a1", "exit_code": 0});
    let (word, _) = raw.refused("bottle.ended", other).await?;
    assert_eq!(word, "conflict");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_reaches_the_whole_group_and_asks_before_it_kills() -> Result<()> {
    let (_system, mut raw) = system().await?;
    let mut polite = Group::spawn("sleep 1000 & wait")?;
    let mut deaf = Vec::new();
    let register =
        |name: &str, group: &Group| anyhow::Ok(json!({"name": name, "process": group.process()?}));
    raw.result("bottle.register", register("polite", &polite)?)
        .await?;
    for number in 0..3 {
        // Neither the shell nor its child hears the request.
        let group = Group::spawn("trap '' TERM; sleep 1000; sleep 1000")?;
        let name = format!("deaf{number}");
        raw.result("bottle.register", register(&name, &group)?)
            .await?;
        deaf.push(group);
    }
    let begun = Instant::now();
    let stopped = raw
        .result("bottle.stop", json!({"names": ["polite"]}))
        .await?;
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    let target = &stopped["targets"][0];
    assert_eq!(
        (&target["changed"], &target["observed"]),
        (&json!(true), &json!("stopped"))
    );
    assert_eq!(polite.signal()?, Some(15));

    let begun = Instant::now();
    let names = json!({"names": ["deaf0", "deaf1", "deaf2"]});
    let stopped = raw.result("bottle.stop", names.clone()).await?;
    // One after the other they would take nine seconds.
    assert!(
        begun.elapsed() < Duration::from_secs(7),
        "{:?}",
        begun.elapsed()
    );
    for target in stopped["targets"].as_array().context("targets")? {
        assert_eq!(target["observed"], "stopped", "{target}");
        assert!(target["took_us"].as_u64() > Some(2_900_000), "{target}");
    }
    for group in &mut deaf {
        assert_eq!(group.signal()?, Some(9));
    }
    let again = raw.result("bottle.stop", names).await?;
    assert!(
        again["targets"]
            .as_array()
            .context("targets")?
            .iter()
            .all(|t| t["changed"] == false)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_another_one_is_not_touched() -> Result<()> {
    let (_system, mut raw) = system().await?;
    let mut group = Group::spawn("sleep 1000")?;
    let mut process = group.process()?;
    process["start_ticks"] = json!(1);
    // An id that was taken over: the bottle's process is gone, and this one is somebody else's.
    raw.result(
        "bottle.register",
        json!({"name": "web", "process": process}),
    )
    .await?;
    until_state(&mut raw, "web", "stopped").await?;
    assert!(group.0.try_wait()?.is_none());
    Ok(())
}
