//! `bb-dash` as it is run: in a pseudo terminal, against a socket that answers by a script.

#![cfg(test)]

mod acting;
mod controller;
mod glass;
mod leaving;
mod linking;
mod terminal;
