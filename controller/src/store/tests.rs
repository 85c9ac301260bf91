//! The store on real files, below a real book.

mod files;
mod played;
mod questions;
mod work;
