//! Owns the tables of `docs/CONFIGURATION.md`, made of the table of keys.

use std::fmt::Write as _;

use super::keys::{KEYS_LATER, SECTIONS, Section, VALUES_LATER};

/// Returns the tables as Markdown, each with the name that the page puts it under.
pub fn reference() -> Vec<(&'static str, String)> {
    let mut tables: Vec<(&str, String)> = SECTIONS
        .iter()
        .map(|section| (section.name, section_table(section)))
        .collect();
    tables.push(("later versions", later_table()));
    tables
}

fn section_table(section: &Section) -> String {
    let mut table =
        String::from("| key | value | default | what it does |\n| --- | --- | --- | --- |\n");
    for key in section.keys {
        row(
            &mut table,
            &[&format!("`{}`", key.name), key.takes, key.default, key.does],
        );
    }
    table
}

fn later_table() -> String {
    let mut table = String::from("| word | what it is for |\n| --- | --- |\n");
    for (key, value, what) in VALUES_LATER {
        row(&mut table, &[&format!("`{key}: {value}`"), what]);
    }
    for (key, what) in KEYS_LATER {
        row(&mut table, &[&format!("`{key}`"), what]);
    }
    table
}

fn row(table: &mut String, cells: &[&str]) {
    // Writing into a string cannot fail.
    writeln!(table, "| {} |", cells.join(" | ")).ok();
}
