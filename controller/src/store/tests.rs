//! The store on real files, below a real book.

mod bulk;
mod copied;
mod files;
mod pages;
mod played;
mod questions;
mod rolled;
mod terms;
mod verified;
mod work;
