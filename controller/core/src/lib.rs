//! The decisions of the controller: bytes and commands in, values out.
//!
//! This package reads no clock, file, socket or environment; `now` comes in with a command.

mod ending;
pub mod meter;
pub mod provider;
pub mod refusal;
pub mod request;
