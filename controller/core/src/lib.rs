//! The decisions of the controller: bytes and commands in, values out.
//!
//! This package reads no clock, file, socket or environment; `now` comes in with a command.

pub mod book;
pub mod bottle;
pub mod budget;
mod ending;
pub mod estimate;
pub mod hooks;
pub mod ledger;
pub mod meter;
pub mod provider;
pub mod recipe;
pub mod refusal;
pub mod request;
pub mod weights;
