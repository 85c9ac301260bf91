//! `bb-ctl env`.

use bb_proto::ids::BottleName;
use bb_proto::request::BottleEnv;

use super::connection::Connection;
use super::exit::{Exit, Outcome};
use super::output::Output;
use super::shell;

/// The recipe for programs that are written with a provider's library.
pub(super) const CLIENT_DEFAULT: &str = "sdk";

/// Print the environment that points a client at the proxy
///
/// The bottle's token is in it. Take it into a shell with `eval "$(bb-ctl env NAME --client claude)"`. A client that ignores
/// the environment needs arguments too: they are printed as a comment.
#[derive(Debug, clap::Args)]
pub(super) struct Env {
    /// The bottle
    #[arg(value_name = "BOTTLE")]
    name: BottleName,
    /// The client's recipe, such as claude, codex, gemini, opencode or sdk
    #[arg(long, value_name = "CLIENT", default_value = CLIENT_DEFAULT)]
    client: String,
}

impl Env {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let client = connection.call(&BottleEnv {
            name: self.name,
            client: self.client,
        })?;
        output.show_exact(&client, shell::lines)?;
        Ok(Exit::DONE)
    }
}
