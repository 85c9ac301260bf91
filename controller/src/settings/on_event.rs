//! Owns the reading of the command that is run at events.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bb_core::hooks::KINDS;
use bb_proto::event::EventKind;

use super::block::Block;
use super::keys::ON_EVENT;
use super::mistakes::{At, Mistakes, nearest, quote};
use super::tree::{Entry, Kind, Node};
use super::value;

/// How long the command may take, where nothing else is written.
pub const HOOK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The most words of a command.
const WORDS_MAX: usize = 64;
/// The longest word of a command, in bytes.
const WORD_BYTES_MAX: usize = 4_096;
const TIMEOUT_LEAST: Duration = Duration::from_millis(100);
const TIMEOUT_MOST: Duration = Duration::from_mins(10);
const FORM: &str = "write a path that begins with / or ~/, such as ~/bin/on-budget, or a list of a path and its arguments";

/// The command that is run at events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSetting {
    /// The program, by a path that begins with `/` or `~/`.
    pub program: String,
    /// What it is given besides.
    pub arguments: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// The kinds of events at which it is run; never none.
    pub events: Vec<EventKind>,
    /// Where it stands in the file.
    pub line: u32,
}

impl HookSetting {
    /// Returns the program's path; `home` is the operator's, where it is known.
    ///
    /// Fails where the program is below a home that is not known.
    pub fn path(&self, home: Option<OsString>) -> Result<PathBuf, String> {
        let Some(rest) = self.program.strip_prefix("~/") else {
            return Ok(PathBuf::from(&self.program));
        };
        home.filter(|home| !home.is_empty())
            .map(|home| Path::new(&home).join(rest))
            .ok_or_else(|| "it is below the home directory, and HOME is not set".to_owned())
    }
}

/// Reads what stands behind `on_event:`.
pub(super) fn read(entry: &Entry, mistakes: &mut Mistakes) -> Option<HookSetting> {
    let block = Block::open(entry, &ON_EVENT, mistakes)?;
    let timeout = block
        .get("timeout")
        .and_then(|entry| value::duration(entry, TIMEOUT_LEAST, TIMEOUT_MOST, mistakes));
    let events = block.get("events").map(|entry| events(entry, mistakes));
    let Some(command) = block.get("command") else {
        mistakes.add(
            entry.at,
            "\"on_event\" has no command",
            "write \"command: ~/bin/on-budget\" under it",
        );
        return None;
    };
    let mut words = words(command, mistakes)?.into_iter();
    Some(HookSetting {
        program: words.next()?,
        arguments: words.collect(),
        timeout: timeout.unwrap_or(HOOK_TIMEOUT_DEFAULT),
        events: events.unwrap_or_else(|| KINDS.iter().map(|(_, kind)| *kind).collect()),
        line: entry.at.line,
    })
}

/// Reads the words of a command: a path alone, which is not split, or a list.
fn words(entry: &Entry, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    let nodes = if let Kind::List(nodes) = &entry.value.kind {
        nodes.as_slice()
    } else {
        value::scalar(entry, "the path of a program", mistakes)?;
        std::slice::from_ref(&entry.value)
    };
    let Some(first) = nodes.first() else {
        mistakes.add(entry.value.at, "\"command\" is an empty list", FORM);
        return None;
    };
    if nodes.len() > WORDS_MAX {
        let text = format!(
            "{} words are more than the {WORDS_MAX} there can be",
            nodes.len()
        );
        mistakes.add_plain(entry.value.at, text);
        return None;
    }
    let words: Vec<Option<String>> = nodes.iter().map(|node| word(node, mistakes)).collect();
    let words = words.into_iter().collect::<Option<Vec<String>>>()?;
    program(words.first()?, first.at, mistakes).then_some(words)
}

fn word(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let text = &value::scalar_of(node, "a word of the command", mistakes)?.text;
    if text.len() <= WORD_BYTES_MAX && !text.contains('\0') {
        return Some(text.clone());
    }
    let what = if text.contains('\0') {
        "has a NUL in it".to_owned()
    } else {
        format!("is longer than {WORD_BYTES_MAX} bytes")
    };
    mistakes.add_plain(node.at, format!("{} {what}", quote(text)));
    None
}

/// Returns whether a path can be a program's; whether one below `~/` is there is seen when it is
/// run.
fn program(path: &str, at: At, mistakes: &mut Mistakes) -> bool {
    let is_below_home = path.strip_prefix("~/").is_some_and(|rest| !rest.is_empty());
    if is_below_home {
        return true;
    }
    if !path.starts_with('/') {
        mistakes.add(at, format!("{} is no path of a program", quote(path)), FORM);
        return false;
    }
    let (text, hint) = match std::fs::metadata(path) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => return true,
        Ok(found) if found.is_file() => (
            format!("{} is not executable", quote(path)),
            format!("chmod +x {path:?}"),
        ),
        Ok(_) => (format!("{} is no file", quote(path)), FORM.to_owned()),
        Err(error) => (
            format!("{} cannot be run: {error}", quote(path)),
            FORM.to_owned(),
        ),
    };
    mistakes.add(at, text, hint);
    false
}

fn events(entry: &Entry, mistakes: &mut Mistakes) -> Vec<EventKind> {
    let names = || KINDS.iter().map(|(word, _)| *word);
    let all = names().collect::<Vec<_>>().join(", ");
    let nodes = match &entry.value.kind {
        Kind::Refused => return Vec::new(),
        Kind::List(nodes) if !nodes.is_empty() => nodes,
        _ => {
            let at = match entry.value.kind {
                Kind::Nothing => entry.at,
                _ => entry.value.at,
            };
            let text = format!(
                "expected a list of events, and found {}",
                match entry.value.kind {
                    Kind::List(_) => "an empty one".to_owned(),
                    _ => entry.value.describe(),
                }
            );
            let hint = format!(
                "write such as [exhausted, cutoff], or take the line away for all of {all}"
            );
            mistakes.add(at, text, hint);
            return Vec::new();
        }
    };
    let mut kinds = Vec::new();
    for node in nodes {
        let Some(scalar) = value::scalar_of(node, "an event", mistakes) else {
            continue;
        };
        let word = scalar.text.as_str();
        match KINDS.iter().find(|(name, _)| *name == word) {
            Some((_, kind)) if kinds.contains(kind) => {
                let text = format!("{} is there twice", quote(word));
                mistakes.add(node.at, text, "keep one of them");
            }
            Some((_, kind)) => kinds.push(*kind),
            None => {
                let text = format!("{} is no event that runs a command", quote(word));
                let hint = match nearest(word, names()) {
                    Some(meant) => format!("did you mean {meant}? There are {all}"),
                    None => format!("there are {all}"),
                };
                mistakes.add(node.at, text, hint);
            }
        }
    }
    kinds
}
