//! The daemon: it meters what agents spend at an egress proxy, holds them to budgets, and ends
//! what is over, without the agents' help.

pub mod api;
pub mod bottles;
mod cli;
mod clock;
pub mod daemon;
pub mod egress;
pub mod hooks;
pub mod ledger;
mod process;
mod recorded;
pub mod settings;
pub mod store;

pub use cli::main;
