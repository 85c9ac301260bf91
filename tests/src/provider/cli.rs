//! The provider as a program, for benches and demos in another process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use bb_proto::usage::Usage;
use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{Chunking, Encoding, Fault, Options, Provider, Script, Tokens, Tool};

/// Answers as Anthropic, OpenAI and Gemini do, and keeps its own count at `GET /_referee`.
#[derive(Debug, Parser)]
#[command(name = "scripted-provider", version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one, printed on standard output.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Speak TLS with a certificate for this name; may be repeated. The CA is printed.
    #[arg(long = "tls-name", value_name = "NAME")]
    tls_names: Vec<String>,
    /// Serve only this key.
    #[arg(long)]
    key: Option<String>,
    /// Text deltas of a stream; the text is repeated where it has fewer words.
    #[arg(long)]
    events: Option<usize>,
    /// Time from one delta to the next.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Time from the request to the response headers.
    #[arg(long, default_value_t = 0)]
    first_byte_ms: u64,
    /// The text to answer with.
    #[arg(long, conflicts_with = "runaway")]
    text: Option<String>,
    /// State this many uncached prompt tokens instead of some derived from the request.
    #[arg(long)]
    input_tokens: Option<u64>,
    /// State this many prompt tokens read from the cache.
    #[arg(long, requires = "input_tokens")]
    cache_read_tokens: Option<u64>,
    /// State this many prompt tokens written to the cache.
    #[arg(long, requires = "input_tokens")]
    cache_write_tokens: Option<u64>,
    /// State this many output tokens instead of some derived from the text.
    #[arg(long)]
    output_tokens: Option<u64>,
    /// Put a thinking block before the text.
    #[arg(long)]
    thinking: bool,
    /// Call a tool of the request in every answer, so that the agent calls again.
    #[arg(long)]
    runaway: bool,
    /// Compress where the client accepts it.
    #[arg(long)]
    gzip: bool,
    /// Cut the body into frames of this many bytes instead of whole events.
    #[arg(long)]
    split_bytes: Option<usize>,
    /// Put this many events into one frame.
    #[arg(long, conflicts_with = "split_bytes")]
    together: Option<usize>,
    /// What goes wrong.
    #[arg(long, value_enum, requires = "fault_after")]
    fault: Option<FaultName>,
    /// After how many events it goes wrong.
    #[arg(long)]
    fault_after: Option<usize>,
    /// Refuse every call with this status.
    #[arg(long, conflicts_with = "fault")]
    status: Option<u16>,
    /// Requests the referee keeps; the totals count all.
    #[arg(long, default_value_t = 1000)]
    calls_kept: usize,
    /// Worker threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FaultName {
    Drop,
    Stall,
    Error,
    Truncate,
}

/// Runs the program until it is interrupted or terminated.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unheard = writeln!(std::io::stderr(), "scripted-provider: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    allow_many_connections()?;
    let runtime = if arguments.threads <= 1 {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
    } else {
        let threads = arguments.threads;
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
    };
    runtime
        .context("starting the runtime")?
        .block_on(serve(arguments))
}

/// Thousands of streams need as many descriptors, and shells give a thousand.
fn allow_many_connections() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, wanted).context("raising the limit of open files")
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let tls = (!arguments.tls_names.is_empty()).then(|| {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        names.extend_from_slice(&arguments.tls_names);
        names
    });
    let provider = Provider::start_with(Options {
        listen: arguments.listen,
        tls,
        key: arguments.key.clone(),
        websockets: true,
        calls_kept: arguments.calls_kept,
        script: arguments.script(),
    })
    .await?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let line = json!({
        "address": provider.address().to_string(),
        "url": provider.url(),
        "pid": std::process::id(),
        "ca_pem": provider.ca_pem(),
    });
    writeln!(std::io::stdout(), "{line}").context("printing the address")?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    provider.stop().await;
    Ok(())
}

impl Arguments {
    fn script(&self) -> Script {
        let base = match &self.text {
            _ if self.runaway => Script::runaway(),
            Some(text) => Script::saying(text),
            None => Script::default(),
        };
        Script {
            tokens: self.tokens(),
            text: base.text,
            events: self.events.unwrap_or(base.events),
            thinking: self.thinking.then(|| {
                "The request is plain; I look at the file first and then change it.".to_owned()
            }),
            tool: self.runaway.then_some(Tool::FromRequest),
            delay: Duration::from_millis(self.delay_ms),
            first_byte_delay: Duration::from_millis(self.first_byte_ms),
            chunking: match (self.split_bytes, self.together) {
                (Some(bytes), _) => Chunking::Split(bytes),
                (None, Some(events)) => Chunking::Together(events),
                (None, None) => Chunking::Events,
            },
            encoding: if self.gzip {
                Encoding::Gzip
            } else {
                Encoding::Identity
            },
            trailers: base.trailers,
            usage_stated: true,
            fault: self.fault(),
        }
    }

    fn tokens(&self) -> Tokens {
        match self.input_tokens {
            Some(input) => Tokens::Stated(Usage {
                input: Some(input),
                cache_read: self.cache_read_tokens,
                cache_write: self.cache_write_tokens,
                output: self.output_tokens,
                reasoning: None,
            }),
            None => match self.output_tokens {
                Some(output) => Tokens::Output(output),
                None => Tokens::FromRequest,
            },
        }
    }

    fn fault(&self) -> Option<Fault> {
        if let Some(status) = self.status {
            return Some(Fault::Status {
                status,
                body: None,
                headers: Vec::new(),
            });
        }
        let after = self.fault_after?;
        self.fault.map(|name| match name {
            FaultName::Drop => Fault::Drop { after },
            FaultName::Stall => Fault::Stall { after },
            FaultName::Error => Fault::ErrorEvent { after },
            FaultName::Truncate => Fault::Truncate { after },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(arguments: &[&str]) -> Script {
        let all = ["scripted-provider"].iter().chain(arguments);
        Arguments::try_parse_from(all).unwrap().script()
    }

    #[test]
    fn without_arguments_the_program_answers_as_the_library_does() {
        assert_eq!(script(&[]), Script::default());
        assert_eq!(script(&["--runaway"]), Script::runaway());
        assert_eq!(
            script(&["--text", "two words"]),
            Script::saying("two words")
        );
    }

    #[test]
    fn arguments_say_what_is_stated_when_it_flows_and_what_goes_wrong() {
        let given = script(&[
            "--events=9",
            "--delay-ms=50",
            "--input-tokens=100",
            "--cache-read-tokens=7",
            "--output-tokens=20",
            "--fault=stall",
            "--fault-after=3",
        ]);
        let usage = Usage {
            input: Some(100),
            cache_read: Some(7),
            output: Some(20),
            ..Usage::default()
        };
        let expected = Script {
            events: 9,
            delay: Duration::from_millis(50),
            fault: Some(Fault::Stall { after: 3 }),
            ..Script::stating(usage)
        };
        assert_eq!(given, expected);
        let known = ["scripted-provider", "--fault=stall"];
        assert!(
            Arguments::try_parse_from(known).is_err(),
            "a fault needs its place"
        );
    }
}
