//! The dashboard in a terminal, against a real controller with real bottles behind it.

mod acting;
#[path = "../../tui/tests/dash/glass.rs"]
mod glass;
mod leaving;
mod linking;
mod scene;
mod showing;
mod terminal;
