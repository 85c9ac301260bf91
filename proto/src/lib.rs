//! The words and the wire of bot-bottle: ids, units, messages, the line codec, the client.
//!
//! This package knows neither the controller nor the clients. It says what may be said between
//! them, and nothing about how it is decided or shown.

pub mod ids;
pub mod time;
pub mod units;
pub mod usage;
