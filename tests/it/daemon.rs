//! The daemon as a process: how it starts, refuses to, reloads and ends.

mod ending;
mod files;
mod hooks;
mod idle;
mod peers;
mod reloading;
mod starting;
