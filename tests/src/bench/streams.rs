//! Many slow streams at once: every byte is checked, processor time and memory are read off.

use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::calls::request;
use super::parts::Target;

/// What was seen of the streams through one target.
#[derive(Debug)]
pub(super) struct Seen {
    /// Processor time of the processes in between.
    pub(super) cpu: Duration,
    /// Memory they had more with all streams open, a stream.
    pub(super) bytes_a_stream: u64,
    pub(super) events: usize,
    /// Streams whose text is not that of the first one.
    pub(super) wrong: usize,
    /// The events of a stream, without the head, whose ids differ.
    pub(super) said: String,
}

/// Opens `count` streams, reads them to their end.
pub(super) async fn run(target: &Target, count: usize) -> anyhow::Result<Seen> {
    let (cpu_before, memory_before) = (cpu(target), memory(target));
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let target = target.clone();
        tasks.spawn(async move { read_stream(&target).await });
    }
    // Half of the ten seconds a stream takes: all are open.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let memory_open = memory(target);
    let mut texts = Vec::with_capacity(count);
    while let Some(text) = tasks.join_next().await {
        texts.push(text??);
    }
    let cpu = cpu(target).saturating_sub(cpu_before);
    let whole = texts.first().context("no streams")?.clone();
    let events = texts
        .iter()
        .map(|text| text.matches("event: content_block_delta").count())
        .sum();
    let expected = whole.matches("event: content_block_delta").count();
    let said = deltas(&whole);
    let wrong = texts
        .iter()
        .filter(|text| deltas(text) != said || expected < 200)
        .count();
    Ok(Seen {
        cpu,
        bytes_a_stream: memory_open.saturating_sub(memory_before) / count.max(1) as u64,
        events,
        wrong,
        said,
    })
}

/// Returns the events of a stream without the head, whose ids differ.
fn deltas(text: &str) -> String {
    text.split("event: content_block_start")
        .nth(1)
        .unwrap_or_default()
        .to_owned()
}

async fn read_stream(target: &Target) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(&target.address).await?;
    stream.write_all(&request(target)).await?;
    let mut raw = Vec::new();
    let mut buffer = vec![0; 4 << 10];
    while !raw.ends_with(b"\r\n0\r\n\r\n") {
        let read = stream.read(&mut buffer).await?;
        anyhow::ensure!(read > 0, "the connection was closed");
        raw.extend_from_slice(buffer.get(..read).unwrap_or_default());
    }
    Ok(unchunk(&raw))
}

/// Takes the chunk sizes out of a chunked body, whatever its chunks were.
fn unchunk(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut rest = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        body.push_str(after.get(..size).unwrap_or_default());
        rest = after.get(size + 2..).unwrap_or_default();
    }
    body
}

/// Returns the processor time that all threads of a target's processes have used.
fn cpu(target: &Target) -> Duration {
    let nanos = target.pids.iter().map(|pid| nanos(*pid).unwrap_or(0)).sum();
    Duration::from_nanos(nanos)
}

fn nanos(pid: u32) -> Option<u64> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let of_each = threads.filter_map(|thread| {
        let said = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        said.split_whitespace().next()?.parse::<u64>().ok()
    });
    Some(of_each.sum())
}

/// Returns the memory the processes of a target hold, in bytes.
fn memory(target: &Target) -> u64 {
    target.pids.iter().filter_map(|pid| resident(*pid)).sum()
}

fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()
        .map(|kib| kib * 1024)
}
