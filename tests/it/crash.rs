//! The controller killed, its disk full or failing, its file taken away: what was seen was charged,
//! and nothing is charged twice.

mod faults;
mod full;
mod kills;
mod lasting;
mod load;
mod rolling;
mod sidecars;
mod steps;
mod traced;

/// Returns how often something is done: what `variable` says, else `usually`.
fn number_of(variable: &str, usually: usize) -> usize {
    let said = std::env::var(variable).ok();
    said.and_then(|said| said.parse().ok()).unwrap_or(usually)
}
