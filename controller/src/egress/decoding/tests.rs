//! What is encoded stands for the same at any cut, and for no more than is allowed.

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::*;

/// A message in brotli, for which there is no encoder here.
const MESSAGE_IN_BROTLI: &[&str] = &[
    "1b9500288cc374a33d7f84708d2619c1f2c81f2cc8280830d846dd9a45a7abaf4e0ed8af59456f5f",
    "102612b0663ba4e586314ae4c83be6abbd44272ab6ac57a0c32b845b45003b1191a7bc581f038c56",
    "36eb131f4711ccbb06f31f",
];
/// The same with 64 MiB of blanks for a text.
const BOMB_IN_BROTLI: &[&str] = &[
    "cbffff3f088cd462cd19eed422205b7b8b45c7636cec2bf9ca67edcb63ec9a72c8b5a6dc7e65861b",
    "1d2f620f485f78ff57c4ffff3ff82500e2b00840f7fe8fffff7ff04b00c4610180eefd1fffffffe0",
    "970088c30200ddfb3ffeffffc12f0110870500baf77ffcffff835f02200e0b0074effff8ffff07bf",
    "04401c1600e8defff1ffff0f7e0980382c00d0bdff0b3200fc466ab1e64c6752b7a5befcf2b72e26",
    "8308bfe09e64a1d34668b24a542a84ccf0a0615898c0f5b1f33627ebac7c7043351912",
];

fn bytes(lines: &[&str]) -> Vec<u8> {
    let digits = lines.concat();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// Encodes a text, flushed in its middle as an event stream is.
fn encode(coding: Coding, with_header: bool, text: &[u8]) -> Vec<u8> {
    fn write<W: Write>(mut encoder: W, text: &[u8]) -> W {
        for half in text.chunks(text.len().div_ceil(2)) {
            encoder.write_all(half).expect("bytes in memory");
            encoder.flush().expect("bytes in memory");
        }
        encoder
    }
    let level = Compression::default();
    let encoded = match (coding, with_header) {
        (Coding::Gzip, _) => write(GzEncoder::new(Vec::new(), level), text).finish(),
        (Coding::Deflate, true) => write(ZlibEncoder::new(Vec::new(), level), text).finish(),
        (Coding::Deflate, false) => write(DeflateEncoder::new(Vec::new(), level), text).finish(),
        (Coding::Zstd, _) => {
            let encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
            write(encoder, text).finish()
        }
        (Coding::Brotli, _) => Ok(bytes(MESSAGE_IN_BROTLI)),
    };
    encoded.expect("bytes in memory")
}

fn decode(coding: Coding, encoded: &[u8], step: usize) -> io::Result<Vec<u8>> {
    let mut decoder = Decoder::new(coding).expect("memory");
    let mut plain = Vec::new();
    for chunk in encoded.chunks(step) {
        let (bytes, fault) = decoder.decode(chunk);
        plain.extend_from_slice(&bytes);
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    plain.extend_from_slice(&decoder.finish());
    Ok(plain)
}

#[test]
fn each_coding_stands_for_the_same_at_any_cut() {
    let text = "data: {\"type\":\"a\",\"text\":\"h\u{e9}llo\"}\n\n".repeat(20);
    let codings = [Coding::Gzip, Coding::Deflate, Coding::Zstd];
    for coding in codings {
        for with_header in [true, false] {
            let encoded = encode(coding, with_header, text.as_bytes());
            for step in 1..=encoded.len() {
                let decoded = decode(coding, &encoded, step).expect("it decodes");
                assert!(decoded == text.as_bytes(), "{coding:?} {step}");
            }
        }
    }
    let encoded = bytes(MESSAGE_IN_BROTLI);
    let whole = decode(Coding::Brotli, &encoded, encoded.len()).expect("it decodes");
    assert!(whole.starts_with(b"{"));
    for step in 1..encoded.len() {
        let decoded = decode(Coding::Brotli, &encoded, step).expect("it decodes");
        assert_eq!(decoded, whole, "{step}");
    }
}

#[test]
fn what_was_flushed_is_read_before_more_comes() {
    let text = "data: {\"n\":1}\n\n".repeat(2);
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
        let encoded = encode(coding, true, text.as_bytes());
        let mut decoder = Decoder::new(coding).expect("memory");
        let mut plain = Vec::new();
        let mut needed = 0;
        for byte in &encoded {
            needed += 1;
            let (bytes, fault) = decoder.decode(&[*byte]);
            assert!(fault.is_none(), "{coding:?} {fault:?}");
            plain.extend(bytes);
            if plain.len() >= text.len() / 2 {
                break;
            }
        }
        assert!(needed < encoded.len(), "{coding:?} came only with its end");
    }
}

#[test]
fn a_few_bytes_that_stand_for_megabytes_are_not_decoded() {
    let blanks = vec![b' '; 64 << 20];
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd, Coding::Brotli] {
        let bomb = match coding {
            Coding::Brotli => bytes(BOMB_IN_BROTLI),
            _ => encode(coding, true, &blanks),
        };
        assert!(bomb.len() < 100_000, "{coding:?} {}", bomb.len());
        let mut decoder = Decoder::new(coding).expect("memory");
        let mut came = 0;
        let failed = bomb.chunks(512).any(|chunk| {
            let (bytes, fault) = decoder.decode(chunk);
            came += bytes.len();
            fault.is_some()
        });
        assert!(failed, "{coding:?}");
        let most = DECODED_BYTES_FREE.max(bomb.len() as u64 * RATIO_MAX);
        assert!(came as u64 <= most, "{coding:?} {came}");
    }
}

#[test]
fn a_window_beyond_what_http_allows_is_not_made() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder
        .window_log(ZSTD_WINDOW_LOG_MAX + 4)
        .expect("a window");
    encoder.write_all(b"a few bytes").expect("bytes in memory");
    let wide = encoder.finish().expect("bytes in memory");
    assert!(decode(Coding::Zstd, &wide, wide.len()).is_err());
}

#[test]
fn what_is_none_of_its_coding_is_an_error() {
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
        let noise: Vec<u8> = (0..=255).rev().cycle().take(4_096).collect();
        assert!(decode(coding, &noise, 100).is_err(), "{coding:?}");
    }
}

#[test]
fn what_came_before_a_fault_counts_wherever_it_was_cut() {
    let text = "data: {\"type\":\"a\"}\n\n".repeat(3);
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
        let mut encoded = encode(coding, true, text.as_bytes());
        let whole = encoded.len();
        encoded.extend_from_slice(b"junkjunkjunk");
        for step in [1, 5, whole, encoded.len()] {
            let mut decoder = Decoder::new(coding).expect("memory");
            let mut plain = Vec::new();
            for chunk in encoded.chunks(step) {
                let (bytes, fault) = decoder.decode(chunk);
                plain.extend_from_slice(&bytes);
                if fault.is_some() {
                    break;
                }
            }
            let plain = String::from_utf8(plain).expect("text");
            assert_eq!(plain, text, "{coding:?} in pieces of {step}");
        }
    }
}

#[test]
fn one_piece_does_not_become_hundreds_of_megabytes_at_once() {
    let mut decoder = Decoder::new(Coding::Zstd).expect("memory");
    // Much that does not shrink makes room for much that does.
    decoder.raw_bytes = 10 << 20;
    let blanks = vec![b' '; 64 << 20];
    let bomb = encode(Coding::Zstd, true, &blanks);
    let (bytes, fault) = decoder.decode(&bomb);
    assert!(fault.is_some());
    assert!(bytes.len() <= AT_ONCE_MAX);
}
