//! A real terminal to test in: a tmux of its own.

use std::path::PathBuf;
use std::process::Command;

use crate::session::{Session, executable, wait_or_say};

/// A terminal with a program in it.
#[derive(Debug)]
pub(crate) struct Tmux {
    socket: PathBuf,
}

impl Tmux {
    /// Opens a terminal in which a program runs; `None`, and a word about it, without tmux.
    pub(crate) fn open(session: &Session, program: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("skipped: there is no tmux to make a terminal with");
            return None;
        }
        let tmux = Self {
            socket: session.path("tmux"),
        };
        let environment = format!(
            "env -i PATH={}:{} HOME={dir} BB_HOME={home} TERM=screen PS1='ready$ ' {program}",
            executable().parent().expect("a directory").display(),
            session.search_path(),
            dir = session.path("").display(),
            home = session.home().display(),
        );
        tmux.call(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            &environment,
        ]);
        Some(tmux)
    }

    /// Types text and then keys, by tmux's names for them.
    pub(crate) fn type_in(&self, text: &str, keys: &[&str]) {
        if !text.is_empty() {
            self.call(&["send-keys", "-l", text]);
        }
        for key in keys {
            self.call(&["send-keys", key]);
        }
    }

    /// Types a line.
    pub(crate) fn line(&self, text: &str) {
        self.type_in(text, &["Enter"]);
    }

    /// Waits until the screen has a line that is exactly this.
    pub(crate) fn wait_for_line(&self, line: &str) {
        wait_or_say(
            || format!("{line:?} on\n{}", self.screen()),
            || {
                self.screen()
                    .lines()
                    .any(|shown| shown == line)
                    .then_some(())
            },
        );
    }

    /// Waits until the screen has this text anywhere.
    pub(crate) fn wait_for_text(&self, text: &str) {
        wait_or_say(
            || format!("{text:?} on\n{}", self.screen()),
            || self.screen().contains(text).then_some(()),
        );
    }

    /// Waits until a value of tmux's own is this.
    pub(crate) fn wait_for_value(&self, format: &str, value: &str) {
        wait_or_say(
            || format!("{format} = {value}, is {}", self.value(format)),
            || (self.value(format) == value).then_some(()),
        );
    }

    fn value(&self, format: &str) -> String {
        self.call(&["display-message", "-p", format])
            .trim()
            .to_owned()
    }

    /// Returns the terminal's device.
    pub(crate) fn device(&self) -> String {
        self.value("#{pane_tty}")
    }

    /// Returns what is on the screen.
    pub(crate) fn screen(&self) -> String {
        self.call(&["capture-pane", "-p"])
    }

    /// Makes the window larger or smaller.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.call(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    fn call(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .env_remove("TMUX")
            .arg("-S")
            .arg(&self.socket)
            .args(arguments)
            .output()
            .expect("tmux");
        assert!(
            output.status.success(),
            "tmux {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .arg("kill-server")
            .output()
            .ok();
    }
}
