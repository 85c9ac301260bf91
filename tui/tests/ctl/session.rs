//! A home directory and the command line in it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a condition may take before a test fails; nothing waits for it to pass.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A home of its own, gone at the end.
#[derive(Debug)]
pub(crate) struct Session {
    directory: TempDir,
}

impl Session {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("bin")).expect("a directory");
        Self { directory }
    }

    /// The controller's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// A path beside the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A directory that comes first on the command line's `PATH`.
    pub(crate) fn bin(&self) -> PathBuf {
        self.path("bin")
    }

    /// Writes an executable script into [`Session::bin`].
    pub(crate) fn script(&self, name: &str, lines: &str) -> PathBuf {
        self.with_interpreter(name, "/bin/sh", lines)
    }

    /// Writes an executable script for an interpreter.
    pub(crate) fn with_interpreter(&self, name: &str, interpreter: &str, lines: &str) -> PathBuf {
        let path = self.bin().join(name);
        write_executable(&path, &format!("#!{interpreter}\n{lines}\n"));
        path
    }

    /// Writes an executable that goes round until it is ended, after what comes first.
    ///
    /// It forks nothing: a shell that is just starting a program cannot be stopped by a key.
    pub(crate) fn looping(&self, name: &str, first: &str, each_time: &str) -> PathBuf {
        let lines = format!(
            "mkfifo \"$0.fifo\"\nexec 3<>\"$0.fifo\"\n{first}\n\
             while :; do {each_time} read -t 0.02 -u 3; done"
        );
        self.with_interpreter(name, "/bin/bash", &lines)
    }

    /// Makes a copy of `bb-ctl` in [`Session::bin`], with nothing beside it.
    pub(crate) fn copy(&self) -> PathBuf {
        let copy = self.bin().join("bb-ctl");
        let copied = Command::new("cp").arg(executable()).arg(&copy).status();
        assert!(copied.expect("cp").success());
        copy
    }

    /// Makes `bb-ctl` in a small environment of its own.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(executable());
        command
            .env_clear()
            .env("PATH", self.search_path())
            .env("HOME", self.directory.path())
            .env("BB_HOME", self.home())
            .env("LANG", "C.UTF-8")
            .current_dir(self.directory.path());
        command
    }

    pub(crate) fn search_path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.bin().display())
    }

    /// Runs `bb-ctl` and returns all of how it went, for a snapshot.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.transcript(&self.output(arguments))
    }

    /// Runs `bb-ctl`.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command()
            .args(arguments)
            .output()
            .expect("bb-ctl can be run")
    }

    /// Writes down what a run printed and how it ended, the same wherever it ran.
    pub(crate) fn transcript(&self, output: &Output) -> String {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            writeln!(text, "stderr: {line}").expect("a string");
        }
        write!(text, "exit: {}", output.status.code().unwrap_or(-1)).expect("a string");
        self.normal(&text)
    }

    /// Replaces what differs from run to run.
    pub(crate) fn normal(&self, text: &str) -> String {
        text.replace(&self.directory.path().display().to_string(), "$DIR")
            .replace(&format!("pid {}", std::process::id()), "pid $PID")
            .replace(&format!("\"pid\":{}", std::process::id()), "\"pid\":$PID")
            .replace(bb_proto::version::VERSION, "$VERSION")
    }
}

/// Writes a file by another process: while this one has it open, a child of another test's could
/// keep it open too, and what is open for writing cannot be executed.
fn write_executable(path: &Path, text: &str) {
    let mut writer = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut input = writer.stdin.take().expect("its input");
    input.write_all(text.as_bytes()).expect("the text");
    drop(input);
    assert!(writer.wait().expect("its end").success());
}

/// The command line as it was built for this test.
pub(crate) fn executable() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bb-ctl"))
}

/// Looks until the condition holds; fails the test with `what` where it never does.
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_or_say(|| what.to_owned(), look)
}

/// Looks until the condition holds; where it never does, fails the test with how it is then.
pub(crate) fn wait_or_say<T>(
    say: impl FnOnce() -> String,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < LIMIT, "it never came: {}", say());
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Waits until a file has something in it, and returns that.
pub(crate) fn wait_for_file(path: &Path) -> String {
    wait_for(&format!("something in {}", path.display()), || {
        std::fs::read_to_string(path)
            .ok()
            .filter(|text| text.ends_with('\n'))
    })
}
