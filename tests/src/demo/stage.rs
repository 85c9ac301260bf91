//! What the demo is played on: a home that is gone afterwards, the provider, the controller, a
//! `bb-ctl run` a bottle, the dashboard. All are children of this process and known by their ids.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bb_proto::home::Home;
use bb_proto::ids::BottleName;
use bb_proto::request::{BottleShow, BottleStop, Health};
use bb_proto::units::Tokens;
use bb_proto::view::{Bottle, BottleState};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::cast::{CAST, Part, RUNAWAY, SETTINGS};
use crate::harness::{REAL_KEY, call};
use crate::provider::{On, Options, Provider};

/// How long a program may take until it does what it is for, and until it has ended.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Everything that runs.
#[derive(Debug)]
pub(super) struct Stage {
    programs: PathBuf,
    folder: TempDir,
    home: Home,
    provider: Option<Provider>,
    controller: Option<Child>,
    bottles: Vec<(&'static Part, Child)>,
    dashboard: Option<Child>,
}

impl Stage {
    /// Makes a folder for it; nothing runs yet.
    pub(super) fn new() -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("finding this program")?;
        let folder = tempfile::Builder::new()
            .prefix("bb-demo-")
            .tempdir()
            .context("making a folder for the demo")?;
        Ok(Self {
            programs: this.parent().unwrap_or(Path::new(".")).to_owned(),
            home: Home::new(folder.path().join("home")),
            folder,
            provider: None,
            controller: None,
            bottles: Vec::new(),
            dashboard: None,
        })
    }

    /// Starts all but the dashboard.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        let provider = Provider::start_with(Options {
            key: Some(REAL_KEY.to_owned()),
            calls_kept: 1,
            ..Options::default()
        })
        .await?;
        for part in &CAST {
            provider.set_script_on(On::Model(part.model.to_owned()), part.script());
        }
        self.write_settings(&provider.url())?;
        self.provider = Some(provider);
        self.start_controller().await?;
        for part in &CAST {
            let bottle = self.start_bottle(part)?;
            self.bottles.push((part, bottle));
        }
        for part in &CAST {
            let runs = |bottle: &Bottle| bottle.state == BottleState::Running;
            self.wait_for(part.name, "running", LIMIT, runs).await?;
        }
        Ok(())
    }

    fn write_settings(&self, upstream: &str) -> anyhow::Result<()> {
        let key = self.folder.path().join("key");
        std::fs::write(&key, REAL_KEY).context("writing the provider's key")?;
        let settings = settings(upstream, &key);
        std::fs::create_dir_all(self.home.path())
            .and_then(|()| std::fs::write(self.home.settings(), settings))
            .context("writing the settings")
    }

    async fn start_controller(&mut self) -> anyhow::Result<()> {
        let said = self.folder.path().join("controller.err");
        let stderr = std::fs::File::create(&said).context("making a file")?;
        let mut command = self.command("bb-controller");
        // Groups of their own: Ctrl-C is for this process, which ends them in order.
        command.stdin(Stdio::null()).stderr(stderr).process_group(0);
        self.controller = Some(command.spawn().context("starting bb-controller")?);
        let answers = tokio::time::timeout(LIMIT, async {
            while call(&self.home, Health {}).await.is_err() {
                let controller = self.controller.as_mut().context("no controller")?;
                if let Some(status) = controller.try_wait()? {
                    let why = std::fs::read_to_string(&said).unwrap_or_default();
                    bail!("bb-controller ended with {status}: {why}");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Ok(())
        });
        answers.await.context("bb-controller does not answer")?
    }

    fn start_bottle(&self, part: &Part) -> anyhow::Result<Child> {
        let said = std::fs::File::create(self.said_by(part.name)).context("making a file")?;
        let mut command = self.command("bb-ctl");
        command
            .args(["run", "--client", "sdk", "--name", part.name])
            .args(part.launch)
            .arg("--")
            .arg(self.programs.join("demo"))
            .args(["agent", part.name])
            .stdin(Stdio::null())
            .stdout(said.try_clone().context("making a file")?)
            .stderr(said)
            .process_group(0);
        command
            .spawn()
            .with_context(|| format!("starting {}", part.name))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env("BB_HOME", self.home.path());
        command
    }

    fn said_by(&self, bottle: &str) -> PathBuf {
        self.folder.path().join(format!("{bottle}.log"))
    }

    /// Opens the dashboard and waits until the viewer leaves it.
    pub(super) async fn show_dashboard(&mut self) -> anyhow::Result<()> {
        // It begins at the most urgent row, which is the runaway's from its first charge on.
        let charged = |bottle: &Bottle| bottle.used_total > Tokens::ZERO;
        self.wait_for(RUNAWAY, "charged", LIMIT, charged).await?;
        let spawned = self.command("bb-dash").spawn();
        let dashboard = self.dashboard.insert(spawned.context("starting bb-dash")?);
        let status = dashboard.wait().await.context("waiting for bb-dash")?;
        self.dashboard = None;
        if !status.success() {
            bail!("bb-dash ended with {status}");
        }
        Ok(())
    }

    /// Waits until something holds for a bottle, and says what does not where it takes too long.
    pub(super) async fn wait_for(
        &self,
        bottle: &str,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Bottle) -> bool,
    ) -> anyhow::Result<()> {
        let name: BottleName = bottle.parse()?;
        let reached = tokio::time::timeout(limit, async {
            loop {
                let name = name.clone();
                // One that is not registered yet is not found.
                let shown = call(&self.home, BottleShow { name }).await;
                if shown.is_ok_and(|shown| holds(&shown.bottle)) {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        let seconds = limit.as_secs();
        reached.await.with_context(|| {
            let words = self.last_words(bottle).unwrap_or_default();
            format!("{bottle} is not {what} after {seconds} s; it said last: {words}")
        })
    }

    /// Returns the last line that the agent in a bottle wrote.
    pub(super) fn last_words(&self, bottle: &str) -> anyhow::Result<String> {
        let said = std::fs::read_to_string(self.said_by(bottle))
            .with_context(|| format!("reading what {bottle} said"))?;
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }

    /// Runs `bb-ctl` and returns what it prints.
    pub(super) async fn ask(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.command("bb-ctl");
        command.args(arguments).stdin(Stdio::null());
        let output = command.output().await.context("running bb-ctl")?;
        if !output.status.success() {
            bail!("bb-ctl ended with {}: {:?}", output.status, output.stderr);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends everything, in order, and removes the folder.
    pub(super) async fn clear(mut self) -> anyhow::Result<()> {
        if let Some(dashboard) = &mut self.dashboard {
            end(dashboard).await?;
        }
        self.stop_bottles().await;
        for (_, bottle) in &mut self.bottles {
            end(bottle).await?;
        }
        if let Some(controller) = &mut self.controller {
            end(controller).await?;
        }
        if let Some(provider) = &self.provider {
            provider.stop().await;
        }
        let path = self.folder.path().to_owned();
        self.folder
            .close()
            .with_context(|| format!("removing {}", path.display()))
    }

    /// Has the controller end the agents; those of a controller that does not answer end with the
    /// `bb-ctl` that runs them.
    async fn stop_bottles(&self) {
        for (part, _) in &self.bottles {
            let Ok(name) = part.name.parse() else {
                continue;
            };
            let order = BottleStop {
                names: vec![name],
                ..BottleStop::default()
            };
            if call(&self.home, order).await.is_err() {
                return;
            }
        }
    }
}

/// Returns the settings of the demo's host.
pub(super) fn settings(upstream: &str, key: &Path) -> String {
    let key = key.display();
    let providers: String = ["claude", "codex", "gemini"]
        .map(|name| format!("  {name}:\n    upstream: {upstream}\n    credential: file:{key}\n"))
        .concat();
    format!("{SETTINGS}providers:\n{providers}")
}

/// Tells a child to end, and ends it where it does not.
async fn end(child: &mut Child) -> anyhow::Result<()> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(pid) = id.and_then(Pid::from_raw) {
        // It may have ended by itself meanwhile.
        kill_process(pid, Signal::TERM).ok();
    }
    if tokio::time::timeout(LIMIT, child.wait()).await.is_err() {
        child.kill().await.context("ending a program")?;
    }
    Ok(())
}
