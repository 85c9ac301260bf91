//! What is compatible with what.

/// The version of the messages. A client and a controller understand each other where it is equal.
pub const PROTOCOL: u32 = 1;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
