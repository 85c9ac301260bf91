//! Whole-system tests: a real controller, a real provider, real processes.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

mod cli;
mod clients;
mod crash;
mod daemon;
mod dash;
mod egress;
mod home;
mod meter;
mod run;
mod scripts;
mod sidecar;
mod socket;
