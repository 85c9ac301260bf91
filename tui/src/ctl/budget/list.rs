//! `bb-ctl budget list`.

use bb_proto::ids::BottleName;
use bb_proto::request::BudgetList;

use crate::ctl::connection::Connection;
use crate::ctl::exit::{Exit, Outcome};
use crate::ctl::list::left;
use crate::ctl::output::Output;
use crate::ctl::table::{self, Column};
use crate::ctl::words;
use crate::format;

/// List budgets: what is used of them, where they come from, what they hide
///
/// With --json: one budget a line.
#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct List {
    /// Only those on this bottle's path
    #[arg(long, value_name = "BOTTLE")]
    bottle: Option<BottleName>,
}

const COLUMNS: [Column; 10] = [
    Column::left("BUDGET").down_to(34),
    Column::right("USED/LIMIT"),
    Column::right("%").drops(1),
    Column::left("CAP").drops(4),
    Column::right("PENDING").drops(6),
    Column::right("/MIN").drops(5),
    Column::right("LEFT").drops(2),
    Column::right("RESETS").drops(2),
    Column::left("FROM").drops(3),
    Column::left("HIDES").drops(7),
];

impl List {
    pub(super) fn run(self, connection: &mut Connection, output: Output) -> Outcome {
        let budgets = connection
            .call(&BudgetList {
                bottle: self.bottle,
            })?
            .budgets;
        output.show_each(&budgets, |budgets| {
            if budgets.is_empty() {
                return "no budgets: nothing is limited".to_owned();
            }
            let rows: Vec<Vec<String>> = budgets
                .iter()
                .map(|budget| {
                    vec![
                        budget.id.to_string(),
                        format::used_of(budget.used, budget.limit),
                        format::percent(budget.used, budget.limit),
                        words::cap(budget).to_owned(),
                        format::tokens(budget.pending.0),
                        format::tokens(budget.rate_per_minute),
                        left(budget),
                        words::resets(budget, words::now()),
                        words::source(&budget.source),
                        budget.hides.as_ref().map(words::source).unwrap_or_default(),
                    ]
                })
                .collect();
            table::draw(&COLUMNS, &rows, Output::width())
        })?;
        Ok(Exit::DONE)
    }
}
