//! mitmproxy as `scripts/clients` installed it, in a process of its own, with our addon.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use bb_proto::home::Home;
use bb_tests::harness::WAIT_LIMIT;
use bb_tests::provider::Provider;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::home::skipped;

/// A proxy that is killed with the test.
pub(super) struct Mitmproxy {
    /// Where it listens.
    pub(super) address: String,
    child: Child,
    stdout: BufReader<ChildStdout>,
    _folder: TempDir,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Mitmproxy {
    /// Starts it before a provider, for the bottle `web` of a home; none where it is not installed.
    pub(super) async fn start(
        home: &Home,
        provider: &Provider,
        name: &str,
        more: &[&str],
    ) -> Result<Option<Self>> {
        let installed = root().join(".cache/clients/mitmproxy");
        if !installed.join("version").exists() {
            skipped("mitmproxy is not there; scripts/clients installs it");
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let mut child = Command::new(installed.join("bin/mitmdump"))
            .args(["--listen-host", "127.0.0.1", "--listen-port", "0"])
            .arg("--mode")
            .arg(format!("reverse:{}", provider.url()))
            .arg("-s")
            .arg(root().join("scripts/mitmproxy_addon.py"))
            .args(["--set", "connection_strategy=lazy"])
            .args(["--set", "bb_bottle=web"])
            .args(["--set", &format!("bb_provider={name}")])
            .args(["--set", &format!("confdir={}", folder.path().display())])
            .args(more)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", folder.path())
            .env("BB_HOME", home.path())
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .context("starting mitmdump")?;
        let mut stdout = BufReader::new(child.stdout.take().context("its output")?);
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            let read = tokio::time::timeout(WAIT_LIMIT, stdout.read_line(&mut said));
            ensure!(read.await?? > 0, "mitmdump ended: {said}");
            let line = said.get(before..).unwrap_or_default();
            if let Some((_, at)) = line.split_once("listening at ") {
                break at.trim().trim_end_matches('.').to_owned();
            }
        };
        Ok(Some(Self {
            address,
            child,
            stdout,
            _folder: folder,
        }))
    }

    /// Waits for it to end by itself; returns what it said.
    pub(super) async fn finish(mut self) -> Result<String> {
        let mut said = String::new();
        let read = tokio::time::timeout(WAIT_LIMIT, self.stdout.read_to_string(&mut said));
        read.await.context("mitmdump goes on")??;
        self.child.wait().await?;
        Ok(said)
    }

    /// Ends it, and fails where the addon failed.
    pub(super) async fn end(self) -> Result<()> {
        let pid = self.child.id().context("it has ended")?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("a process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let said = self.finish().await?;
        let is_well = !said.contains("Traceback") && !said.contains("crashed");
        ensure!(is_well, "{said}");
        Ok(())
    }
}
