//! The command as a job: seen through to its end, stopped and continued with us.
//!
//! One thread, one loop: it waits for a signal, and looks what became of the child. What another
//! process sends to us goes on to the child's group. What the keyboard sends goes to the
//! foreground group, which is the child's; only where we could not give it the terminal (pipes)
//! do we get it, and pass it on.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp};

use super::held::{Held, Plan};
use super::terminal::Terminal;
use crate::ctl::exit::{Exit, Failure};

/// What is passed on to the child's group.
const PASSED_ON: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGTSTP,
    Signal::SIGWINCH,
];

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    With(u8),
    BySignal(Signal),
}

impl Ended {
    /// Returns the code that a shell would give it.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::With(code) => code,
            Self::BySignal(signal) => 128 + u8::try_from(signal as i32).unwrap_or(0),
        }
    }
}

/// Fails where the system is told not to say how children end: it would be waited for in vain.
pub(super) fn check_that_ends_are_seen() -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if ignores(&status, Signal::SIGCHLD) {
        return Err(Failure::new(
            Exit::RUN_FAILED,
            "failed",
            "SIGCHLD is ignored, so the end of the command could not be seen",
        )
        .with_hint("whoever starts bb-ctl must not ignore SIGCHLD"));
    }
    Ok(())
}

/// Reads from `/proc/PID/status` whether a signal is ignored.
fn ignores(status: &str, signal: Signal) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (signal as i32 - 1)) != 0)
}

/// Lets the held child become the command, and sees it through to its end.
pub(super) fn see_through(held: Held, plan: &Plan) -> Result<Ended, Failure> {
    let lost = |errno: Errno| {
        Failure::new(
            Exit::RUN_FAILED,
            "failed",
            format!("the command was lost sight of: {errno}"),
        )
    };
    let mut signals: SigSet = PASSED_ON.into_iter().collect();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGCONT);
    // The child was spawned before, and so does not inherit this.
    signals.thread_block().map_err(lost)?;
    let mut job = Job {
        child: held.pid(),
        terminal: Terminal::open(held.pid()),
        stopped: false,
    };
    job.lend_if_input();
    if held.release(plan).is_err() {
        // It died before it was told anything; the wait below says of what.
        job.pass_on(Signal::SIGKILL);
    }
    loop {
        if let Some(ended) = job.look().map_err(lost)? {
            return Ok(ended);
        }
        match signals.wait().map_err(lost)? {
            Signal::SIGCHLD => {}
            Signal::SIGCONT => job.woken(),
            signal => job.pass_on(signal),
        }
    }
}

#[derive(Debug)]
struct Job {
    /// The child, which leads its group.
    child: Pid,
    terminal: Option<Terminal>,
    stopped: bool,
}

impl Job {
    /// Looks what became of the child; returns how it ended, if it has.
    fn look(&mut self) -> nix::Result<Option<Ended>> {
        loop {
            let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
            match waitpid(self.child, Some(flags))? {
                WaitStatus::StillAlive => return Ok(None),
                WaitStatus::Exited(_, code) => {
                    if let Some(terminal) = &mut self.terminal {
                        terminal.take_back();
                    }
                    return Ok(Some(Ended::With(u8::try_from(code).unwrap_or(1))));
                }
                WaitStatus::Signaled(_, signal, _) => {
                    if let Some(terminal) = &mut self.terminal {
                        terminal.take_back_tidied();
                    }
                    return Ok(Some(Ended::BySignal(signal)));
                }
                WaitStatus::Stopped(_, signal) => self.child_stopped(signal),
                _ => {}
            }
        }
    }

    /// The child stopped: so do we and all of our group, and the shell gets its terminal.
    fn child_stopped(&mut self, signal: Signal) {
        let Some(terminal) = &mut self.terminal else {
            // Nobody's job: whoever stopped it will continue it.
            return;
        };
        if matches!(signal, Signal::SIGTTIN | Signal::SIGTTOU) {
            if terminal.is_ours() {
                terminal.lend();
                self.continue_child();
                return;
            }
        } else if signal == Signal::SIGSTOP && !terminal.is_the_childs() {
            return;
        }
        terminal.take_back();
        self.stopped = true;
        // The whole group, as the keyboard would: a script that waits for us stops with us.
        stop_our_group();
        // We are back in the foreground, or never stopped, because no shell watches this group:
        // then there is nobody to continue the child but us. A group that was continued in the
        // background finds its SIGCONT in the loop.
        if self.terminal.as_ref().is_some_and(Terminal::is_ours) {
            self.woken();
        }
    }

    /// We were continued: the child gets the terminal where we have it, and goes on.
    fn woken(&mut self) {
        self.lend_if_input();
        if self.stopped {
            self.continue_child();
        }
    }

    fn lend_if_input(&mut self) {
        if let Some(terminal) = self.terminal.as_mut().filter(|terminal| terminal.is_input) {
            terminal.lend();
        }
    }

    fn continue_child(&mut self) {
        self.stopped = false;
        self.pass_on(Signal::SIGCONT);
    }

    fn pass_on(&self, signal: Signal) {
        // A group that is gone needs no signal.
        killpg(self.child, signal).ok();
    }
}

/// Stops every process of our group; returns when we are continued, or at once where the system
/// does not stop us.
fn stop_our_group() {
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTSTP);
    killpg(getpgrp(), Signal::SIGTSTP).ok();
    // It waits, blocked, until here.
    stop.thread_unblock().ok();
    stop.thread_block().ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_has_the_code_that_a_shell_gives_it() {
        assert_eq!(Ended::With(7).exit_code(), 7);
        assert_eq!(Ended::BySignal(Signal::SIGKILL).exit_code(), 137);
        assert_eq!(Ended::BySignal(Signal::SIGINT).exit_code(), 130);
    }

    #[test]
    fn an_ignored_signal_is_read_from_its_bit() {
        let status = "Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000011000\n";
        assert!(ignores(status, Signal::SIGCHLD));
        assert!(ignores(status, Signal::SIGPIPE));
        assert!(!ignores(status, Signal::SIGTERM));
        assert!(!ignores("", Signal::SIGCHLD));
    }
}
