//! The scripts that people type, on a user's home of its own, with the programs that are built
//! already.

mod building;
mod demo;
mod starting;
mod summary;
mod usage;
mod user;
