//! The control socket, as a stranger uses it.

pub(crate) mod raw;
