//! Metering does not depend on where the bytes were cut, and nothing breaks it.

use bb_proto::usage::{Usage, Wire};
use proptest::prelude::*;

use super::super::Flowed;
use super::*;

/// All that a meter says of a body, and where it would have been held and ended.
#[derive(Debug, PartialEq)]
struct Said {
    usage: Usage,
    is_complete: bool,
    failed: bool,
    flowed: Flowed,
    names: [Option<String>; 2],
    others: Vec<(String, Usage)>,
    boundary: Option<usize>,
    at_boundary: bool,
    ending: Option<Vec<u8>>,
}

fn said(wire: Wire, body: &[u8], cuts: &[usize]) -> Said {
    let mut meter = Meter::new(wire, None, Quirks::default(), 1);
    let mut boundary = None;
    let mut from = 0;
    for to in cuts.iter().copied().chain([body.len()]) {
        let step = meter.read(&body[from..to]);
        boundary = step.boundary.map(|at| from + at).or(boundary);
        assert!(step.hold_at.is_none_or(|at| at <= to - from));
        from = to;
    }
    let ending = meter.ending("over");
    let at_boundary = meter.at_boundary();
    meter.finish();
    Said {
        usage: meter.usage(),
        is_complete: meter.is_complete(),
        failed: meter.failed(),
        flowed: meter.flowed_bytes(),
        names: [meter.model(), meter.response_id()].map(|name| name.map(str::to_owned)),
        others: meter.other_models().to_vec(),
        boundary,
        at_boundary,
        ending,
    }
}

fn any_wire() -> impl Strategy<Value = Wire> {
    prop::sample::select(WIRES.to_vec())
}

/// Pieces of streams and documents of all dialects, and of nothing.
fn any_piece() -> impl Strategy<Value = String> {
    let mut known: Vec<String> = WIRES.into_iter().flat_map(short_stream).collect();
    known.extend(
        known
            .clone()
            .iter()
            .map(|event| event.replace('\n', "\r\n")),
    );
    known.extend(
        known
            .clone()
            .iter()
            .map(|event| event.replace("data: ", "").trim().to_owned()),
    );
    known.extend(
        [
            "\n",
            "\r",
            "\r\n",
            "data:",
            "data: ",
            "event: error\n",
            "{",
            "}",
            "[",
            "]",
            ",",
            "\"",
            ":",
        ]
        .map(str::to_owned),
    );
    let odd = "(\\PC|[\"\\\\{}\\[\\],:\n\r ]|\\\\u[0-9a-f]{0,4}|-?[0-9]{1,20}){0,12}";
    prop_oneof![4 => prop::sample::select(known), 1 => odd.prop_map(String::from)]
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any_piece(), 0..8).prop_map(|all| all.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #[test]
    fn what_is_said_does_not_depend_on_the_cuts(
        wire in any_wire(),
        body in any_body(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let whole = said(wire, &body, &[]);
        prop_assert_eq!(&said(wire, &body, &cuts), &whole);
        let bytes: Vec<usize> = (0..body.len()).collect();
        prop_assert_eq!(&said(wire, &body, &bytes), &whole);
    }
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

/// Changes a few bytes somewhere.
fn damage(random: &mut Random, body: &mut Vec<u8>) {
    const PIECES: [&str; 18] = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\n", "\r", " ", "0", "-", "e", "\\u00e9",
        "null", "\"\"", "é",
    ];
    for _ in 0..random.below(4) {
        let at = random.below(body.len());
        let piece = PIECES[random.below(PIECES.len())].bytes();
        match random.below(4) {
            0 => body[at] = u8::try_from(random.below(256)).unwrap(),
            1 => drop(body.remove(at)),
            2 => drop(body.splice(at..=at, piece)),
            _ => drop(body.splice(at..at, piece)),
        }
    }
}

fn check_at_a_cut(random: &mut Random, wire: Wire, body: &[u8]) {
    let cut = random.below(body.len() + 1);
    let whole = said(wire, body, &[]);
    let pieces = said(wire, body, &[cut]);
    let text = String::from_utf8_lossy(body);
    assert_eq!(pieces, whole, "{wire:?}, cut at {cut}: {text:?}");
}

#[test]
fn damaged_bodies_break_nothing_and_read_the_same_at_any_cut() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for _ in 0..25_000 {
        for wire in WIRES {
            let events = short_stream(wire);
            let mut body = events[random.below(events.len())].clone().into_bytes();
            body.extend_from_slice(events[random.below(events.len())].as_bytes());
            damage(&mut random, &mut body);
            check_at_a_cut(&mut random, wire, &body);
        }
    }
}

#[test]
fn events_that_repeat_with_small_differences_read_as_they_do_one_by_one() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..4_000 {
        for wire in WIRES {
            let events = short_stream(wire);
            let event = events[random.below(events.len())].clone().into_bytes();
            let mut body = event.repeat(4);
            for _ in 0..3 {
                let mut again = event.clone();
                damage(&mut random, &mut again);
                body.extend_from_slice(&again);
            }
            let bytes: Vec<usize> = (0..body.len()).collect();
            let text = String::from_utf8_lossy(&body);
            assert_eq!(
                said(wire, &body, &[]),
                said(wire, &body, &bytes),
                "{wire:?}: {text:?}"
            );
        }
    }
}
