//! The real clients: where `scripts/clients` put them, and how each is run without a terminal.
//!
//! A client runs in a process group, home and environment of its own. It reaches what it is
//! pointed at and nothing else: every other host goes to a proxy that is not there.

mod run;
mod said;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bb_proto::reply::ClientEnv;
use bb_proto::usage::Wire;
use tokio::process::Command;

pub use run::{Run, Running};
pub use said::Said;

/// A port that nobody listens on.
const NOWHERE: &str = "http://127.0.0.1:9";

/// How long a client may take for a prompt; generous, since a machine may be busy.
const LIMIT: Duration = Duration::from_mins(2);

/// A client that people use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    ClaudeCode,
    Codex,
    /// The SDKs, each in a script that asks once.
    AnthropicSdk,
    OpenaiResponsesSdk,
    OpenaiChatSdk,
    GeminiSdk,
}

/// A client that is not installed; its text begins with `skipped`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    client: Client,
}

impl Missing {
    /// Returns why what needs it is skipped.
    pub fn reason(&self) -> String {
        format!("{} is not there; scripts/clients installs it", self.client)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "skipped: {}", self.reason())
    }
}

impl std::error::Error for Missing {}

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::AnthropicSdk => "anthropic (Python)",
            Self::OpenaiResponsesSdk => "openai (Python, responses)",
            Self::OpenaiChatSdk => "openai (Python, chat)",
            Self::GeminiSdk => "google-genai (Python)",
        })
    }
}

impl Client {
    pub const ALL: [Self; 6] = [
        Self::ClaudeCode,
        Self::Codex,
        Self::AnthropicSdk,
        Self::OpenaiResponsesSdk,
        Self::OpenaiChatSdk,
        Self::GeminiSdk,
    ];

    pub fn wire(self) -> Wire {
        match self {
            Self::ClaudeCode | Self::AnthropicSdk => Wire::AnthropicMessages,
            Self::Codex | Self::OpenaiResponsesSdk => Wire::OpenaiResponses,
            Self::OpenaiChatSdk => Wire::OpenaiChat,
            Self::GeminiSdk => Wire::Gemini,
        }
    }

    /// Returns the host that it talks to unless it is told otherwise.
    pub fn host(self) -> &'static str {
        match self.wire() {
            Wire::AnthropicMessages => "api.anthropic.com",
            Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses => "api.openai.com",
            Wire::Gemini => "generativelanguage.googleapis.com",
        }
    }

    /// Returns the name of the controller's recipe for it.
    pub fn recipe(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude",
            Self::Codex => "codex",
            _ => "sdk",
        }
    }

    /// Returns the script of an SDK.
    fn script(self) -> Option<&'static str> {
        match self {
            Self::ClaudeCode | Self::Codex => None,
            Self::AnthropicSdk => Some("anthropic_messages.py"),
            Self::OpenaiResponsesSdk => Some("openai_responses.py"),
            Self::OpenaiChatSdk => Some("openai_chat.py"),
            Self::GeminiSdk => Some("gemini_generate.py"),
        }
    }

    /// Returns the program that is run, if it was installed whole.
    pub fn program(self) -> Result<PathBuf, Missing> {
        let (name, program) = match self {
            Self::ClaudeCode => ("claude-code", "node_modules/.bin/claude"),
            Self::Codex => ("codex", "node_modules/.bin/codex"),
            _ => ("python", "bin/python"),
        };
        let directory = package().join("../.cache/clients").join(name);
        if directory.join("version").exists() {
            Ok(directory.join(program))
        } else {
            Err(Missing { client: self })
        }
    }
}

/// How a client reaches its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The client is told this URL, which stands for the root of the provider's API.
    BaseUrl(String),
    /// The client believes it talks to the provider itself, through this proxy and its CA.
    Proxy { url: String, ca_file: PathBuf },
    /// As the controller's recipe for it says, its key too.
    Recipe(ClientEnv),
}

/// A client to be run with a prompt.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub client: Client,
    pub way: Way,
    /// The key it has; it is sent as the client sends keys.
    pub key: String,
    pub text: String,
    /// Whether an SDK streams; the coding agents always do.
    pub streamed: bool,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// Further environment; it wins over what the client would be given.
    pub environment: Vec<(String, String)>,
    pub limit: Duration,
}

impl Prompt {
    /// `client` says hi to the API whose root is `base_url`.
    pub fn new(client: Client, base_url: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            client,
            way: Way::BaseUrl(base_url.into()),
            key: key.into(),
            text: "say hi".to_owned(),
            streamed: true,
            arguments: Vec::new(),
            environment: Vec::new(),
            limit: LIMIT,
        }
    }

    /// `client` says hi as a recipe of the controller points it.
    pub fn by_recipe(client: Client, recipe: ClientEnv) -> Self {
        Self {
            way: Way::Recipe(recipe),
            ..Self::new(client, "", "")
        }
    }

    /// Runs it to its end, or to the limit.
    pub async fn run(&self) -> anyhow::Result<Run> {
        self.start()?.finish().await
    }

    /// Starts it; the home it is given is gone when it is.
    pub fn start(&self) -> anyhow::Result<Running> {
        let home = tempfile::tempdir().context("making a home for the client")?;
        let work = home.path().join("work");
        std::fs::create_dir(&work).context("making a directory to work in")?;
        let mut command = Command::new(self.client.program()?);
        command
            .args(self.recipe().map_or(&[][..], |recipe| &recipe.args))
            .args(self.own_arguments())
            .args(&self.arguments)
            .arg(&self.text)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .envs(self.reach())
            .envs(self.login())
            .envs(self.environment.iter().cloned())
            .current_dir(&work);
        Running::spawn(command, self.client, home, self.limit)
    }

    fn own_arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> = Vec::new();
        let mut push = |more: &[&str]| arguments.extend(more.iter().map(|&text| text.to_owned()));
        match self.client {
            Client::ClaudeCode => push(&["--print", "--output-format", "json"]),
            Client::Codex => {
                push(&[
                    "exec",
                    "--json",
                    "--skip-git-repo-check",
                    "--model",
                    "gpt-5",
                ]);
                if self.recipe().is_none() {
                    push(&["-c", "analytics.enabled=false"]);
                    push(&["-c", "features.plugins=false"]);
                    push(&["-c", "check_for_update_on_startup=false"]);
                }
                // The environment's OPENAI_BASE_URL is not looked at.
                if let Way::BaseUrl(url) = &self.way {
                    push(&["-c", &format!("openai_base_url=\"{url}/v1\"")]);
                }
            }
            _ => {
                let script = self.client.script().unwrap_or_default();
                let script = package().join("clients").join(script);
                push(&["-B", &script.to_string_lossy()]);
                if self.streamed {
                    push(&["--stream"]);
                }
            }
        }
        arguments
    }

    fn recipe(&self) -> Option<&ClientEnv> {
        match &self.way {
            Way::Recipe(recipe) => Some(recipe),
            Way::BaseUrl(_) | Way::Proxy { .. } => None,
        }
    }

    fn login(&self) -> Vec<(&str, String)> {
        if self.recipe().is_some() {
            return Vec::new();
        }
        let key = self.key.clone();
        match self.client {
            Client::ClaudeCode => vec![
                ("ANTHROPIC_API_KEY", key),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            ],
            // OPENAI_API_KEY is not sent unless a `codex login` has stored it.
            Client::Codex => vec![("CODEX_API_KEY", key)],
            Client::AnthropicSdk => vec![("ANTHROPIC_API_KEY", key)],
            Client::OpenaiResponsesSdk | Client::OpenaiChatSdk => vec![("OPENAI_API_KEY", key)],
            Client::GeminiSdk => vec![("GEMINI_API_KEY", key)],
        }
    }

    fn reach(&self) -> Vec<(&str, String)> {
        match &self.way {
            Way::BaseUrl(url) => {
                let base = match self.client.wire() {
                    Wire::AnthropicMessages => ("ANTHROPIC_BASE_URL", url.clone()),
                    Wire::OpenaiChat | Wire::OpenaiEmbeddings | Wire::OpenaiResponses => {
                        ("OPENAI_BASE_URL", format!("{url}/v1"))
                    }
                    Wire::Gemini => ("GOOGLE_GEMINI_BASE_URL", url.clone()),
                };
                [vec![base], only_loopback()].concat()
            }
            Way::Recipe(recipe) => {
                let given = recipe.env.iter();
                given
                    .map(|(name, value)| (name.as_str(), value.clone()))
                    .chain(only_loopback())
                    .collect()
            }
            Way::Proxy { url, ca_file } => {
                let ca = ca_file.to_string_lossy().into_owned();
                vec![
                    ("HTTPS_PROXY", url.clone()),
                    // No variable is read by all of them; these two together are.
                    ("SSL_CERT_FILE", ca.clone()),
                    ("NODE_EXTRA_CA_CERTS", ca),
                ]
            }
        }
    }
}

fn only_loopback() -> Vec<(&'static str, String)> {
    let loopback = "127.0.0.1,localhost".to_owned();
    vec![("HTTPS_PROXY", NOWHERE.to_owned()), ("NO_PROXY", loopback)]
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
