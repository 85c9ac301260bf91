//! `bb-ctl budget explain`.

use bb_proto::ids::{BottleName, ProviderKey};
use bb_proto::reply::Explanation;
use bb_proto::request::BudgetExplain;
use bb_proto::view::{ClosedBy, Explained, ExplainedBudget, Verdict};

use crate::ctl::connection::Connection;
use crate::ctl::exit::{Exit, Outcome};
use crate::ctl::output::Output;
use crate::ctl::table::{self, Column};
use crate::ctl::words;
use crate::format;

/// Say why a bottle's calls pass or not: what governs, what binds next, what is left
///
/// By provider: every budget on the bottle's way, nearest scope first, what it is to a call, what
/// is left of it, how much of it went to cache reads, and where it comes from. The first that binds
/// is marked 1, the one that binds if that is raised 2.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Explain {
    /// The bottle
    #[arg(value_name = "BOTTLE")]
    bottle: BottleName,
    /// Only calls to this provider
    #[arg(long, value_name = "PROVIDER")]
    provider: Option<ProviderKey>,
}

const COLUMNS: [Column; 9] = [
    Column::left(""),
    Column::left("BUDGET").down_to(34),
    Column::left("ROLE"),
    Column::right("USED/LIMIT"),
    Column::right("LEFT"),
    Column::right("RESETS").drops(1),
    Column::right("PENDING").drops(4),
    Column::right("CACHE").drops(2),
    Column::left("FROM").drops(3),
];

impl Explain {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let explanation = connection.call(&BudgetExplain {
            bottle: self.bottle,
            provider: self.provider,
        })?;
        output.show(&explanation, page)?;
        Ok(Exit::DONE)
    }
}

fn page(explanation: &Explanation) -> String {
    let of = |explained| part(explained, &explanation.bottle);
    let parts: Vec<String> = explanation.providers.iter().map(of).collect();
    parts.join("\n\n")
}

fn part(explained: &Explained, bottle: &BottleName) -> String {
    let provider = explained
        .provider
        .as_ref()
        .map_or_else(|| "any provider".to_owned(), ToString::to_string);
    let verdict = format!("{provider}: {}", verdict(&explained.verdict, bottle));
    if explained.budgets.is_empty() {
        return verdict;
    }
    let rows: Vec<Vec<String>> = explained.budgets.iter().map(row).collect();
    format!(
        "{verdict}\n{}",
        table::draw(&COLUMNS, &rows, Output::width())
    )
}

fn verdict(verdict: &Verdict, bottle: &BottleName) -> String {
    match verdict {
        Verdict::Unlimited => "nothing limits its calls".to_owned(),
        Verdict::Admitted { binds, left } => format!(
            "a call passes if it fits into the {} that are left of {binds}",
            format::tokens(left.0)
        ),
        Verdict::Spent { budget } => {
            format!("{budget} is spent: bb-ctl budget raise {budget} +TOKENS")
        }
        Verdict::Closed {
            by: ClosedBy::Operator,
        } => format!("cut off by the operator: bb-ctl restore {bottle}"),
        Verdict::Stopping => format!("no call passes: {bottle} is told to stop"),
        Verdict::Ended => format!("no call passes: {bottle} has ended"),
        Verdict::Closed {
            by: ClosedBy::Budget(budget),
        } => format!("cut off, {budget} is spent: bb-ctl budget raise {budget} +TOKENS"),
    }
}

fn row(explained: &ExplainedBudget) -> Vec<String> {
    let budget = &explained.budget;
    let order = match (explained.binds_first, explained.binds_next) {
        (true, _) => "1",
        (false, true) => "2",
        (false, false) => "",
    };
    vec![
        order.to_owned(),
        budget.id.to_string(),
        words::role(explained.role).to_owned(),
        format::used_of(budget.used, budget.limit),
        format::tokens(explained.left.0),
        words::resets(budget, words::now()),
        format::tokens(budget.pending.0),
        budget
            .cache_read_percent
            .map_or_else(|| "-".to_owned(), |percent| format!("{percent}%")),
        words::source(&budget.source),
    ]
}
