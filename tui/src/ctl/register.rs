//! `bb-ctl register`.

use bb_proto::ids::BottleName;
use bb_proto::request::BottleRegister;

use super::connection::Connection;
use super::exit::{Exit, Outcome};
use super::launch::Launch;
use super::output::Output;
use super::shell;

/// Make a bottle known that something else starts, and print its token
///
/// The token is what the bottle identifies itself by: as API key, as proxy password, or in the
/// path `/b/TOKEN/PROVIDER/…`. With --client the lines are printed that point a client at the
/// proxy, as a shell takes them in.
#[derive(Debug, clap::Args)]
pub(super) struct Register {
    /// The bottle's name
    #[arg(value_name = "BOTTLE")]
    name: BottleName,
    #[command(flatten)]
    launch: Launch,
    /// The client whose environment is wanted, such as claude, codex, gemini, opencode or sdk
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// Give a running bottle of this name a new token, instead of refusing the name
    #[arg(long)]
    renew: bool,
    /// Only say whether it could be done
    #[arg(long)]
    dry_run: bool,
}

impl Register {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let dry_run = self.dry_run;
        let registered = connection.call(&BottleRegister {
            name: self.name,
            parents: self.launch.parents(),
            agent: self.launch.agent,
            provider: self.launch.provider,
            budgets: self.launch.budgets,
            command: Vec::new(),
            client: self.client,
            renew: self.renew,
            process: None,
            request_id: None,
            dry_run,
        })?;
        for warning in &registered.warnings {
            output.warn(warning);
        }
        output.show_exact(&registered, |registered| {
            let name = &registered.name;
            if dry_run {
                return format!("would register {name}\n");
            }
            match &registered.client {
                Some(client) => format!(
                    "# registered {name}, run {}\n{}",
                    registered.run,
                    shell::lines(client)
                ),
                None => format!(
                    "registered {name}, run {}\ntoken     {}\nbase url  {}\n",
                    registered.run, registered.token, registered.base_url
                ),
            }
        })?;
        Ok(Exit::DONE)
    }
}
