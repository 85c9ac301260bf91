//! Owns the reading of a mapping whose keys are fixed: what is not in its section is told here,
//! so that what reads the values only asks for those it knows.

use super::keys::{self, Section};
use super::mistakes::{At, Mistakes, nearest, quote};
use super::tree::{Entry, Kind, Node};

/// A mapping with the keys of a section.
#[derive(Debug)]
pub(super) struct Block<'a> {
    section: &'static Section,
    entries: Vec<&'a Entry>,
}

impl<'a> Block<'a> {
    /// Takes the value of a key as such a mapping; `None` where it is none or has nothing in it.
    pub(super) fn open(
        entry: &'a Entry,
        section: &'static Section,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let entries = filled_mapping(entry, section.name, mistakes)?;
        Some(Self::of(entries, section, mistakes))
    }

    /// Takes entries as such a mapping.
    pub(super) fn of(
        entries: impl IntoIterator<Item = &'a Entry>,
        section: &'static Section,
        mistakes: &mut Mistakes,
    ) -> Self {
        let (entries, unknown): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| section.has(&entry.key));
        for entry in unknown {
            tell_unknown(entry, section, mistakes);
        }
        Self { section, entries }
    }

    /// Returns a key of the section, where it is written.
    pub(super) fn get(&self, name: &str) -> Option<&'a Entry> {
        debug_assert!(self.section.has(name), "{name} is not in the table of keys");
        self.entries.iter().copied().find(|entry| entry.key == name)
    }
}

/// Returns the entries of a mapping that must have some; else tells what was expected.
pub(super) fn filled_mapping<'a>(
    entry: &'a Entry,
    what: &str,
    mistakes: &mut Mistakes,
) -> Option<&'a [Entry]> {
    match &entry.value.kind {
        Kind::Mapping(entries) if !entries.is_empty() => return Some(entries),
        Kind::Refused => {}
        Kind::Mapping(_) | Kind::Nothing => mistakes.add(
            entry.at,
            format!("{} has nothing in it", quote(&entry.key)),
            "write its keys under it, further indented, or take the line away",
        ),
        Kind::List(_) | Kind::Scalar(_) => mistakes.add(
            entry.value.at,
            // The value itself is not repeated: it may be a key that was written one line too high.
            format!(
                "expected {what}, as KEY: VALUE lines, and found {}",
                entry.value.kind_name()
            ),
            entry.value.spaced_hint().unwrap_or_else(|| {
                format!(
                    "write the keys of {what} under {}, further indented",
                    quote(&entry.key)
                )
            }),
        ),
    }
    None
}

/// Returns the entries of a file, which may have none.
pub(super) fn file_entries<'a>(root: &'a Node, mistakes: &mut Mistakes) -> &'a [Entry] {
    match &root.kind {
        Kind::Mapping(entries) => entries,
        Kind::Refused | Kind::Nothing => &[],
        Kind::List(_) | Kind::Scalar(_) => {
            mistakes.add(
                root.at,
                format!(
                    "expected settings as KEY: VALUE lines, and found {}",
                    root.describe()
                ),
                root.spaced_hint()
                    .unwrap_or_else(|| "write lines such as \"shutdown: cutoff\"".to_owned()),
            );
            &[]
        }
    }
}

fn tell_unknown(entry: &Entry, section: &'static Section, mistakes: &mut Mistakes) {
    let word = entry.key.as_str();
    if let Some(what) = keys::later(word) {
        not_yet(
            entry.at,
            word,
            &format!("it is for {what}; take it away"),
            mistakes,
        );
        return;
    }
    let names = section.names().collect::<Vec<_>>().join(", ");
    let other = section.by_other_word(word);
    let home = keys::home_of(word).filter(|_| other.is_none());
    let meant = other.or_else(|| nearest(word, section.names()));
    let hint = match (meant, home) {
        (_, Some(home)) if home.path.is_empty() => {
            format!("{word} stands at the beginning of a line, outside of any other key")
        }
        (_, Some(home)) => format!("{word} belongs under \"{}:\"", home.path),
        (Some(meant), None) => format!("did you mean \"{meant}\"? There are {names}"),
        (None, None) => format!("there are {names}"),
    };
    mistakes.add(
        entry.at,
        format!("unknown key {} in {}", quote(word), section.name),
        hint,
    );
}

/// Tells of a word that a later version knows.
pub(super) fn not_yet(at: At, word: &str, hint: &str, mistakes: &mut Mistakes) {
    mistakes.add(
        at,
        format!("{} is not available in this version", quote(word)),
        hint,
    );
}
