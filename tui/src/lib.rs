//! The clients of bot-bottle: `bb-dash`, the dashboard, and `bb-ctl`, the command line.

pub mod ctl;
pub mod dashboard;
pub mod format;
