//! A controller that has nothing to do.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bb_tests::harness::send;
use bb_tests::provider::{Provider, Script};
use http::Method;
use serde_json::json;

use crate::home::Place;
use crate::socket::raw::Raw;

/// How long it is watched.
const SPAN: Duration = Duration::from_secs(4);

/// How often the threads of a process were woken, and the clock ticks they ran.
fn work(pid: u32) -> Result<(u64, u64)> {
    let (mut woken, mut ticks) = (0, 0);
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let path: PathBuf = thread?.path();
        let status = std::fs::read_to_string(path.join("status"))?;
        let switches = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        woken += switches.context("switches")?.trim().parse::<u64>()?;
        let stat = std::fs::read_to_string(path.join("stat"))?;
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .context("a stat line")?
            .1
            .split_ascii_whitespace()
            .collect();
        for field in [11, 12] {
            ticks += fields.get(field).context("a field")?.parse::<u64>()?;
        }
    }
    Ok((woken, ticks))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_with_nothing_to_do_sleeps() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let place = Place::before(&provider, "budget:\n  claude: 5M\n")?;
    let daemon = place.start()?;
    // Somebody has worked, somebody looks: neither keeps it awake.
    let mut raw = Raw::connect(&place.home).await?;
    let web = raw
        .result("bottle.register", json!({"name": "web"}))
        .await?;
    let token = web["token"].as_str().context("a token")?;
    let headers = [("x-api-key", token)];
    let body = r#"{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}"#;
    let path = "/claude/v1/messages";
    let answer = send(&daemon.egress, Method::POST, path, &headers, body).await?;
    assert_eq!(answer.status, 200);
    let mut watching = Raw::connect(&place.home).await?;
    watching.result("events.watch", json!({})).await?;

    let (woken_before, ticks_before) = work(daemon.pid())?;
    tokio::time::sleep(SPAN).await;
    let (woken, ticks) = work(daemon.pid())?;
    let (woken, ticks) = (woken - woken_before, ticks - ticks_before);
    println!("woken {woken} times in {SPAN:?}, {ticks} ticks");
    assert!(
        woken <= 5 * SPAN.as_secs(),
        "woken {woken} times in {SPAN:?}"
    );
    assert!(ticks <= SPAN.as_secs(), "{ticks} ticks in {SPAN:?}");
    Ok(())
}
