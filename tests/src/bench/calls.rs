//! Whole calls on kept connections: one after the other, or as fast as sixteen clients can.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::parts::Target;

/// A kept HTTP/1.1 connection that sends the same call again and again.
///
/// It reads bytes and looks for the end of the chunked body, on a thread that waits in the kernel,
/// so that the load costs next to nothing beside what is measured.
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(target: &Target) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&target.address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request: request(target),
            buffer: vec![0; 64 << 10],
        })
    }

    /// Makes a call; returns the time to its first byte and to its last.
    fn call(&mut self) -> anyhow::Result<(Duration, Duration)> {
        let started = Instant::now();
        self.stream.write_all(&self.request)?;
        let mut first = None;
        let mut tail = Vec::with_capacity(8);
        loop {
            let read = self.stream.read(&mut self.buffer)?;
            anyhow::ensure!(read > 0, "the connection was closed");
            if first.is_none() {
                first = Some(started.elapsed());
                let head = self.buffer.get(..12).unwrap_or_default();
                let said = String::from_utf8_lossy(self.buffer.get(..read).unwrap_or_default());
                anyhow::ensure!(head.ends_with(b"200"), "not served: {said}");
            }
            let bytes = self.buffer.get(..read).unwrap_or_default();
            tail.extend_from_slice(bytes.get(read.saturating_sub(7)..).unwrap_or_default());
            let keep = tail.len().saturating_sub(7);
            tail.drain(..keep);
            if tail == b"\r\n0\r\n\r\n" {
                return Ok((first.context("no first byte")?, started.elapsed()));
            }
        }
    }
}

/// Returns the call: a streamed one with a prompt of 2 kB.
pub(super) fn request(target: &Target) -> Vec<u8> {
    let prompt = "Rename the function and run the tests again. ".repeat(45);
    let body = format!(
        "{{\"model\":\"claude-opus-4-8\",\"max_tokens\":64000,\"stream\":true,\"messages\":[{{\"role\":\
         \"user\",\"content\":\"{prompt}\"}}]}}"
    );
    format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nanthropic-version: \
         2023-06-01\r\nx-api-key: sk-own\r\ncontent-length: {}\r\n\r\n{body}",
        target.path,
        target.address,
        body.len()
    )
    .into_bytes()
}

/// Makes calls one after the other; returns each one's time to the first and last byte, in µs.
pub(super) fn in_turn(target: &Target, calls: usize) -> anyhow::Result<Vec<(u64, u64)>> {
    let mut connection = Connection::open(target)?;
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let (first, last) = connection.call()?;
        times.push((micros(first), micros(last)));
    }
    Ok(times)
}

/// Has clients call as fast as they can; returns calls a second.
pub(super) fn at_once(target: &Target, clients: usize, span: Duration) -> anyhow::Result<u64> {
    let started = Instant::now();
    let client = || {
        let mut connection = Connection::open(target)?;
        let mut calls = 0_u64;
        while started.elapsed() < span {
            connection.call()?;
            calls += 1;
        }
        anyhow::Ok(calls)
    };
    let calls: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let ended = threads.into_iter().map(|thread| match thread.join() {
            Ok(calls) => calls,
            Err(_) => anyhow::bail!("a client panicked"),
        });
        ended.sum::<anyhow::Result<u64>>()
    })?;
    Ok(calls * 1_000_000 / micros(started.elapsed()).max(1))
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The figures of several rounds.
#[derive(Debug, Default)]
pub(super) struct Times {
    rounds: Vec<[u64; 4]>,
}

impl Times {
    /// Adds a round: p50 and p99 of the first byte, then of the last.
    pub(super) fn add(&mut self, times: Vec<(u64, u64)>) {
        let (mut first, mut last): (Vec<u64>, Vec<u64>) = times.into_iter().unzip();
        first.sort_unstable();
        last.sort_unstable();
        let at = |sorted: &[u64], percent: usize| {
            sorted
                .get(sorted.len() * percent / 100)
                .copied()
                .unwrap_or(0)
        };
        self.rounds
            .push([at(&first, 50), at(&first, 99), at(&last, 50), at(&last, 99)]);
    }

    /// Returns the median over the rounds of each figure.
    pub(super) fn medians(&self) -> [u64; 4] {
        std::array::from_fn(|figure| {
            let mut of: Vec<u64> = self
                .rounds
                .iter()
                .filter_map(|round| round.get(figure).copied())
                .collect();
            of.sort_unstable();
            of.get(of.len() / 2).copied().unwrap_or(0)
        })
    }
}
