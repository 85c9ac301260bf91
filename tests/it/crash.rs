//! The controller killed, and its disk full: what was seen was charged, and nothing is charged
//! twice.

mod full;
mod kills;
mod lasting;
mod load;
mod sidecars;
