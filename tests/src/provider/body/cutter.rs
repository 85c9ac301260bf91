//! Events in, frames out: the cuts of a body, and which events are whole after each frame.

use std::collections::VecDeque;
use std::io::Write as _;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::provider::script::Chunking;

/// Cuts a body's bytes into frames.
#[derive(Debug)]
pub(super) struct Cutter {
    chunking: Chunking,
    gzip: Option<GzEncoder<Vec<u8>>>,
    /// Whole frames, each with the number of events it completes.
    ready: VecDeque<(Bytes, usize)>,
    /// Bytes of a frame that is not whole, and the events that end in them, by position.
    open: BytesMut,
    ends: VecDeque<usize>,
}

impl Cutter {
    pub(super) fn new(chunking: Chunking, gzip: bool) -> Self {
        Self {
            chunking,
            gzip: gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast())),
            ready: VecDeque::new(),
            open: BytesMut::new(),
            ends: VecDeque::new(),
        }
    }

    /// Adds a whole event.
    pub(super) fn push(&mut self, event: &Bytes) {
        let encoded = self.encoded(event);
        if self.chunking == Chunking::Events {
            self.ready.push_back((encoded, 1));
            return;
        }
        self.open.extend_from_slice(&encoded);
        self.ends.push_back(self.open.len());
        self.cut();
    }

    /// Adds a part of an event that will never be whole.
    pub(super) fn push_part(&mut self, part: &[u8]) {
        let encoded = self.encoded(&Bytes::copy_from_slice(part));
        self.open.extend_from_slice(&encoded);
        self.cut();
    }

    /// Ends the body: nothing more will be added.
    pub(super) fn close(&mut self) {
        if let Some(mut gzip) = self.gzip.take()
            && gzip.try_finish().is_ok()
        {
            self.open.extend_from_slice(&std::mem::take(gzip.get_mut()));
        }
        self.cut();
        self.flush();
    }

    /// Makes a frame of what is there, whole or not.
    pub(super) fn flush(&mut self) {
        if !self.open.is_empty() {
            let rest = self.open.len();
            self.take(rest);
        }
    }

    pub(super) fn pop(&mut self) -> Option<(Bytes, usize)> {
        self.ready.pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    fn encoded(&mut self, plain: &Bytes) -> Bytes {
        let Some(gzip) = &mut self.gzip else {
            return plain.clone();
        };
        // Writing into a vector cannot fail.
        let _written = gzip.write_all(plain).and_then(|()| gzip.flush());
        Bytes::from(std::mem::take(gzip.get_mut()))
    }

    fn cut(&mut self) {
        match self.chunking {
            Chunking::Events => {}
            Chunking::Together(events) => {
                while let Some(end) = self.ends.get(events.max(1) - 1).copied() {
                    self.take(end);
                }
            }
            Chunking::Split(bytes) => {
                while self.open.len() >= bytes.max(1) {
                    self.take(bytes.max(1));
                }
            }
        }
    }

    /// Makes a frame of the first `length` open bytes.
    fn take(&mut self, length: usize) {
        let frame = self.open.split_to(length).freeze();
        let events = self.ends.iter().take_while(|end| **end <= length).count();
        self.ends.drain(..events);
        for end in &mut self.ends {
            *end -= length;
        }
        self.ready.push_back((frame, events));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const EVENTS: [&str; 4] = ["first;", "second;", "3;", "the fourth;"];

    fn frames(chunking: Chunking) -> Vec<(String, usize)> {
        let mut cutter = Cutter::new(chunking, false);
        for event in EVENTS {
            cutter.push(&Bytes::from(event));
        }
        cutter.close();
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        std::iter::from_fn(|| cutter.pop())
            .map(|(frame, events)| (text(frame), events))
            .collect()
    }

    fn check(chunking: Chunking, expected: &[(&str, usize)]) {
        let expected: Vec<(String, usize)> = expected
            .iter()
            .map(|(text, events)| ((*text).to_owned(), *events))
            .collect();
        assert_eq!(frames(chunking), expected, "{chunking:?}");
    }

    #[test]
    fn frames_are_cut_as_told_and_know_which_events_they_complete() {
        check(Chunking::Events, &EVENTS.map(|event| (event, 1)));
        check(
            Chunking::Together(3),
            &[("first;second;3;", 3), ("the fourth;", 1)],
        );
        check(Chunking::Together(9), &[("first;second;3;the fourth;", 4)]);
        check(
            Chunking::Split(8),
            &[("first;se", 1), ("cond;3;t", 2), ("he fourt", 0), ("h;", 1)],
        );
        assert_eq!(frames(Chunking::Split(1)).len(), EVENTS.concat().len());
    }

    #[test]
    fn a_compressed_event_can_be_read_before_the_next_one_comes() {
        let mut cutter = Cutter::new(Chunking::Events, true);
        let mut reader = flate2::write::GzDecoder::new(Vec::new());
        let mut so_far = String::new();
        for event in EVENTS {
            cutter.push(&Bytes::from(event));
            so_far.push_str(event);
            let (frame, events) = cutter.pop().unwrap();
            reader.write_all(&frame).unwrap();
            reader.flush().unwrap();
            assert_eq!(
                (reader.get_ref().as_slice(), events),
                (so_far.as_bytes(), 1)
            );
        }
        cutter.close();
        let (end, events) = cutter.pop().unwrap();
        assert_eq!(events, 0);
        reader.write_all(&end).unwrap();
        assert_eq!(reader.finish().unwrap(), so_far.as_bytes());
    }
}
