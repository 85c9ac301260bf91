//! Behaviour of the whole dashboard, by messages and pictures.

mod dialogs;
mod hygiene;
mod keys;
mod link;
mod order;
mod pictures;
mod sizes;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::canvas::Hit;
use super::clean;
use super::msg::{Act, Answer, Ask, Effect, Msg};
use super::rows::{Deed, Failure};
use super::state::State;
use super::update::update;
use super::view::view;

/// Draws a state into a buffer of its size.
fn draw(state: &State) -> (Buffer, Vec<Hit>) {
    let mut buffer = Buffer::empty(Rect::new(0, 0, state.start.width, state.start.height));
    let hits = view(state, &mut buffer);
    (buffer, hits)
}

/// Returns what a terminal shows of a buffer.
fn written(buffer: &Buffer) -> String {
    let mut lines = Vec::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[Position::new(x, y)].symbol();
            line.push_str(symbol);
            x += clean::width(symbol).max(1);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// Returns what a terminal shows of a state.
fn picture(state: &State) -> String {
    written(&draw(state).0)
}

fn press(state: &mut State, code: KeyCode) -> Vec<Effect> {
    update(state, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// Presses the keys of a text, one after another.
fn type_keys(state: &mut State, text: &str) -> Vec<Effect> {
    text.chars()
        .flat_map(|c| press(state, KeyCode::Char(c)))
        .collect()
}

fn control(state: &mut State, c: char) -> Vec<Effect> {
    update(
        state,
        Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)),
    )
}

/// Returns the acts among what is wanted.
fn acts(effects: &[Effect]) -> Vec<&Act> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask(Ask::Act(act)) => Some(act),
            _ => None,
        })
        .collect()
}

/// Answers an act.
fn answer(state: &mut State, act: &Act, result: Result<Deed, Failure>) -> Vec<Effect> {
    update(
        state,
        Msg::Answer(Box::new(Answer::Act(act.clone(), result))),
    )
}

/// Returns the name under the cursor.
fn cursor(state: &State) -> String {
    state
        .table
        .cursor()
        .map_or_else(String::new, ToString::to_string)
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
