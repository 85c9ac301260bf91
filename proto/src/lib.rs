//! The words and the wire of bot-bottle: ids, units, messages, the line codec, the client.
//!
//! This package knows neither the controller nor the clients. It says what may be said between
//! them, and nothing about how it is decided or shown.

pub mod budget;
#[cfg(feature = "client")]
pub mod client;
pub mod error;
pub mod event;
pub mod frame;
pub mod home;
pub mod ids;
pub mod process;
pub mod reply;
pub mod request;
pub mod time;
pub mod units;
pub mod usage;
pub mod version;
pub mod view;
