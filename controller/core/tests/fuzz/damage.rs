//! What happens to well-formed bytes: a few of them are changed, lost, doubled or moved.

use crate::random::Random;

const PIECES: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\\",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b" ",
    b"0",
    b"-",
    b".",
    b"e",
    b"9",
    b"\\u00e9",
    b"\\ud83d",
    b"null",
    b"true",
    b"\"\"",
    b"data:",
    b"event:",
    b"[DONE]",
    b"\"usage\":",
    b"\"usage\":{",
    b"\xEF\xBB\xBF",
    b"\xC3\xA9",
    b"\xF0\x9F\x98\x80",
    b"\xFF",
    b"\x00",
];

/// Damages bytes in one to four places.
pub(crate) fn damage(random: &mut Random, body: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        if body.is_empty() {
            return;
        }
        let at = random.below(body.len());
        let end = body.len().min(at + 1 + random.below(40));
        match random.below(8) {
            0 => body[at] = u8::try_from(random.below(256)).unwrap(),
            1 => body[at] ^= 1 << random.below(8),
            2 => drop(body.remove(at)),
            3 => drop(body.drain(at..end)),
            4 => {
                let again = body[at..end].to_vec();
                let to = random.below(body.len());
                drop(body.splice(to..to, again));
            }
            5 => body.truncate(at),
            _ => drop(body.splice(at..at, random.pick(PIECES).iter().copied())),
        }
    }
}
