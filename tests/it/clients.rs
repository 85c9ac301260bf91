//! The real clients behind a real controller: metered to the token, refused once, cut in the
//! middle of an answer.
//!
//! A client that is not installed is told in a line that begins with `skipped: `. It gets past
//! the test runner, which shows nothing of a test that passes, so that those lines can be counted.

mod cut;
mod places;
mod scene;
mod spent;
mod whole;
