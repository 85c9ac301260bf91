//! Owns the recipes of the clients that are known.

use serde_json::json;

use super::quote::toml_string;
use super::{Mode, Place, Recipe, RecipeFile};

/// A client as it is written here.
pub(super) struct Client {
    pub(super) name: &'static str,
    /// The file names of its program.
    pub(super) commands: &'static [&'static str],
    /// Programs that run it, whatever version their file names end in.
    pub(super) interpreters: &'static [&'static str],
    env: &'static [(When, &'static str, Value)],
    confined_env: &'static [(When, &'static str, Value)],
    clear: &'static [(When, &'static str)],
    /// Settings that the client takes as `-c KEY=VALUE`, the value in TOML.
    config: &'static [(When, &'static str, Value)],
    file: Option<(&'static str, &'static str, &'static str)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Where the controller has the key of this provider.
    Keyed(&'static str),
    /// Where the client has its own login at this provider.
    Passthrough(&'static str),
}

#[derive(Clone, Copy)]
enum Value {
    /// The base URL of a provider and what follows it.
    Base(&'static str, &'static str),
    Token,
    Text(&'static str),
    False,
    /// The settings of opencode, which names three providers at once.
    Opencode,
}

use Value::{Base, False, Opencode, Text, Token};
use When::{Always, Keyed, Passthrough};

const CLIENT: Client = Client {
    name: "",
    commands: &[],
    interpreters: &[],
    env: &[],
    confined_env: &[],
    clear: &[],
    config: &[],
    file: None,
};

pub(super) const CLIENTS: &[Client] = &[
    Client {
        name: "claude",
        commands: &["claude", "claude-code"],
        env: &[
            (Always, "ANTHROPIC_BASE_URL", Base("claude", "")),
            // Not ANTHROPIC_API_KEY: in a terminal it asks about each key that is new to it, and
            // recommends not to use it. This one it takes, before any stored login.
            (Keyed("claude"), "ANTHROPIC_AUTH_TOKEN", Token),
            // Else it calls its maker for much besides models, past any base URL.
            (
                Always,
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
                Text("1"),
            ),
        ],
        clear: &[
            (Keyed("claude"), "ANTHROPIC_API_KEY"),
            (Keyed("claude"), "CLAUDE_CODE_OAUTH_TOKEN"),
            (Always, "CLAUDE_CODE_USE_BEDROCK"),
            (Always, "CLAUDE_CODE_USE_VERTEX"),
        ],
        ..CLIENT
    },
    // The built-in provider takes no key from OPENAI_API_KEY, asks for a login, and tries a
    // WebSocket first; a provider of our own does none of that. With the user's own login the
    // built-in one stays, moved: that login is ChatGPT's, whose API is not under /v1.
    Client {
        name: "codex",
        commands: &["codex"],
        env: &[(Keyed("codex"), "OPENAI_API_KEY", Token)],
        clear: &[(Keyed("codex"), "CODEX_API_KEY")],
        config: &[
            (Keyed("codex"), "model_provider", Text("bottle")),
            (
                Keyed("codex"),
                "model_providers.bottle.name",
                Text("bottle"),
            ),
            (
                Keyed("codex"),
                "model_providers.bottle.base_url",
                Base("codex", "/v1"),
            ),
            (
                Keyed("codex"),
                "model_providers.bottle.env_key",
                Text("OPENAI_API_KEY"),
            ),
            (
                Keyed("codex"),
                "model_providers.bottle.wire_api",
                Text("responses"),
            ),
            (Keyed("codex"), "features.plugins", False),
            (
                Passthrough("codex"),
                "openai_base_url",
                Base("codex", "/backend-api/codex"),
            ),
            (
                Passthrough("codex"),
                "chatgpt_base_url",
                Base("codex", "/backend-api/"),
            ),
            (Always, "analytics.enabled", False),
            (Always, "check_for_update_on_startup", False),
        ],
        ..CLIENT
    },
    // With a base URL alone it chooses an authentication that it then calls invalid.
    Client {
        name: "gemini",
        commands: &["gemini", "gemini-cli"],
        env: &[
            (Always, "GOOGLE_GEMINI_BASE_URL", Base("gemini", "")),
            (Keyed("gemini"), "GEMINI_API_KEY", Token),
        ],
        confined_env: &[(Always, "GEMINI_CLI_TRUST_WORKSPACE", Text("true"))],
        clear: &[
            (Keyed("gemini"), "GOOGLE_API_KEY"),
            (Always, "GOOGLE_GENAI_USE_GCA"),
            (Always, "GOOGLE_GENAI_USE_VERTEXAI"),
        ],
        file: Some((
            "GEMINI_CLI_SYSTEM_DEFAULTS_PATH",
            "gemini-defaults.json",
            r#"{"security":{"auth":{"selectedType":"gemini-api-key"}},"privacy":{"usageStatisticsEnabled":false}}"#,
        )),
        ..CLIENT
    },
    Client {
        name: "opencode",
        commands: &["opencode"],
        env: &[
            (Always, "OPENCODE_CONFIG_CONTENT", Opencode),
            (Always, "OPENCODE_DISABLE_MODELS_FETCH", Text("1")),
            (Always, "OPENCODE_DISABLE_AUTOUPDATE", Text("1")),
        ],
        ..CLIENT
    },
    Client {
        name: "sdk",
        interpreters: &["python", "node", "bun", "deno", "uv"],
        env: &[
            (Always, "ANTHROPIC_BASE_URL", Base("claude", "")),
            (Keyed("claude"), "ANTHROPIC_API_KEY", Token),
            (Always, "OPENAI_BASE_URL", Base("codex", "/v1")),
            (Keyed("codex"), "OPENAI_API_KEY", Token),
            (Always, "GOOGLE_GEMINI_BASE_URL", Base("gemini", "")),
            (Keyed("gemini"), "GEMINI_API_KEY", Token),
        ],
        clear: &[
            (Keyed("claude"), "ANTHROPIC_AUTH_TOKEN"),
            (Keyed("gemini"), "GOOGLE_API_KEY"),
            (Always, "GOOGLE_GENAI_USE_VERTEXAI"),
        ],
        ..CLIENT
    },
];

/// The bottle that a recipe is for.
pub(super) struct Bottle<'a> {
    pub(super) origin: &'a str,
    pub(super) token: &'a str,
    pub(super) place: &'a dyn Fn(&str) -> Place,
}

impl Bottle<'_> {
    pub(super) fn recipe(&self, client: &Client) -> Recipe {
        let variables = |rows: &'static [(When, &'static str, Value)]| {
            let rows = rows.iter().filter(|(when, ..)| self.is(*when));
            rows.map(|(_, name, value)| (*name, self.text(*value)))
                .collect()
        };
        let config = client.config.iter().filter(|(when, ..)| self.is(*when));
        let clear = client.clear.iter().filter(|(when, _)| self.is(*when));
        Recipe {
            env: variables(client.env),
            confined_env: variables(client.confined_env),
            clear: clear.map(|(_, name)| *name).collect(),
            args: config
                .flat_map(|(_, key, value)| {
                    ["-c".to_owned(), format!("{key}={}", self.toml(*value))]
                })
                .collect(),
            files: client
                .file
                .iter()
                .map(|&(variable, name, content)| RecipeFile {
                    variable,
                    name,
                    content: content.to_owned(),
                })
                .collect(),
        }
    }

    fn is(&self, when: When) -> bool {
        match when {
            Always => true,
            Keyed(provider) => (self.place)(provider).mode == Mode::Keyed,
            Passthrough(provider) => (self.place)(provider).mode == Mode::Passthrough,
        }
    }

    fn text(&self, value: Value) -> String {
        match value {
            Base(provider, path) => self.base(provider, path),
            Token => self.token.to_owned(),
            Text(text) => text.to_owned(),
            False => "false".to_owned(),
            Opencode => self.opencode(),
        }
    }

    fn toml(&self, value: Value) -> String {
        match value {
            False => "false".to_owned(),
            other => toml_string(&self.text(other)),
        }
    }

    fn base(&self, provider: &str, path: &str) -> String {
        let (origin, token) = (self.origin, self.token);
        let Place { provider, mode } = (self.place)(provider);
        match mode {
            Mode::Keyed => format!("{origin}/{provider}{path}"),
            Mode::Passthrough => format!("{origin}/b/{token}/{provider}{path}"),
        }
    }

    fn opencode(&self) -> String {
        let options = |provider, path| {
            let mut options = json!({ "baseURL": self.base(provider, path) });
            if let Some(options) = options.as_object_mut()
                && (self.place)(provider).mode == Mode::Keyed
            {
                options.insert("apiKey".to_owned(), self.token.into());
            }
            json!({ "options": options })
        };
        json!({
            "provider": {
                "anthropic": options("claude", "/v1"),
                "openai": options("codex", "/v1"),
                "google": options("gemini", "/v1beta"),
            },
        })
        .to_string()
    }
}
