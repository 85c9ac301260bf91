//! `bb-ctl budget charge`.

use bb_proto::ids::{BottleName, CallId, ProviderKey};
use bb_proto::reply::BudgetCharged;
use bb_proto::request::BudgetCharge;
use bb_proto::units::Tokens;
use bb_proto::usage::Usage;
use uuid::Uuid;

use crate::ctl::connection::Connection;
use crate::ctl::exit::{Exit, Outcome};
use crate::ctl::output::Output;
use crate::format;

/// Charge tokens that a bottle spent outside the proxy
///
/// Say how many as budgets count them, or what the provider stated: then its weights make the
/// charge. They count on everything a call of that bottle counts on, and spend its budgets.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Charge {
    /// The bottle
    #[arg(value_name = "BOTTLE")]
    bottle: BottleName,
    /// The provider
    #[arg(value_name = "PROVIDER")]
    provider: ProviderKey,
    /// How many tokens, such as 5000 or 1.5M
    #[arg(value_name = "TOKENS", required_unless_present_any = STATED, conflicts_with_all = STATED)]
    tokens: Option<Tokens>,
    /// Prompt tokens neither read from nor written to a cache
    #[arg(long, value_name = "TOKENS")]
    input: Option<Tokens>,
    /// Prompt tokens read from a cache
    #[arg(long, value_name = "TOKENS")]
    cache_read: Option<Tokens>,
    /// Prompt tokens written to a cache
    #[arg(long, value_name = "TOKENS")]
    cache_write: Option<Tokens>,
    /// Generated tokens, reasoning included
    #[arg(long, value_name = "TOKENS")]
    output: Option<Tokens>,
    /// The part of the output that is reasoning
    #[arg(long, value_name = "TOKENS", requires = "output")]
    reasoning: Option<Tokens>,
    /// The model
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// A UUID: the same one twice charges once [default: a new one]
    #[arg(long, value_name = "UUID")]
    id: Option<CallId>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Only say what would be charged
    #[arg(long)]
    dry_run: bool,
}

/// What says how many tokens by kind.
const STATED: [&str; 4] = ["input", "cache_read", "cache_write", "output"];

impl Charge {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let count = |tokens: Option<Tokens>| tokens.map(|tokens| tokens.0);
        let usage = Usage {
            input: count(self.input),
            cache_read: count(self.cache_read),
            cache_write: count(self.cache_write),
            output: count(self.output),
            reasoning: count(self.reasoning),
        };
        let charged = connection.call(&BudgetCharge {
            id: self.id.unwrap_or_else(|| CallId(Uuid::now_v7())),
            bottle: self.bottle,
            provider: self.provider,
            wire: None,
            model: self.model,
            usage: usage.is_stated().then_some(usage),
            tokens: self.tokens,
            why: self.why,
            dry_run: self.dry_run,
        })?;
        output.show(&charged, sentence)?;
        Ok(Exit::DONE)
    }
}

fn sentence(charged: &BudgetCharged) -> String {
    let (bottle, provider) = (&charged.bottle, &charged.provider);
    let tokens = format::tokens(charged.charge.0);
    if charged.already {
        return format!("{tokens} were charged to {bottle} at {provider} before, by the same id");
    }
    let did = if charged.dry_run {
        "would charge"
    } else {
        "charged"
    };
    format!("{did} {tokens} to {bottle} at {provider}")
}
