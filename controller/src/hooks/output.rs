//! What a command writes: its end is kept, and how much it was is bounded.

use std::collections::VecDeque;
use std::io;

use tokio::net::unix::pipe::Receiver;

/// How much of a command's output is kept, in bytes.
const KEPT_BYTES_MAX: usize = 4 * 1024;
/// How much a command may write, in bytes.
pub(super) const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// The end of what a command wrote.
#[derive(Debug)]
pub(super) struct Output {
    pipe: Receiver,
    kept: VecDeque<u8>,
    bytes: u64,
}

impl Output {
    pub(super) fn new(pipe: Receiver) -> Self {
        Self {
            pipe,
            kept: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Reads until nobody can write any more, or it is too much; what was read before this is
    /// dropped is kept.
    pub(super) async fn read(&mut self) {
        while self.bytes <= OUTPUT_BYTES_MAX && self.pipe.readable().await.is_ok() {
            let mut buffer = [0; KEPT_BYTES_MAX];
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(read) => self.keep(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.kept.extend(bytes);
        let over = self.kept.len().saturating_sub(KEPT_BYTES_MAX);
        self.kept.drain(..over);
    }

    /// Returns whether it was more than it may be.
    pub(super) fn is_too_much(&self) -> bool {
        self.bytes > OUTPUT_BYTES_MAX
    }

    /// Returns the end of it as text.
    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.kept.make_contiguous()).into_owned()
    }
}
