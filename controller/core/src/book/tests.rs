//! The book under test: scenarios as tables, laws over random commands.

mod args;
mod bounds;
mod calls;
mod client;
mod commands;
mod exact;
mod granted;
mod kept;
mod laws;
mod model;
mod orders;
mod restart;
mod scopes;
mod script;
mod sidecars;
mod spent;
mod stage;
mod told;
mod waiting;
mod windows;
