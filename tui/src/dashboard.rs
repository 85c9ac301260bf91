//! `bb-dash`: the host's budgets, a table of bottles, what is to know of one, and what to do.
//!
//! `update` decides, `view` draws; neither knows a clock, a socket or a terminal. The shell around
//! them is `run`, `link` and `term`.

mod canvas;
mod clean;
#[cfg(test)]
mod fixture;
mod glyphs;
mod keys;
mod layout;
mod link;
mod msg;
mod rows;
mod run;
mod state;
mod term;
#[cfg(test)]
mod tests;
mod theme;
mod update;
mod view;
mod zone;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bb_proto::home::{Home, SOCKET_PATH_BYTES_MAX};
use clap::Parser;

use clean::Clean;
use state::{Link, Start, State};
use theme::{Depth, Look, Theme};

/// Live usage of every bottle against its budgets, and the means to stop one.
#[derive(Debug, Parser)]
#[command(name = "bb-dash", version)]
struct Args {
    /// The controller's home directory; else the variable `BB_HOME`, else ~/.bot-bottle
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// Show everything, order nothing
    #[arg(long)]
    read_only: bool,
    /// Draw with ASCII only
    #[arg(long)]
    ascii: bool,
    /// Choose the colours; else by the terminal's background, else dark
    #[arg(long, value_name = "THEME")]
    theme: Option<Theme>,
    /// Leave the mouse to the terminal
    #[arg(long)]
    no_mouse: bool,
}

/// Runs `bb-dash`.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let farewell = dash(&args);
    let said = match &farewell {
        Ok(text) if text.is_empty() => Ok(()),
        Ok(text) => writeln!(io::stdout(), "{text}"),
        Err(error) => writeln!(io::stderr(), "bb-dash: {error:#}"),
    };
    // Where nobody can be told, the status still says it.
    match (farewell, said) {
        (Ok(_), _) => ExitCode::SUCCESS,
        (Err(_), _) => ExitCode::FAILURE,
    }
}

fn dash(args: &Args) -> anyhow::Result<String> {
    if !io::stdout().is_terminal() {
        bail!(
            "the dashboard needs a terminal to draw on; for scripts there is: bb-ctl list --json"
        );
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = Home::choose(args.home.clone(), variable("BB_HOME"), variable("HOME"))
        .context("no home directory: set BB_HOME, or give --home DIR")?;
    let socket = home.socket();
    let length = socket.as_os_str().len();
    if length > SOCKET_PATH_BYTES_MAX {
        bail!(
            "the socket's path {} has {length} bytes; a socket can have {SOCKET_PATH_BYTES_MAX}: choose a shorter --home",
            socket.display()
        );
    }
    let (width, height) = crossterm::terminal::size().context("the terminal has no size")?;
    let start = Start {
        look: look(args),
        read_only: args.read_only,
        mouse: !args.no_mouse,
        socket: Clean::new(&socket.display().to_string()),
        session: session(),
        width,
        height,
    };
    let state = run::run(start, &socket).context("the terminal went away")?;
    Ok(farewell(&state, args))
}

/// What is said on the normal screen at the end.
fn farewell(state: &State, args: &Args) -> String {
    let Some(greeting) = &state.greeting else {
        return String::new();
    };
    if !matches!(state.link, Link::Up) {
        return "the controller does not answer; its budgets may still be enforced".to_owned();
    }
    let home = args
        .home
        .as_ref()
        .map_or_else(String::new, |home| format!(" --home {}", home.display()));
    format!(
        "bb-controller keeps running (pid {}). Stop it: bb-ctl{home} shutdown",
        greeting.pid
    )
}

fn look(args: &Args) -> Look {
    let variable = |name: &str| std::env::var(name).ok();
    let term = variable("TERM");
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty());
    Look {
        theme: args
            .theme
            .unwrap_or_else(|| Theme::choose(variable("COLORFGBG").as_deref())),
        depth: Depth::choose(
            variable("NO_COLOR").as_deref(),
            variable("COLORTERM").as_deref(),
            term.as_deref(),
        ),
        ascii: args.ascii || !draws_blocks(locale.as_deref(), term.as_deref()),
    }
}

/// Whether the terminal has more than ASCII.
fn draws_blocks(locale: Option<&str>, term: Option<&str>) -> bool {
    let is_utf8 = locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    });
    is_utf8 && !matches!(term, Some("linux" | "dumb"))
}

/// Begins the id of every request, so that no two dashboards have the same.
fn session() -> String {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    format!("dash-{}-{:x}", std::process::id(), since_epoch.as_nanos())
}
