//! `bb-ctl doctor`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use bb_proto::home::Home;
use bb_proto::ids::BottleName;
use bb_proto::reply::{Finding, Severity};
use bb_proto::request::Health;
use bb_proto::version::VERSION;
use bb_proto::view::{BottleState, Enforcement, Snapshot};
use serde_json::json;

use super::connection::Connection;
use super::exit::{Exit, Failure, Outcome};
use super::output::Output;
use super::program::{self, CONTROLLER};
use crate::format::text;

/// Findings, in the order they are told.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, text: impl Into<String>, hint: Option<String>) {
        self.0.push(Finding {
            severity,
            text: text.into(),
            hint,
        });
    }

    fn ok(&mut self, text: impl Into<String>) {
        self.add(Severity::Ok, text, None);
    }
}

pub(super) fn run(home: &Home, output: Output) -> Outcome {
    let mut findings = Findings::default();
    executable(&mut findings);
    files(home, &mut findings);
    let reached = controller(home, &mut findings);
    if reached.is_err() {
        settings(home, &mut findings);
    }
    let errors = findings.0.iter().any(|f| f.severity == Severity::Error);
    output.show(&json!({"ok": !errors, "findings": findings.0}), |_| {
        let lines: Vec<String> = findings.0.iter().map(line).collect();
        lines.join("\n")
    })?;
    Ok(match reached {
        Err(exit) => exit,
        Ok(()) if errors => Exit::FAILED,
        Ok(()) => Exit::DONE,
    })
}

fn line(finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Ok => "ok",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let hint = finding.hint.as_ref().map_or_else(String::new, |hint| {
        format!("\n{:9}hint: {}", "", text::clean(hint))
    });
    format!("{word:<9}{}{hint}", text::clean(&finding.text))
}

fn executable(findings: &mut Findings) {
    let Some(path) = program::controller() else {
        findings.add(
            Severity::Error,
            format!("{CONTROLLER} is neither beside bb-ctl nor on PATH"),
            Some(format!(
                "install {CONTROLLER} {VERSION} into a directory of PATH"
            )),
        );
        return;
    };
    let shown = path.display();
    match Command::new(&path).arg("--version").output() {
        Err(error) => findings.add(
            Severity::Error,
            format!("{shown} cannot be executed: {error}"),
            None,
        ),
        Ok(answer) => {
            let said = String::from_utf8_lossy(&answer.stdout);
            let version = said.split_whitespace().last().unwrap_or("no version");
            if version == VERSION {
                findings.ok(format!("{shown} is of the same version, {VERSION}"));
            } else {
                findings.add(
                    Severity::Warning,
                    format!("{shown} says {version}, bb-ctl is {VERSION}"),
                    Some("install both from one release".to_owned()),
                );
            }
        }
    }
}

fn files(home: &Home, findings: &mut Findings) {
    for (path, wanted) in [
        (home.path(), 0o700),
        (home.run_dir().as_path(), 0o700),
        (home.socket().as_path(), 0o600),
    ] {
        access(path, wanted, findings);
    }
}

/// Says whether there are settings, where no controller can say what is in force.
fn settings(home: &Home, findings: &mut Findings) {
    let settings = home.settings();
    if settings.exists() {
        findings.ok(format!("{} is there", settings.display()));
    } else {
        findings.add(
            Severity::Warning,
            format!(
                "{} is not there: only budgets set by command limit anything",
                settings.display()
            ),
            Some("bb-ctl budget set host all 5M, or write the file".to_owned()),
        );
    }
}

/// Finds whether nobody but its owner can use a path, and whether its owner is us.
fn access(path: &Path, wanted: u32, findings: &mut Findings) {
    let shown = path.display();
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    let uid = nix::unistd::geteuid().as_raw();
    if metadata.uid() != uid {
        findings.add(
            Severity::Warning,
            format!(
                "{shown} belongs to uid {}, not to uid {uid}",
                metadata.uid()
            ),
            Some("run bb-ctl as the user that runs the controller".to_owned()),
        );
    } else if mode | 0o700 == 0o700 {
        findings.ok(format!("{shown} is for its owner alone"));
    } else {
        findings.add(
            Severity::Error,
            format!("{shown} has mode {mode:04o}: others can use it"),
            Some(format!("chmod {wanted:04o} {shown}")),
        );
    }
}

/// Asks the controller; without one, says so and returns the exit code for it.
fn controller(home: &Home, findings: &mut Findings) -> Result<(), Exit> {
    match ask(home, findings) {
        Ok(()) => Ok(()),
        Err(Failure::Told(told)) => {
            findings.add(Severity::Error, told.message, told.hint);
            Err(told.exit)
        }
        Err(Failure::ReaderGone) => Err(Exit::DONE),
    }
}

fn ask(home: &Home, findings: &mut Findings) -> Result<(), Failure> {
    let mut connection = Connection::open(home)?;
    let hello = connection.hello();
    let running = format!("the controller (pid {})", hello.pid);
    if hello.version == VERSION {
        findings.ok(format!("{running} answers, version {VERSION}"));
    } else {
        findings.add(
            Severity::Warning,
            format!(
                "{running} is version {}, bb-ctl is {VERSION}",
                hello.version
            ),
            Some("bb-ctl shutdown, then start the controller that is installed".to_owned()),
        );
    }
    let health = connection.call(&Health {})?;
    findings.0.extend(health.findings);
    let snapshot = connection.snapshot()?;
    enforcement(&snapshot, findings);
    caches(&snapshot, findings);
    Ok(())
}

/// Says of the running bottles how far each can be stopped without its help.
fn enforcement(snapshot: &Snapshot, findings: &mut Findings) {
    let of = |wanted: Enforcement| -> Vec<&str> {
        snapshot
            .bottles
            .iter()
            .filter(|bottle| {
                matches!(bottle.state, BottleState::Running | BottleState::Cutoff)
                    && bottle.enforcement == wanted
            })
            .map(|bottle| BottleName::as_str(&bottle.name))
            .collect()
    };
    let (sealed, keyed, advisory) = (
        of(Enforcement::Sealed),
        of(Enforcement::Keyed),
        of(Enforcement::Advisory),
    );
    if !sealed.is_empty() {
        findings.ok(format!(
            "sealed, no way around the proxy: {}",
            sealed.join(", ")
        ));
    }
    if !keyed.is_empty() {
        findings.ok(format!(
            "keyed, nothing to spend but through the proxy: {}",
            keyed.join(", ")
        ));
    }
    if !advisory.is_empty() {
        findings.add(
            Severity::Warning,
            format!(
                "advisory, with a login and a network of their own: {}",
                advisory.join(", ")
            ),
            Some(
                "give the provider a credential in the settings, so that a bottle has no key of \
                 its own"
                    .to_owned(),
            ),
        );
    }
}

/// Says what share of each budget went to cache reads, since agents read theirs every turn.
fn caches(snapshot: &Snapshot, findings: &mut Findings) {
    for budget in &snapshot.budgets {
        if let Some(percent) = budget.cache_read_percent.filter(|percent| *percent > 0) {
            findings.ok(format!(
                "{}: {percent}% of it went to cache reads",
                budget.id
            ));
        }
    }
}
