//! Every size is drawn: no panic, no cell outside, no letter half.

use crossterm::event::KeyCode;
use ratatui::layout::Position;

use super::{draw, picture, press, type_keys};
use crate::dashboard::clean::{self, clean};
use crate::dashboard::fixture;
use crate::dashboard::msg::Msg;
use crate::dashboard::rows::{Failure, Greeting};
use crate::dashboard::state::State;

/// One state for each kind of screen.
fn states() -> Vec<State> {
    let main = fixture::drawing();
    let mut dialog = main.clone();
    type_keys(&mut dialog, "x");
    let mut raise = main.clone();
    type_keys(&mut raise, "+");
    let mut help = main.clone();
    type_keys(&mut help, "?");
    let mut events = main.clone();
    type_keys(&mut events, "e");
    let mut zoomed = main.clone();
    press(&mut zoomed, KeyCode::Enter);
    type_keys(&mut zoomed, "2");
    let mut filter = main.clone();
    type_keys(&mut filter, "/translate-日本 nothing:like that");
    let mut down = main.clone();
    fixture::told(&mut down, Msg::Down(Failure::Broken(clean!("gone"))));
    let mut version = main.clone();
    let other = Greeting {
        protocol: 3,
        ..fixture::greeting()
    };
    fixture::told(&mut version, Msg::OtherVersion(Box::new(other)));
    let empty = State::new(fixture::start(80, 24));
    vec![
        main, dialog, raise, help, events, zoomed, filter, down, version, empty,
    ]
}

fn check(state: &mut State, width: u16, height: u16) {
    fixture::told(state, Msg::Resize { width, height });
    let (buffer, hits) = draw(state);
    for y in 0..height {
        for x in 0..width {
            let symbol = buffer[Position::new(x, y)].symbol();
            let is_half = clean::width(symbol) == 2 && x + 1 == width;
            assert!(!is_half, "{symbol} is cut in half at {width}x{height}");
        }
    }
    for hit in hits {
        assert!(
            hit.area.right() <= width && hit.area.bottom() <= height,
            "{hit:?} at {width}x{height}"
        );
    }
}

#[test]
fn every_screen_is_drawn_at_every_width() {
    for mut state in states() {
        for width in 1..=220 {
            for height in [1, 3, 10, 24, 40] {
                check(&mut state, width, height);
            }
        }
    }
}

#[test]
fn every_screen_is_drawn_at_every_height() {
    for mut state in states() {
        for height in 1..=70 {
            for width in [2, 12, 16, 50, 80, 160] {
                check(&mut state, width, height);
            }
        }
    }
}

#[test]
fn a_buffer_of_another_size_than_the_state_knows_is_drawn_within_itself() {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    for state in states() {
        for (width, height) in [(1, 1), (20, 5), (80, 10), (200, 60)] {
            let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
            super::view(&state, &mut buffer);
        }
    }
}

#[test]
fn the_most_urgent_is_named_on_every_screen_that_has_room_for_a_name() {
    let mut state = fixture::drawing();
    for (width, height) in [(20, 5), (16, 1), (49, 9), (50, 10), (300, 100)] {
        fixture::told(&mut state, Msg::Resize { width, height });
        let drawn = picture(&state);
        assert!(drawn.contains("812"), "{width}x{height}\n{drawn}");
    }
}

#[test]
fn a_question_in_a_tiny_window_shows_both_its_keys() {
    let mut state = fixture::drawn(fixture::start(16, 4));
    type_keys(&mut state, "x");
    let drawn = picture(&state);
    assert!(
        drawn.contains("y cut off") && drawn.contains("n no"),
        "{drawn}"
    );
}
