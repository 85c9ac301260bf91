//! The egress proxy with a real provider behind it.

mod charges;
mod encodings;
mod faults;
mod holding;
mod http;
mod identity;
mod raw;
mod spoken;
mod ways;
mod wires;
