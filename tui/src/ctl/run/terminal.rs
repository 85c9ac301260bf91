//! The terminal: whose it is, and the modes to leave it in.
//!
//! The command's process group is made the foreground group, as a shell does with a job, so that
//! what the keyboard and the window say reaches it directly. On every way out the terminal comes
//! back with the modes it had.

use std::fs::{File, OpenOptions};
use std::io::IsTerminal as _;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

use super::process;
use crate::ctl::output;

/// The terminal that controls us, and what is to be known for lending it.
#[derive(Debug)]
pub(super) struct Terminal {
    file: File,
    ours: Pid,
    child: Pid,
    /// As they were when it was lent; nothing where it is not.
    modes: Option<Termios>,
    /// As the child had them when it stopped.
    child_modes: Option<Termios>,
    /// Whether it is the child's standard input, and so is lent without being asked for.
    pub(super) is_input: bool,
}

impl Terminal {
    /// Opens the terminal that controls us, if there is one.
    pub(super) fn open(child: Pid) -> Option<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .ok()?;
        Some(Self {
            file,
            ours: getpgrp(),
            child,
            modes: None,
            child_modes: None,
            is_input: std::io::stdin().is_terminal(),
        })
    }

    /// Returns whether our group is in the foreground.
    pub(super) fn is_ours(&self) -> bool {
        tcgetpgrp(&self.file) == Ok(self.ours)
    }

    /// Returns whether the child's group is in the foreground.
    pub(super) fn is_the_childs(&self) -> bool {
        tcgetpgrp(&self.file) == Ok(self.child)
    }

    /// Puts the child's group into the foreground, if it is ours to do.
    pub(super) fn lend(&mut self) {
        if !self.is_ours() {
            return;
        }
        self.modes = tcgetattr(&self.file).ok();
        if let Some(modes) = &self.child_modes {
            self.set_modes(modes);
        }
        self.set_foreground(self.child);
    }

    /// Takes it back, with the modes it had, unless a shell has done so before us.
    ///
    /// Returns whether it came from the child or one of the child's own jobs.
    pub(super) fn take_back(&mut self) -> bool {
        let (Some(modes), Ok(front)) = (self.modes.take(), tcgetpgrp(&self.file)) else {
            return false;
        };
        if front == self.ours || process::is_group_of_an_ancestor(front) {
            return false;
        }
        self.child_modes = tcgetattr(&self.file).ok();
        self.set_foreground(self.ours);
        self.set_modes(&modes);
        true
    }

    /// Takes it back from a child that had no time to tidy up.
    pub(super) fn take_back_tidied(&mut self) {
        if self.take_back() {
            // A terminal that cannot be written to shows nothing to tidy either.
            output::terminal_modes_off(&mut self.file).ok();
        }
    }

    fn set_foreground(&self, group: Pid) {
        // A terminal that is gone has no foreground.
        without_ttou(|| tcsetpgrp(&self.file, group)).ok();
    }

    fn set_modes(&self, modes: &Termios) {
        // A terminal that is gone has no modes.
        without_ttou(|| tcsetattr(&self.file, SetArg::TCSANOW, modes)).ok();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.take_back();
    }
}

/// Does what a background group would be stopped for.
fn without_ttou<T>(act: impl FnOnce() -> nix::Result<T>) -> nix::Result<T> {
    let mut ttou = SigSet::empty();
    ttou.add(Signal::SIGTTOU);
    let before = ttou.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let result = act();
    before.thread_set_mask()?;
    result
}
