//! `bb-ctl settings`.

use bb_proto::reply::{Settings as Shown, SettingsChecked};
use bb_proto::request::{SettingsCheck, SettingsReload, SettingsShow};

use super::connection::Connection;
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::words;
use crate::format::text;

/// Show the settings in force, check the file, take it
#[derive(Debug, clap::Subcommand)]
pub(super) enum Settings {
    /// Print the settings in force as JSON, secrets left out
    Show,
    /// Say whether the file could be taken as it stands, with every mistake in it
    Check,
    /// Take the file as it stands; with a mistake in it, the settings in force stay
    Reload {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

impl Settings {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        match self {
            Self::Show => {
                let shown = connection.call(&SettingsShow {})?;
                output.show(&shown, page)?;
                Ok(Exit::DONE)
            }
            Self::Check => {
                let checked = connection.call(&SettingsCheck {})?;
                report(&checked, output)
            }
            Self::Reload { dry_run } => {
                let checked = connection.call(&SettingsReload {
                    request_id: None,
                    dry_run,
                })?;
                report(&checked, output)
            }
        }
    }
}

fn page(shown: &Shown) -> String {
    let path = text::clean(&shown.path);
    let head = if shown.exists {
        format!("{path}, taken {}", words::instant(shown.loaded_at))
    } else {
        format!("{path} is not there: only budgets set by command limit anything")
    };
    let body = serde_json::to_string_pretty(&shown.settings).unwrap_or_default();
    format!("{head}\n{body}")
}

fn report(checked: &SettingsChecked, output: Output) -> Outcome {
    output.show(checked, lines)?;
    Ok(if checked.mistakes.is_empty() {
        Exit::DONE
    } else {
        Exit::FAILED
    })
}

fn lines(checked: &SettingsChecked) -> String {
    let path = text::clean(&checked.path);
    let mut lines: Vec<String> = Vec::new();
    for mistake in &checked.mistakes {
        lines.push(format!(
            "{path}:{}:{}: {}",
            mistake.line,
            mistake.column,
            text::clean(&mistake.text)
        ));
        if let Some(hint) = &mistake.hint {
            lines.push(format!("  hint: {}", text::clean(hint)));
        }
    }
    lines.push(match (checked.mistakes.len(), checked.applied) {
        (0, true) => format!("{path} was taken"),
        (0, false) => format!("{path} can be taken"),
        (mistakes, _) => {
            let mistakes = words::count(u64::try_from(mistakes).unwrap_or(u64::MAX), "mistake");
            format!("{mistakes}; the settings in force stay")
        }
    });
    lines.extend(
        checked
            .changes
            .iter()
            .map(|change| format!("  {}", text::clean(change))),
    );
    lines.join("\n")
}
