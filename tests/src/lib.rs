//! The parts that whole-system tests are made of; nothing here is shipped.

pub mod bench;
pub mod clients;
pub mod demo;
pub mod harness;
pub mod provider;
