//! The command line against a real controller: what it prints, where, and how it ends.

mod acts;
mod asking;
mod budgets;
mod failing;
mod ledger;
mod running;
mod session;
mod shapes;
