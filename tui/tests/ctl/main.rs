//! `bb-ctl` as it is run: what it prints, how it ends, and what it does to terminals and signals.
//!
//! The other side of the socket is a script of answers, made of the protocol's own types.

#![cfg(test)]

mod acting;
mod asking;
mod controller;
mod failing;
mod fixture;
mod running;
mod session;
mod signals;
mod starting;
mod terminal;
mod tmux;
