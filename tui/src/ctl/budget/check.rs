//! `bb-ctl budget check`.

use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::reply::{BudgetChecked, Would};
use bb_proto::request::BudgetCheck;
use bb_proto::units::Tokens;

use crate::ctl::connection::Connection;
use crate::ctl::exit::{Exit, Outcome};
use crate::ctl::output::Output;
use crate::format;

/// Ask whether a call of a bottle would be admitted; nothing is set aside
///
/// Ends with 0 where it would go or wait, and with 3 where it would be refused.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Check {
    /// The bottle
    #[arg(value_name = "BOTTLE")]
    bottle: BottleName,
    /// The provider
    #[arg(value_name = "PROVIDER")]
    provider: ProviderKey,
    /// How many tokens the call will cost
    #[arg(value_name = "TOKENS")]
    tokens: Tokens,
}

impl Check {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let checked = connection.call(&BudgetCheck {
            bottle: self.bottle,
            provider: self.provider,
            tokens: self.tokens,
        })?;
        output.show(&checked, sentence)?;
        Ok(match checked.would {
            Would::Pass | Would::Wait => Exit::DONE,
            Would::BeOverBudget | Would::BeCutOff | Would::HaveEnded => Exit::OVER_BUDGET,
        })
    }
}

fn sentence(checked: &BudgetChecked) -> String {
    let budget = match (&checked.budget, checked.used, checked.limit) {
        (Some(budget), Some(used), Some(limit)) => {
            format!(": {budget} has {}", format::used_of(used, limit))
        }
        _ => String::new(),
    };
    match checked.would {
        Would::Pass => "it would go".to_owned(),
        Would::Wait => "it would wait until open calls are settled".to_owned(),
        Would::BeOverBudget => format!("it would be over budget{budget}"),
        Would::BeCutOff => "it would be refused: the operator has cut the bottle off".to_owned(),
        Would::HaveEnded => "it would be refused: the bottle has ended".to_owned(),
    }
}
