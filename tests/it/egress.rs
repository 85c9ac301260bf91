//! The egress proxy with a real provider behind it.

mod charges;
mod raw;
mod spoken;
mod ways;
mod wires;
