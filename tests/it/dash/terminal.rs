//! A pseudo terminal with the dashboard in it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::ExitStatus;

use anyhow::{Context as _, Result, bail};
use bb_proto::home::Home;
use bb_tests::harness::WAIT_LIMIT;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use super::glass::Glass;

/// The dashboard.
const DASHBOARD: &str = env!("CARGO_BIN_EXE_it-dash");

/// A size in columns and rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub(super) u16, pub(super) u16);

pub(super) const USUAL: Size = Size(120, 40);

/// What came out so far.
struct Seen {
    glass: Glass,
    bytes: Vec<u8>,
}

impl Seen {
    fn written(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Returns the screen, if nothing is being drawn on it.
    fn shown(&self) -> Option<String> {
        let written = self.written();
        let is_whole = written.rfind("\u{1b}[?2026h") <= written.rfind("\u{1b}[?2026l");
        is_whole.then(|| self.glass.text())
    }
}

/// A terminal in which the dashboard runs; dropping it kills that.
pub(super) struct Terminal {
    child: Child,
    ours: File,
    theirs: File,
    seen: watch::Receiver<Seen>,
}

impl Terminal {
    /// Starts the dashboard of a home.
    pub(super) fn start(home: &Home, size: Size) -> Result<Self> {
        Self::run(Command::new(DASHBOARD).arg("--home").arg(home.path()), size)
    }

    /// Runs a program in a terminal.
    pub(super) fn run(command: &mut Command, Size(columns, rows): Size) -> Result<Self> {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&controller)?;
        unlockpt(&controller)?;
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, size)?;
        let name = ptsname(&controller, Vec::new())?;
        let theirs = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str()?)?;
        let child = command
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR")
            .stdin(theirs.try_clone()?)
            .stdout(theirs.try_clone()?)
            .stderr(theirs.try_clone()?)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        let ours = File::from(controller);
        let (tell, seen) = watch::channel(Seen {
            glass: Glass::new(columns.into(), rows.into()),
            bytes: Vec::new(),
        });
        let mut reader = ours.try_clone()?;
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                tell.send_modify(|seen| {
                    seen.glass.write(&chunk[..count]);
                    seen.bytes.extend_from_slice(&chunk[..count]);
                });
            }
        });
        Ok(Self {
            child,
            ours,
            theirs,
            seen,
        })
    }

    /// Presses keys.
    pub(super) fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.ours.write_all(keys.as_bytes())?)
    }

    /// Waits until the screen is so; returns it.
    pub(super) async fn wait_until(
        &mut self,
        what: &str,
        holds: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let find = |seen: &Seen| Some(seen.shown()?).filter(|shown| holds(shown));
        self.wait(what, find).await
    }

    /// Waits until the screen says something; returns it.
    pub(super) async fn wait_for(&mut self, words: &str) -> Result<String> {
        self.wait_until(words, |shown| shown.contains(words)).await
    }

    /// Waits until a line of the screen has all these words in this order; returns the screen.
    pub(super) async fn wait_for_line(&mut self, words: &[&str]) -> Result<String> {
        let has_all = |line: &str| {
            let mut rest = Some(line);
            for word in words {
                rest = rest.and_then(|rest| Some(rest.split_once(word)?.1));
            }
            rest.is_some()
        };
        let holds = |shown: &str| shown.lines().any(has_all);
        self.wait_until(&words.join(" … "), holds).await
    }

    /// Waits until this was written, wherever on the screen; returns all that was.
    pub(super) async fn wait_for_written(&mut self, words: &str) -> Result<String> {
        let find = |seen: &Seen| Some(seen.written()).filter(|all| all.contains(words));
        self.wait(words, find).await
    }

    async fn wait(&mut self, what: &str, find: impl Fn(&Seen) -> Option<String>) -> Result<String> {
        let found = self.seen.wait_for(|seen| find(seen).is_some());
        if let Ok(Ok(seen)) = tokio::time::timeout(WAIT_LIMIT, found).await
            && let Some(found) = find(&seen)
        {
            return Ok(found);
        }
        let text = self.seen.borrow().glass.text();
        bail!("{what:?} was not seen on\n{text}")
    }

    /// Whether the terminal takes lines and echoes them, as a shell leaves it.
    pub(super) fn is_cooked(&self) -> Result<bool> {
        let cooked = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        Ok(tcgetattr(&self.theirs)?.local_modes.contains(cooked))
    }

    /// Waits for the end; returns how it ended.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus> {
        let ended = tokio::time::timeout(WAIT_LIMIT, self.child.wait()).await;
        Ok(ended.context("it does not end")??)
    }
}
