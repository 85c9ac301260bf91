//! The egress proxy with a real provider behind it.

mod background;
mod bodies;
mod budgets;
mod charges;
mod crowds;
mod cuts;
mod encodings;
mod exact;
mod faults;
mod holding;
mod http;
mod identity;
mod leaving;
mod orders;
mod raw;
mod recorded;
mod restart;
mod spoken;
mod tls;
mod waiting;
mod ways;
mod websocket;
mod windows;
mod wires;
