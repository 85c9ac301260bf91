//! Everything that is printed: for people as text, for programs as JSON, one object a line.
//!
//! Nothing else in the command line writes to standard output or standard error.

use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout};
use serde::Serialize;

use super::exit::{Exit, Failure};
use crate::format::text;

/// Columns where the width is not known.
const WIDTH_DEFAULT: usize = 80;

/// Undoes what a full-screen program that was killed may have left switched on: the cursor is
/// kept, then the alternate screen, mouse, focus, paste, cursor-key and keyboard modes go.
const MODES_OFF: &str = "\x1b7\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\
     \x1b[?2004l\x1b[?2026l\x1b[?1l\x1b>\x1b[<u\x1b[>4m\x1b[?25h\x1b[0m";

/// Where a command's words go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Returns whether programs read it.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Returns how many columns a line may have.
    pub(super) fn width() -> usize {
        let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
        let terminal = || {
            io::stdout()
                .is_terminal()
                .then(crossterm::terminal::size)?
                .ok()
                .map(|(columns, _)| usize::from(columns))
        };
        terminal()
            .or_else(columns)
            .filter(|columns| *columns > 0)
            .unwrap_or(WIDTH_DEFAULT)
    }

    /// Prints a value: as one JSON object, or as the text that `people` makes of it.
    pub(super) fn show<T: Serialize>(
        self,
        value: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            print(&json_line(value)?)
        } else {
            print(&safe_lines(&people(value)))
        }
    }

    /// Prints values: each as one JSON object a line, or all as the text that `people` makes.
    pub(super) fn show_each<T: Serialize>(
        self,
        values: &[T],
        people: impl FnOnce(&[T]) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            print(
                &values
                    .iter()
                    .map(json_line)
                    .collect::<Result<String, _>>()?,
            )
        } else {
            print(&safe_lines(&people(values)))
        }
    }

    /// Prints a value like [`Output::show`], but the text as it is: for what a shell reads.
    pub(super) fn show_exact<T: Serialize>(
        self,
        value: &T,
        shell: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            print(&json_line(value)?)
        } else {
            print(&shell(value))
        }
    }

    /// Prints text as it is, and only where a terminal shows it cleaned: for what is exported.
    pub(super) fn put(text: &str) -> Result<(), Failure> {
        if io::stdout().is_terminal() {
            print(&safe_lines(text))
        } else {
            print(text)
        }
    }

    /// Returns whether nobody reads what we print any more.
    pub(super) fn reader_is_gone() -> bool {
        let out = io::stdout();
        let mut polled = [PollFd::new(out.as_fd(), PollFlags::empty())];
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        nix::poll::poll(&mut polled, PollTimeout::ZERO).is_ok()
            && polled.iter().any(|out| {
                out.revents()
                    .is_some_and(|happened| happened.intersects(gone))
            })
    }

    /// Says something beside the result, on standard error.
    pub(super) fn note<T: Serialize>(self, value: &T, people: impl FnOnce(&T) -> String) {
        if self.json {
            if let Ok(line) = json_line(value) {
                eprint(&line);
            }
        } else {
            eprint(&safe_lines(&people(value)));
        }
    }

    /// Says what weakens a result, on standard error.
    pub(super) fn warn(self, warning: &str) {
        self.note(&serde_json::json!({"warning": warning}), |_| {
            format!("warning: {}", text::clean(warning))
        });
    }

    /// Says why a command failed, on standard error, and returns its exit code.
    pub(super) fn fail(self, failure: &Failure) -> Exit {
        let Failure::Told(told) = failure else {
            return Exit::DONE;
        };
        self.note(&told.as_json(), |_| {
            let mut lines = format!("error: {}", text::clean(&told.message));
            if let Some(hint) = &told.hint {
                lines.push_str("\nhint: ");
                lines.push_str(&text::clean(hint));
            }
            lines
        });
        told.exit
    }

    /// Returns whether somebody is there to ask.
    pub(super) fn can_ask() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks before something that cannot be taken back.
    pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
        eprint(&format!("{} [y/N] ", text::clean(question)));
        let mut answer = String::new();
        io::stdin()
            .lock()
            .read_line(&mut answer)
            .map_err(|error| Failure::failed(format!("the answer cannot be read: {error}")))?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Prints help or the version, as clap made it.
    pub(super) fn help(error: &clap::Error) -> Exit {
        match error.print() {
            Ok(()) => Exit::DONE,
            Err(_) => Exit::FAILED,
        }
    }
}

/// Takes a terminal out of the modes that a killed program left it in.
pub(super) fn terminal_modes_off(terminal: &mut impl Write) -> io::Result<()> {
    terminal.write_all(MODES_OFF.as_bytes())?;
    terminal.flush()
}

/// Writes a value as one line of JSON that hides nothing from who reads it on a terminal.
pub(super) fn json_line<T: Serialize>(value: &T) -> Result<String, Failure> {
    let json = serde_json::to_string(value)
        .map_err(|error| Failure::failed(format!("the result cannot be written: {error}")))?;
    let mut line = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if text::is_shown(c) {
            line.push(c);
        } else {
            // Outside of strings JSON has no such character, so this is inside one.
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            line.extend(units.map(|unit| format!("\\u{unit:04x}")));
        }
    }
    line.push('\n');
    Ok(line)
}

/// Cleans line by line, and ends the last line where it is not ended.
fn safe_lines(lines: &str) -> String {
    let mut safe: Vec<String> = lines.lines().map(text::clean).collect();
    if !safe.is_empty() {
        safe.push(String::new());
    }
    safe.join("\n")
}

fn print(all: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(all.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::ReaderGone),
        Err(error) => Err(Failure::failed(format!(
            "the output cannot be written: {error}"
        ))),
    }
}

fn eprint(all: &str) {
    // Where standard error is gone, there is no place left to say so.
    io::stderr().lock().write_all(all.as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shows_no_hidden_character_and_reads_back_the_same() {
        let text = "a\u{202e}b\u{9b}c\u{e0041}d\te日";
        let line = json_line(&text).expect("a text");
        assert_eq!(line, "\"a\\u202eb\\u009bc\\udb40\\udc41d\\te日\"\n");
        assert_eq!(serde_json::from_str::<String>(&line).expect("json"), text);
    }

    #[test]
    fn every_line_is_ended_and_cleaned() {
        assert_eq!(safe_lines("a\nb\u{1b}[0m"), "a\nb␛[0m\n");
        assert_eq!(safe_lines(""), "");
    }
}
