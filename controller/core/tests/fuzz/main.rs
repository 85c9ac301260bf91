//! Millions of odd and damaged answers, each metered whole and in pieces: nothing breaks.
//!
//! Every input comes from a seed: well-formed templates of each dialect are filled in, changed as
//! a provider might, and most of them damaged byte by byte. A failure prints its seed and how to
//! run that input alone. Read from the environment:
//!
//! - `BB_FUZZ_INPUTS`: how many inputs of each target, [`INPUTS`] where it is not set;
//! - `BB_FUZZ_SEED`: the seed of the first, zero where it is not set; each next one has the next.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test may fail, reads how long it shall run, and says what it did"
)]

use std::time::Instant;

use bb_core::meter::Framing;
use bb_proto::usage::Wire;

mod bodies;
#[path = "../memory/counting.rs"]
mod counting;
mod damage;
mod laws;
mod random;
mod usage;

use random::Random;

/// How many inputs of each target there are where nobody says.
const INPUTS: u64 = 100_000;

const WIRES: [Wire; 5] = [
    Wire::AnthropicMessages,
    Wire::OpenaiChat,
    Wire::OpenaiEmbeddings,
    Wire::OpenaiResponses,
    Wire::Gemini,
];

/// An answer, and what is known of it.
struct Input {
    wire: Wire,
    framing: Option<Framing>,
    body: Vec<u8>,
    /// Nothing of it is damaged, though it may be cut off.
    is_well_formed: bool,
    /// A body that states the same.
    same: Option<Vec<u8>>,
}

/// Says at a failure which input it was.
struct Running<'a> {
    target: &'static str,
    seed: u64,
    input: &'a Input,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Input { wire, framing, .. } = self.input;
            eprintln!(
                "{wire:?}, {framing:?}: {:?}\nrun it alone: BB_FUZZ_SEED={} BB_FUZZ_INPUTS=1 \
                 cargo test -p bb-core --test fuzz {}",
                String::from_utf8_lossy(&self.input.body),
                self.seed,
                self.target
            );
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("BB_FUZZ_… is a number"))
}

/// Runs the inputs of one target.
fn run(target: &'static str, make: fn(&mut Random) -> Input) {
    let inputs = number("BB_FUZZ_INPUTS").unwrap_or(INPUTS);
    let first = number("BB_FUZZ_SEED").unwrap_or(0);
    let start = Instant::now();
    let mut stated = 0_u64;
    for seed in first..first.saturating_add(inputs) {
        let mut random = Random::new(seed);
        let input = make(&mut random);
        let running = Running {
            target,
            seed,
            input: &input,
        };
        stated += u64::from(laws::check(running.input, &mut random));
    }
    let took = start.elapsed();
    eprintln!("{inputs} inputs, {stated} state usage, seeds from {first}, {took:.1?}: {target}");
    assert!(
        inputs < 1000 || stated > inputs / 4,
        "most inputs mean something"
    );
}

/// A target a line: its name and what makes its inputs.
macro_rules! targets {
    ($($name:ident: $make:expr,)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name), $make);
            }
        )*
    };
}

targets! {
    streams_of_events_are_metered_the_same_at_any_cut: bodies::stream,
    arrays_of_chunks_are_metered_the_same_at_any_cut: bodies::array,
    documents_one_after_another_are_metered_the_same_at_any_cut: bodies::lines,
    what_is_no_count_is_not_stated: bodies::odd_usage,
}
