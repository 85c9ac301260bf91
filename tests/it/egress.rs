//! The egress proxy with a real provider behind it.

mod charges;
mod encodings;
mod holding;
mod http;
mod raw;
mod spoken;
mod ways;
mod wires;
