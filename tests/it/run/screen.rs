//! A terminal with a shell in it: a tmux of its own.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::host::Host;

/// How long anything may take to be seen.
const LIMIT: Duration = Duration::from_mins(1);

/// What the shell says when it waits for a command.
const READY: &str = "ready$";

/// A terminal; its shell and all in it end with it.
#[derive(Debug)]
pub(super) struct Screen {
    socket: PathBuf,
}

/// A size in columns and rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub(super) u16, pub(super) u16);

impl Screen {
    /// Returns whether there is what makes terminals.
    pub(super) fn can_be() -> bool {
        Command::new("tmux").arg("-V").output().is_ok()
    }

    /// Opens a terminal in which a shell waits.
    pub(super) async fn open(host: &Host, Size(columns, rows): Size) -> Result<Self> {
        let screen = Self {
            socket: host.path("tmux"),
        };
        let mut command = screen.tmux();
        command
            .env_clear()
            .envs(host.environment())
            .args(["-f", "/dev/null", "new-session", "-d"])
            .args(["-x", &columns.to_string(), "-y", &rows.to_string()])
            .arg("-c")
            .arg(host.work())
            .arg(format!("exec env PS1='{READY} ' bash --norc --noprofile"));
        called(&mut command)?;
        screen.wait_for_prompt().await?;
        // What the terminal is like before anything was run in it.
        screen.line("stty -g > ../modes")?;
        screen.clear().await?;
        Ok(screen)
    }

    /// Clears the screen of a shell that waits, so that nothing on it is taken for what comes.
    pub(super) async fn clear(&self) -> Result<()> {
        self.line("clear")?;
        self.wait_for("an empty screen", |shown| shown.trim() == READY)
            .await
            .map(drop)
    }

    /// Types a line.
    pub(super) fn line(&self, text: &str) -> Result<()> {
        self.call(&["send-keys", "-l", text])?;
        self.key("Enter")
    }

    /// Presses a key, by tmux's name for it.
    pub(super) fn key(&self, name: &str) -> Result<()> {
        self.call(&["send-keys", name]).map(drop)
    }

    /// Types a line and waits until all of it is there, for programs that take time to read.
    pub(super) async fn slow_line(&self, text: &str) -> Result<()> {
        self.call(&["send-keys", "-l", text])?;
        self.wait_for(text, |shown| shown.contains(text)).await?;
        self.key("Enter")
    }

    /// Makes the window larger or smaller.
    pub(super) fn resize(&self, Size(columns, rows): Size) -> Result<()> {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let call = ["resize-window", "-x", &columns, "-y", &rows];
        self.call(&call).map(drop)
    }

    /// Returns what is on the screen.
    pub(super) fn shown(&self) -> Result<String> {
        self.call(&["capture-pane", "-p"])
    }

    /// Waits until the screen is so.
    pub(super) async fn wait_for(
        &self,
        what: impl fmt::Display,
        holds: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let waiting = async {
            loop {
                let shown = self.shown()?;
                if holds(&shown) {
                    return anyhow::Ok(shown);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(LIMIT, waiting).await {
            Ok(shown) => shown,
            Err(_) => bail!("{what} was not seen on\n{}", self.shown()?),
        }
    }

    /// Waits until the screen has this text.
    pub(super) async fn wait_for_text(&self, text: &str) -> Result<String> {
        self.wait_for(text, |shown| shown.contains(text)).await
    }

    /// Waits until the last line that is written on is that of a shell that waits.
    pub(super) async fn wait_for_prompt(&self) -> Result<String> {
        self.wait_for("the shell's prompt", |shown| {
            let mut lines = shown.lines().map(str::trim_end);
            lines.rfind(|line| !line.is_empty()) == Some(READY)
        })
        .await
    }

    /// Requires that the terminal is as before anything was run in it, with a shell that waits.
    pub(super) async fn expect_sane(&self) -> Result<()> {
        self.line("stty -g | cmp - ../modes && echo the modes are those before")?;
        self.wait_for("the modes", |shown| {
            shown
                .lines()
                .any(|line| line == "the modes are those before")
        })
        .await?;
        let flags = "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{keypad_flag} \
                     #{keypad_cursor_flag} #{insert_flag} #{wrap_flag}";
        let flags = self.call(&["display-message", "-p", flags])?;
        ensure!(flags.trim() == "0 1 0 0 0 0 1", "{flags}");
        Ok(())
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new("tmux");
        command.env_remove("TMUX").arg("-S").arg(&self.socket);
        command
    }

    fn call(&self, arguments: &[&str]) -> Result<String> {
        called(self.tmux().args(arguments))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.call(&["kill-server"]).ok();
    }
}

fn called(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
