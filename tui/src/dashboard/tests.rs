//! Behaviour of the whole dashboard, by messages and pictures.

mod pictures;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::canvas::Hit;
use super::clean;
use super::state::State;
use super::view::view;

/// Draws a state into a buffer of its size.
fn draw(state: &State) -> (Buffer, Vec<Hit>) {
    let mut buffer = Buffer::empty(Rect::new(0, 0, state.start.width, state.start.height));
    let hits = view(state, &mut buffer);
    (buffer, hits)
}

/// Returns what a terminal shows of a state.
fn picture(state: &State) -> String {
    let (buffer, _) = draw(state);
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
