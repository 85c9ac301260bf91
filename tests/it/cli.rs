//! The command line against a real controller: what it prints, where, and how it ends.

mod acts;
mod asking;
mod budgets;
mod failing;
mod ledger;
mod running;
pub(crate) mod session;
mod shapes;
