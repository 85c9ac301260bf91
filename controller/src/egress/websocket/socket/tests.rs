//! Odd and damaged frames, each read whole and in pieces: nothing breaks, and what is well formed
//! is read as it was said.
//!
//! `BB_FUZZ_INPUTS` says how many, `BB_FUZZ_SEED` the seed of the first; each next one has the next.
//! A failure prints its seed.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use super::*;

/// How many inputs there are where nobody says.
const INPUTS: u64 = 100_000;
/// The longest message that is taken, in bytes.
const LONGEST: u64 = 300;

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("it is below a length")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("it is below 256")
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What was said, in pieces, and then no more; what is written to it is lost.
#[derive(Debug)]
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(piece) = self.0.front_mut() {
            let rest = piece.split_off(piece.len().min(into.remaining()));
            into.put_slice(piece);
            *piece = rest;
            if piece.is_empty() {
                self.0.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Appends a frame; `mask` as a client's.
fn frame(out: &mut Vec<u8>, first: u8, payload: &[u8], mask: Option<[u8; 4]>) {
    out.push(first);
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(masked | length),
        _ => {
            out.push(masked | 0x7E);
            let length = u16::try_from(payload.len()).expect("a short payload");
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    match mask {
        None => out.extend_from_slice(payload),
        Some(mask) => {
            out.extend_from_slice(&mask);
            let masked = payload.iter().zip(mask.iter().cycle());
            out.extend(masked.map(|(byte, mask)| byte ^ mask));
        }
    }
}

/// Well-formed frames and the texts they carry: fragments, with pings and pongs between.
fn frames(random: &mut Random, side: Side) -> (Vec<u8>, Vec<String>) {
    const WORDS: [&str; 6] = [
        r#"{"type":"response.create"}"#,
        "h\u{e9}llo \u{20ac} \u{1f600}",
        "",
        "a",
        r#"{"type":"response.output_text.delta","delta":"words of it"}"#,
        "the longest that is said at once, and repeated, to have a length of two bytes; ",
    ];
    let mut bytes = Vec::new();
    let mut texts = Vec::new();
    let mask = |random: &mut Random| {
        let key = [1, 77, 0, 255].map(|byte: u8| byte.wrapping_add(random.byte()));
        (side == Side::Client).then_some(key)
    };
    for _ in 0..=random.below(4) {
        let text = WORDS[random.below(WORDS.len())].repeat(1 + random.below(3));
        let mut rest = text.as_bytes();
        let mut first = 0x01;
        loop {
            let (now, later) = rest.split_at(random.below(rest.len() + 1));
            let is_last = later.is_empty() || random.one_in(3);
            let now = if is_last { rest } else { now };
            let key = mask(random);
            frame(&mut bytes, first | if is_last { 0x80 } else { 0 }, now, key);
            first = 0x00;
            if random.one_in(4) {
                let key = mask(random);
                frame(
                    &mut bytes,
                    if random.one_in(2) { 0x89 } else { 0x8A },
                    b"are you there",
                    key,
                );
            }
            if is_last {
                break;
            }
            rest = later;
        }
        texts.push(text);
    }
    (bytes, texts)
}

/// Changes a few bytes somewhere.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = random.byte(),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.splice(at..at, [0x81, 0xFF, 0xFF, 0xFF, 0x7F])),
            _ => bytes.truncate(at.max(1)),
        }
    }
}

/// Reads frames that come in these pieces; returns the texts.
fn read(side: Side, pieces: VecDeque<Vec<u8>>) -> Vec<String> {
    let opening = socket_on(Pieces(pieces), side, LONGEST);
    let mut socket = opening.now_or_never().expect("it waits for nothing");
    let mut texts = Vec::new();
    loop {
        match socket.receive().now_or_never().expect("all is there") {
            Received::Text(text) => {
                assert!(side == Side::Provider || text.len() as u64 <= LONGEST);
                texts.push(text.as_str().to_owned());
            }
            Received::Binary => {}
            Received::Closed(_) => return texts,
        }
    }
}

fn in_pieces(random: &mut Random, bytes: &[u8]) -> VecDeque<Vec<u8>> {
    let mut pieces = VecDeque::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(1 + random.below(rest.len().min(40)));
        pieces.push_back(piece.to_vec());
        rest = behind;
    }
    pieces
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn frames_are_read_as_they_were_said_and_damaged_ones_break_nothing() {
    let from = number("BB_FUZZ_SEED").unwrap_or(0);
    let inputs = number("BB_FUZZ_INPUTS").unwrap_or(INPUTS);
    for seed in from..from.saturating_add(inputs) {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let side = if random.one_in(2) {
            Side::Client
        } else {
            Side::Provider
        };
        let (mut bytes, said) = frames(&mut random, side);
        let is_damaged = random.one_in(2);
        if is_damaged {
            damage(&mut random, &mut bytes);
        }
        let whole = read(side, VecDeque::from([bytes.clone()]));
        let pieces = in_pieces(&mut random, &bytes);
        assert_eq!(read(side, pieces), whole, "seed {seed}: {bytes:?}");
        if !is_damaged {
            assert_eq!(whole, said, "seed {seed}: {bytes:?}");
        }
        let read: usize = whole.iter().map(String::len).sum();
        assert!(read <= bytes.len(), "seed {seed}");
    }
}

#[test]
fn a_message_that_is_too_long_ends_its_socket() {
    for side in [Side::Client, Side::Provider] {
        let mask = (side == Side::Client).then_some([1, 2, 3, 4]);
        let mut bytes = Vec::new();
        // In fragments, of which none is too long by itself.
        frame(&mut bytes, 0x01, &[b'a'; 200], mask);
        frame(&mut bytes, 0x80, &[b'a'; 200], mask);
        let texts = read(side, VecDeque::from([bytes]));
        assert_eq!(texts.is_empty(), side == Side::Client);
        // A length that is only claimed takes no memory.
        let claimed = [&[0x81, 0xFF][..], &u64::MAX.to_be_bytes()].concat();
        assert!(read(side, VecDeque::from([claimed])).is_empty());
    }
}
