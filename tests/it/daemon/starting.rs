//! Starting, and the reasons not to.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use bb_proto::home::Home;
use bb_tests::harness::Daemon;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use crate::home::{CONTROLLER, Place, skipped};
use crate::socket::raw::Raw;

/// A controller whose standard error is a terminal.
struct OnTerminal {
    child: Child,
    terminal: std::fs::File,
}

impl OnTerminal {
    fn start(home: &Home) -> Result<Self> {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&controller)?;
        unlockpt(&controller)?;
        let name = ptsname(&controller, Vec::new())?;
        let user = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str()?)?;
        let child = Command::new(CONTROLLER)
            .arg("--home")
            .arg(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(user)
            .spawn()?;
        Ok(Self {
            child,
            terminal: controller.into(),
        })
    }

    /// Reads lines until one holds `needle`.
    fn read_until(&mut self, needle: &str) -> Result<String> {
        let mut said = Vec::new();
        let mut byte = [0];
        loop {
            self.terminal
                .read_exact(&mut byte)
                .with_context(|| String::from_utf8_lossy(&said).into_owned())?;
            said.extend(byte);
            let text = String::from_utf8_lossy(&said);
            if byte == *b"\n" && text.contains(needle) {
                return Ok(text.into_owned());
            }
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_settings_it_says_in_red_that_nothing_is_limited() -> Result<()> {
    // Without settings it listens where everybody looks for it.
    if TcpListener::bind("127.0.0.1:7717").is_err() {
        skipped("port 7717 is in use");
        return Ok(());
    }
    let place = Place::alone()?;
    std::fs::remove_file(place.home.settings())?;
    let mut controller = OnTerminal::start(&place.home)?;
    let said = controller.read_until("no settings file")?;
    assert!(said.contains("egress http://127.0.0.1:7717,"), "{said}");
    let red = said.lines().last().unwrap_or_default();
    assert!(red.starts_with("\u{1b}[31mno settings file: "), "{red:?}");
    assert!(red.contains("nothing is limited"), "{red:?}");
    assert!(red.trim_end().ends_with("\u{1b}[0m"), "{red:?}");

    let mut raw = Raw::connect(&place.home).await?;
    let health = raw.result("health", json!({})).await?;
    assert_eq!(health["ok"], true);
    let findings = health["findings"].to_string();
    assert!(findings.contains("no settings file"), "{findings}");
    let registered = raw
        .result("bottle.register", json!({"name": "web"}))
        .await?;
    assert_eq!(registered["base_url"], "http://127.0.0.1:7717");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_settings_and_no_terminal_it_says_nothing_in_colours() -> Result<()> {
    let place = Place::alone()?;
    let daemon = place.start()?;
    let (status, said) = daemon.terminate()?;
    assert!(status.success(), "{status}");
    assert_eq!(said, "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn five_mistakes_in_the_settings_are_told_at_once_and_nothing_is_bound() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    // The port is in use: had it been bound first, that would be the reason.
    let place = Place::with_settings(&format!(
        "budget:\n  claud: 5M\n  codex: -1\nshutdown: explode\negress:\n  listen: 127.0.0.1:{port}\n  grace: soon\nbottels:\n  web:\n    parent: base\n"
    ))?;
    let (code, said) = place.fails_to_start().await?;
    assert_eq!(code, Some(2), "{said}");
    let mut lines = said.lines();
    assert_eq!(
        lines.next(),
        Some("error: 5 mistakes in the settings /home/settings.yml")
    );
    let places: Vec<&str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("/home/settings.yml:"))
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(places, ["2:3", "3:10", "4:11", "7:10", "8:1"], "{said}");
    assert!(said.contains("claude"), "{said}");
    assert!(!place.home.socket().exists());
    assert!(!place.home.database().exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_the_home_stays_usable() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    let place = Place::with_settings(&format!("egress:\n  listen: {address}\n"))?;
    let (code, said) = place.fails_to_start().await?;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with(&format!(
            "error: listening on {address}: Address already in use"
        )),
        "{said}"
    );
    assert!(said.contains("\nhint: choose another port"), "{said}");
    assert!(!place.home.socket().exists());
    drop(taken);
    let daemon = place.start()?;
    assert_eq!(daemon.egress, address.to_string());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_too_deep_for_a_socket_is_refused_in_words_and_left_alone() -> Result<()> {
    let place = Place::alone()?;
    let deep = place.folder().join("x".repeat(100));
    let output = crate::home::to_the_end(
        tokio::process::Command::new(CONTROLLER)
            .arg("--home")
            .arg(&deep),
    )
    .await?;
    let said = place.plain(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("more than the 107 that a Unix socket may have"),
        "{said}"
    );
    assert!(said.contains("choose a shorter home with --home"), "{said}");
    assert!(!deep.exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_names_the_first_and_leaves_it_unharmed() -> Result<()> {
    let place = Place::alone()?;
    let first = place.start()?;
    let mut raw = Raw::connect(&place.home).await?;
    let (code, said) = place.fails_to_start().await?;
    assert_eq!(code, Some(1));
    assert_eq!(
        said,
        format!(
            "error: a controller already runs on /home (pid {})\nhint: bb-ctl status shows it; bb-ctl shutdown ends it\n",
            first.pid()
        )
    );
    let hello = raw.result("hello", json!({})).await?;
    assert_eq!(hello["pid"], first.pid());
    let again = Raw::connect(&place.home)
        .await?
        .result("hello", json!({}))
        .await?;
    assert_eq!(again["pid"], first.pid());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_start_at_once_one_serves() -> Result<()> {
    let place = Place::alone()?;
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let home = place.home.clone();
            tokio::task::spawn_blocking(move || Daemon::start(Path::new(CONTROLLER), &home, &[]))
        })
        .collect();
    let mut serving = Vec::new();
    for start in starts {
        match start.await? {
            Ok(daemon) => serving.push(daemon),
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("a controller already runs on"), "{said}");
            }
        }
    }
    let [one] = serving.as_slice() else {
        panic!("{} serve", serving.len())
    };
    let hello = Raw::connect(&place.home)
        .await?
        .result("hello", json!({}))
        .await?;
    assert_eq!(hello["pid"], one.pid());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_a_killed_one_left_is_replaced() -> Result<()> {
    let place = Place::alone()?;
    place.start()?.kill()?;
    assert!(place.home.socket().exists());
    let daemon = place.start()?;
    let hello = Raw::connect(&place.home)
        .await?
        .result("hello", json!({}))
        .await?;
    assert_eq!(hello["pid"], daemon.pid());
    Ok(())
}
