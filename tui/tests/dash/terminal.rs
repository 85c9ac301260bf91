//! A pseudo terminal with `bb-dash` in it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

use crate::glass::Glass;

/// Nothing here takes this long; it only ends a test that hangs.
const LIMIT: Duration = Duration::from_mins(1);

/// What came out so far.
struct Seen {
    glass: Glass,
    bytes: Vec<u8>,
}

/// `bb-dash` in a terminal.
pub(crate) struct Terminal {
    child: Child,
    ours: File,
    theirs: OwnedFd,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Terminal {
    /// Starts `bb-dash` for a home, in a window of 100 by 30.
    pub(crate) fn start(home: &Path, arguments: &[&str]) -> Self {
        let size = Winsize {
            ws_row: 30,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None).expect("a pseudo terminal");
        let stdio = || pty.slave.try_clone().expect("the terminal");
        let child = Command::new(env!("CARGO_BIN_EXE_bb-dash"))
            .arg("--home")
            .arg(home)
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env("COLORTERM", "truecolor")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            // A group of its own: it stops its whole group when it is suspended.
            .process_group(0)
            .spawn()
            .expect("bb-dash");
        let seen = Arc::new((
            Mutex::new(Seen {
                glass: Glass::new(100, 30),
                bytes: Vec::new(),
            }),
            Condvar::new(),
        ));
        let master = File::from(pty.master);
        let mut reader = master.try_clone().expect("the terminal");
        let told = Arc::clone(&seen);
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut chunk) {
                let (seen, changed) = &*told;
                let mut seen = seen.lock().expect("what was seen");
                seen.glass.write(&chunk[..count]);
                seen.bytes.extend_from_slice(&chunk[..count]);
                changed.notify_all();
            }
        });
        Self {
            child,
            ours: master,
            theirs: pty.slave,
            seen,
        }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).expect("the terminal");
    }

    /// Waits until the screen says something; returns the screen.
    pub(crate) fn wait_for(&self, words: &str) -> String {
        self.wait(words, |seen| seen.glass.text().contains(words))
    }

    /// Waits until the screen does not say something any more.
    pub(crate) fn wait_until_gone(&self, words: &str) {
        self.wait(words, |seen| !seen.glass.text().contains(words));
    }

    /// Waits until something was written, wherever on the screen.
    pub(crate) fn wait_for_bytes(&self, bytes: &str) {
        self.wait(bytes, |seen| {
            String::from_utf8_lossy(&seen.bytes).contains(bytes)
        });
    }

    fn wait(&self, what: &str, holds: impl Fn(&Seen) -> bool) -> String {
        let (seen, changed) = &*self.seen;
        let guard = seen.lock().expect("what was seen");
        let (seen, timeout) = changed
            .wait_timeout_while(guard, LIMIT, |seen| !holds(seen))
            .expect("what was seen");
        let text = seen.glass.text();
        assert!(!timeout.timed_out(), "waited for {what:?} in\n{text}");
        text
    }

    /// Forgets the bytes so far.
    pub(crate) fn forget_bytes(&self) {
        self.seen.0.lock().expect("what was seen").bytes.clear();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is there");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Whether the terminal takes lines and echoes them, as a shell leaves it.
    pub(crate) fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.theirs).expect("its settings").local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Waits for the end; returns how it ended, and the last screen.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its status") {
                let (seen, changed) = &*self.seen;
                // What it wrote last may still be on its way here.
                let guard = seen.lock().expect("what was seen");
                let left =
                    |seen: &mut Seen| !String::from_utf8_lossy(&seen.bytes).contains("\u{1b}[?25h");
                let (seen, _) = changed
                    .wait_timeout_while(guard, Duration::from_secs(2), left)
                    .expect("what was seen");
                return (status, seen.glass.text());
            }
            assert!(began.elapsed() < LIMIT, "it does not end");
            thread::yield_now();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
