//! `bb-ctl completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use super::exit::{Exit, Outcome};
use super::output::Output;

/// Print what a shell needs to complete our command lines
///
/// For bash, put it into ~/.local/share/bash-completion/completions/bb-ctl.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, output: Output) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut super::Cli::command(),
            "bb-ctl",
            &mut script,
        );
        let script = whole(&String::from_utf8_lossy(&script));
        let value = json!({"shell": self.shell.to_string(), "script": script});
        output.show_exact(&value, |_| script.clone())?;
        Ok(Exit::DONE)
    }
}

/// Gives the cases of a script the names that it looks for: clap takes the hyphen in `bb-ctl` for
/// the beginning of a subcommand in one place and not in the other.
fn whole(script: &str) -> String {
    script.replace("bb__subcmd__ctl", "bb__ctl")
}
