//! What `run` and `register` both say about a new bottle.

use bb_proto::budget::ProviderSelector;
use bb_proto::ids::{AgentName, BottleName, ProviderKey};
use bb_proto::request::LaunchBudget;
use bb_proto::units::Tokens;

/// What a new bottle is.
#[derive(Debug, clap::Args)]
pub(super) struct Launch {
    /// The agent it runs; several bottles may run the same one
    #[arg(long, value_name = "AGENT")]
    pub(super) agent: Option<AgentName>,
    /// A bottle that it extends, and whose budgets count it; may be given several times
    #[arg(long = "parent", value_name = "BOTTLE")]
    pub(super) parents: Vec<BottleName>,
    /// The provider that its calls go to, such as a second account; one that speaks as the client does
    #[arg(long, value_name = "PROVIDER")]
    pub(super) provider: Option<ProviderKey>,
    /// A budget of this run, such as 200k (all providers together) or claude=200k; may be given
    /// several times
    #[arg(long = "budget", value_name = "[PROVIDER=]TOKENS", value_parser = launch_budget)]
    pub(super) budgets: Vec<LaunchBudget>,
}

impl Launch {
    /// Returns the parents, where any were named.
    pub(super) fn parents(&self) -> Option<Vec<BottleName>> {
        (!self.parents.is_empty()).then(|| self.parents.clone())
    }
}

fn launch_budget(text: &str) -> Result<LaunchBudget, String> {
    let (provider, limit) = match text.split_once('=') {
        None => (ProviderSelector::All, text),
        Some((provider, limit)) => (
            provider
                .parse()
                .map_err(|error: bb_proto::ids::NameError| error.to_string())?,
            limit,
        ),
    };
    let limit = limit
        .parse()
        .map_err(|error: bb_proto::units::TokensError| error.to_string())?;
    if limit == Tokens::ZERO {
        return Err("a budget has at least one token".to_owned());
    }
    Ok(LaunchBudget { provider, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_budget_is_for_one_provider_or_for_all() {
        let read = |text: &str| {
            launch_budget(text).map(|budget| (budget.provider.to_string(), budget.limit.0))
        };
        assert_eq!(read("200k"), Ok(("all".to_owned(), 200_000)));
        assert_eq!(read("claude=1.5M"), Ok(("claude".to_owned(), 1_500_000)));
        assert_eq!(read("all=7"), Ok(("all".to_owned(), 7)));
        for odd in [
            "", "claude", "claude=", "=5", "Claude=5", "0", "claude=0", "b=1", "-5",
        ] {
            assert!(read(odd).is_err(), "{odd:?}");
        }
    }
}
