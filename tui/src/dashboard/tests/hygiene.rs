//! No text of others steers the terminal, whatever it is.

use std::io::Write;

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::layout::Position;

use super::{Numbers, draw, picture, type_keys};
use crate::dashboard::clean::Clean;
use crate::dashboard::fixture;
use crate::dashboard::msg::{Answer, Happenings, Msg};
use crate::dashboard::rows::Bottle;
use crate::dashboard::state::State;

/// Bytes as a terminal would get them.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Draws a state through the real backend.
fn sent(state: &State) -> String {
    let (buffer, _) = draw(state);
    let mut wire = Wire::default();
    let cells = buffer.content.iter().enumerate().map(|(at, cell)| {
        let (x, y) = buffer.pos_of(at);
        (x, y, cell)
    });
    CrosstermBackend::new(&mut wire)
        .draw(cells)
        .expect("a vector takes every byte");
    String::from_utf8(wire.0).expect("what is sent is UTF-8")
}

/// Pieces that do harm in a terminal, and some that do not.
const PIECES: [&str; 24] = [
    "\u{1b}[2J",
    "\u{1b}]0;pwned\u{7}",
    "\u{9b}31m",
    "\u{7}",
    "\r",
    "\n",
    "\t",
    "\u{8}",
    "\u{7f}",
    "\u{202e}",
    "\u{2066}",
    "\u{200b}",
    "\u{200d}",
    "\u{feff}",
    "\u{ad}",
    "\u{fe0f}",
    "\u{e0041}",
    "a\u{301}\u{302}\u{303}\u{304}",
    "\u{301}",
    "日本語",
    "שלום",
    "👩‍👩‍👧",
    "\u{e000}",
    "plain",
];

fn hostile(numbers: &mut Numbers) -> String {
    (0..=numbers.next(6))
        .map(|_| {
            let at = usize::try_from(numbers.next(PIECES.len() as u64)).expect("an index");
            PIECES[at]
        })
        .collect()
}

/// Everything of a host that others can choose says something hostile.
fn poisoned(numbers: &mut Numbers, width: u16, height: u16) -> State {
    let mut delta = fixture::delta();
    let mut next = |kept: &str| format!("{kept}{}", hostile(numbers));
    delta.bottles = delta
        .bottles
        .into_iter()
        .map(|bottle| {
            let mut told = bottle.told;
            told.last_model = told.last_model.map(|model| next(&model));
            told.command = vec![next("run"), next("it")];
            for way in &mut told.closed {
                way.why = Some(next("because"));
            }
            Bottle::from(told)
        })
        .collect();
    let mut state = State::new(fixture::start(width, height));
    fixture::told(&mut state, Msg::Up(Box::new(fixture::greeting())));
    fixture::told(&mut state, Msg::Snapshot(Box::new(delta)));
    fixture::answer_details(&mut state);
    let rows = fixture::happenings()
        .into_iter()
        .map(|row| {
            let event = bb_proto::event::Event {
                explained: None,
                seq: row.seq + 10,
                at: row.at,
                kind: row.kind,
                actor: row.actor,
                bottle: None,
                run: None,
                budget: None,
                provider: None,
                text: next("said"),
                uid: None,
                why: Some(next("why")),
            };
            event.into()
        })
        .collect();
    let answer = Answer::Events {
        before: None,
        matching: None,
        result: Ok(Happenings { rows, more: false }),
    };
    fixture::told(&mut state, Msg::Answer(Box::new(answer)));
    state
}

fn is_steering(c: char) -> bool {
    matches!(
        u32::from(c),
        0x00..=0x1a | 0x1c..=0x1f | 0x7f..=0x9f | 0xad | 0x200b..=0x200f | 0x2028..=0x202e
            | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xe000..=0xf8ff | 0xe_0000..=0xe_0fff
    )
}

#[test]
fn nothing_but_our_own_sequences_reaches_the_terminal() {
    let mut numbers = Numbers(1);
    for round in 0_u16..60 {
        let mut state = poisoned(&mut numbers, 80 + round * 2, 24 + round % 40);
        for keys in ["", "e", "e2"] {
            type_keys(&mut state, keys);
            let bytes = sent(&state);
            let steering = bytes.chars().find(|c| is_steering(*c));
            assert_eq!(steering, None, "round {round}");
            for after in bytes.split('\u{1b}').skip(1) {
                let known =
                    after.trim_start_matches(|c: char| "[;".contains(c) || c.is_ascii_digit());
                assert!(
                    after.starts_with('[') && known.starts_with(['m', 'H']),
                    "round {round}: ESC {:?}",
                    after.chars().take(12).collect::<String>()
                );
            }
        }
    }
}

#[test]
fn a_hostile_text_leaves_the_cells_behind_its_column_alone() {
    let mut numbers = Numbers(7);
    let start = fixture::start(200, 24);
    let column = picture(&fixture::drawn(start))
        .lines()
        .find_map(|line| {
            line.find("UP ENFORCED")
                .map(|at| line[..at].chars().count())
        })
        .expect("the column");
    let calm = fixture::drawn(fixture::start(200, 24));
    let (calm, _) = draw(&calm);
    for round in 0..100 {
        let state = poisoned(&mut numbers, 200, 24);
        let (buffer, _) = draw(&state);
        for y in 5..15 {
            for x in u16::try_from(column).expect("a column")..200 {
                let place = Position::new(x, y);
                assert_eq!(
                    buffer[place].symbol(),
                    calm[place].symbol(),
                    "round {round} at {x},{y}"
                );
            }
        }
    }
}

#[test]
fn names_that_look_alike_once_they_are_clean_are_told_apart() {
    let marks = "क\u{941}\u{941}\u{941}";
    let more = "क\u{941}\u{941}\u{942}";
    assert_eq!(Clean::new(marks), Clean::new(more), "alike once clean");
    let mut bottles = fixture::delta().bottles;
    bottles.truncate(2);
    for (bottle, name) in bottles.iter_mut().zip([marks, more]) {
        let mut told = bottle.told.clone();
        told.name = fixture::name(name);
        *bottle = Bottle::from(told);
    }
    let shown: Vec<&Clean> = bottles.iter().map(|bottle| &bottle.name).collect();
    assert_ne!(shown[0], shown[1]);
}
