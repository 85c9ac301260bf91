//! The threads of the proxy: each accepts at the same port, and serves a connection from its first
//! byte to its last, with its own connections to the providers.
//!
//! A call stays on one thread, so that no other is woken for it: with a runtime whose threads take
//! work from each other, the first byte of an answer came a fifth later, and a thousand streams
//! cost a tenth more.

use std::io;
use std::num::NonZero;
use std::thread::{JoinHandle, available_parallelism};

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::listener::Listener;
use super::{Egress, Parts};

/// One thread relays thousands of streams; more than this serve nobody.
const WORKERS_MAX: usize = 4;

/// The threads that serve the egress port.
#[derive(Debug)]
pub struct Workers {
    threads: Vec<JoinHandle<()>>,
    over: DropGuard,
}

impl Workers {
    /// Serves a port until draining begins, then lets what is open end; `parts` has the tracker
    /// that says when it has.
    pub fn start(listener: &Listener, parts: &Parts) -> io::Result<Self> {
        // The other half is for the agents; threads beyond that only wake each other.
        let half = available_parallelism().map_or(1, NonZero::get) / 2;
        let ended = CancellationToken::new();
        let over = ended.clone().drop_guard();
        let mut threads = Vec::new();
        for number in 0..half.clamp(1, WORKERS_MAX) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (listener, parts, ended) = (listener.share()?, parts.clone(), ended.clone());
            let thread = std::thread::Builder::new()
                .name(format!("egress-{number}"))
                .spawn(move || work(runtime, listener, parts, &ended))?;
            threads.push(thread);
        }
        Ok(Self { threads, over })
    }

    /// Ends the threads with all that is still open on them.
    pub fn join(self) {
        drop(self.over);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the proxy panicked");
            }
        }
    }
}

fn work(runtime: Runtime, listener: Listener, parts: Parts, ended: &CancellationToken) {
    let (tracker, draining) = (parts.tracker.clone(), parts.draining.clone());
    let egress = Egress::new(parts);
    runtime.block_on(async {
        tracker.spawn(async move {
            if let Err(error) = listener.serve(egress, draining).await {
                tracing::error!(%error, "a thread of the proxy cannot serve");
            }
        });
        ended.cancelled().await;
    });
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
}
