//! A shell session: each command with what it printed, what of it on standard error, and its exit
//! code where that is not zero; without what differs from run to run.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result};
use bb_tests::harness::{Daemon, send};
use bb_tests::provider::{Provider, Script};
use http::Method;
use serde_json::Value;

use crate::home::{CONTROLLER, Place};

/// A terminal is this wide.
const COLUMNS: &str = "160";

/// A session on a home with a controller, before a provider.
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) daemon: Option<Daemon>,
    bin: PathBuf,
    said: Vec<String>,
    _provider: Provider,
}

impl Session {
    /// Begins a session; `more` is added to the usual settings.
    pub(crate) async fn begin(more: &str) -> Result<Self> {
        let mut session = Self::without_controller(more).await?;
        session.daemon = Some(session.place.start()?);
        Ok(session)
    }

    /// Begins a session where no controller runs.
    pub(crate) async fn without_controller(more: &str) -> Result<Self> {
        let provider = Provider::start(Script::costing(60, 40)).await?;
        let place = Place::before(&provider, more)?;
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(place.home.path(), private)?;
        let bin = place.folder().join("bin");
        std::fs::create_dir(&bin)?;
        for (name, program) in [
            ("bb-ctl", env!("CARGO_BIN_EXE_it-ctl")),
            ("bb-controller", CONTROLLER),
        ] {
            install(program, &bin.join(name))?;
        }
        Ok(Self {
            place,
            daemon: None,
            bin,
            said: Vec::new(),
            _provider: provider,
        })
    }

    /// Returns a shell in which `bb-ctl` is found, and nothing of the one who runs the tests.
    pub(crate) fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", line])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.bin.display()))
            .env("HOME", self.place.folder())
            .env("BB_HOME", self.place.home.path())
            .env("COLUMNS", COLUMNS)
            .stdin(Stdio::null());
        shell
    }

    /// Runs a command and returns all it said.
    pub(crate) fn run(&self, line: &str) -> Result<Output> {
        self.shell(line).output().with_context(|| line.to_owned())
    }

    /// Runs a command line of `bb-ctl`, and writes down what came of it.
    pub(crate) fn ctl(&mut self, line: &str) -> Result<()> {
        let output = self.run(&format!("bb-ctl {line}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.said.push(format!("$ bb-ctl {line}"));
        self.said
            .extend(text(&output.stdout).lines().map(str::to_owned));
        let wrong = text(&output.stderr);
        self.said
            .extend(wrong.lines().map(|line| format!("! {line}")));
        match output.status.code() {
            Some(0) => {}
            Some(code) => self.said.push(format!("[{code}]")),
            None => self.said.push("[ended by a signal]".to_owned()),
        }
        Ok(())
    }

    /// Returns what was written down since the last time, without what differs from run to run.
    pub(crate) fn said(&mut self) -> String {
        let said = std::mem::take(&mut self.said).join("\n");
        let said = said.replace(&self.place.folder().display().to_string(), "~");
        scrub(&said)
    }

    /// Returns the JSON that a command prints, a value a line.
    pub(crate) fn json(&self, line: &str) -> Result<Vec<Value>> {
        let output = self.run(&format!("bb-ctl --json {line}"))?;
        let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
        text.lines()
            .map(|value| serde_json::from_str(value).with_context(|| format!("{line}: {value}")))
            .collect()
    }

    /// Makes a call of a bottle, streamed or not; returns the status.
    pub(crate) async fn call(&self, bottle: &str, path: &str, body: &str) -> Result<u16> {
        let env = self.json(&format!("env {bottle} --client sdk"))?;
        let token = env
            .first()
            .and_then(|env| env["env"]["ANTHROPIC_API_KEY"].as_str())
            .with_context(|| format!("{env:?}"))?
            .to_owned();
        let daemon = self.daemon.as_ref().context("a controller")?;
        let headers = [("x-api-key", token.as_str())];
        let answer = send(
            &daemon.egress,
            Method::POST,
            path,
            &headers,
            body.to_owned(),
        )
        .await?;
        Ok(answer.status.as_u16())
    }

    /// Asks the model once, as a bottle.
    pub(crate) async fn message(&self, bottle: &str) -> Result<u16> {
        let body = r#"{"model":"claude-opus-4-8","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#;
        self.call(bottle, "/claude/v1/messages", body).await
    }
}

/// Puts a program under another name: a link where both are on one disk, else a copy.
fn install(program: &str, at: &Path) -> Result<()> {
    if std::fs::hard_link(program, at).is_err() {
        std::fs::copy(program, at)?;
    }
    Ok(())
}

/// Takes out what differs from run to run: tokens, runs, ports, processes, users, times.
fn scrub(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(scrub_line).collect();
    lines.join("\n")
}

fn scrub_line(line: &str) -> String {
    let mut words: Vec<String> = line.split(' ').map(scrub_word).collect();
    for at in 1..words.len() {
        let before = words[at - 1].clone();
        let word = words[at].clone();
        let bare = word.trim_end_matches([',', ';', ':', ')']);
        let rest = &word[bare.len()..];
        let is_span = |word: &str| {
            word.chars()
                .next()
                .is_some_and(|c| c.is_ascii_digit() || c == '<')
        };
        let told = match before.trim_start_matches('(') {
            "pid" if is_span(bare) => "PID",
            "uid" | "operator" if is_span(bare) => "UID",
            "up" | "in" if is_span(bare) && !bare.contains("m-") => "SPAN",
            "began" | "ended" if bare == "now" => "AGO",
            before if before.ends_with(',') && bare == "now" => "AGO",
            _ => continue,
        };
        words[at] = format!("{told}{rest}");
    }
    let line = words
        .join(" ")
        .replace("SPAN ms", "SPAN")
        .replace("SPAN s,", "SPAN,");
    // `5s ago` is `now` on a faster machine.
    let mut out: Vec<String> = Vec::new();
    for word in line.split(' ') {
        if word.starts_with("ago") && out.last().is_some_and(|last| last.ends_with('s')) {
            let rest = word.trim_start_matches("ago");
            out.pop();
            out.push(format!("AGO{rest}"));
        } else {
            out.push(word.to_owned());
        }
    }
    out.join(" ")
}

fn scrub_word(word: &str) -> String {
    let mut word = word.to_owned();
    if let Some(at) = word.find("bb_") {
        let digits = word[at + 3..]
            .chars()
            .take_while(char::is_ascii_hexdigit)
            .count();
        if digits == 40 {
            word.replace_range(at..at + 43, "TOKEN");
        }
    }
    if let Some(at) = word.find("127.0.0.1:") {
        let port = at + "127.0.0.1:".len();
        let digits = word[port..]
            .chars()
            .take_while(char::is_ascii_digit)
            .count();
        word.replace_range(port..port + digits, "PORT");
    }
    for at in 0..word.len() {
        let Some(found) = word.get(at..at + 36) else {
            break;
        };
        let is_run = found.split('-').map(str::len).eq([8, 4, 4, 4, 12])
            && found.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if is_run {
            word.replace_range(at..at + 36, "RUN");
            break;
        }
    }
    let is_time = word.len() == 20 && word.ends_with('Z') && word.get(10..11) == Some("T");
    if is_time {
        return "WHEN".to_owned();
    }
    word
}
