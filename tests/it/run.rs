//! `bb-ctl run` for real: the programs as people run them, in a terminal and behind pipes, with
//! the real Claude Code in them.

mod claude;
mod host;
mod lasting;
mod pipes;
mod runaway;
mod screen;
