use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ORIGIN: &str = "http://127.0.0.1:7717";
const TOKEN: &str = "bb_T0k";

fn all(mode: Mode) -> impl Fn(&str) -> Place {
    move |provider| Place {
        provider: provider.to_owned(),
        mode,
    }
}

fn of(client: &str, mode: Mode) -> Recipe {
    recipe(client, ORIGIN, TOKEN, &all(mode)).unwrap()
}

fn env(recipe: &Recipe) -> Vec<(&str, &str)> {
    let pairs = recipe.env.iter();
    pairs.map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn claude_code_is_pointed_by_its_environment() {
    let keyed = of("claude", Mode::Keyed);
    assert_eq!(
        env(&keyed),
        [
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:7717/claude"),
            ("ANTHROPIC_AUTH_TOKEN", "bb_T0k"),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ]
    );
    assert!(keyed.args.is_empty() && keyed.files.is_empty());
    assert!(keyed.clear.contains(&"ANTHROPIC_API_KEY"));
    let own = of("claude", Mode::Passthrough);
    assert_eq!(
        env(&own),
        [
            (
                "ANTHROPIC_BASE_URL",
                "http://127.0.0.1:7717/b/bb_T0k/claude"
            ),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ]
    );
    assert!(!own.clear.contains(&"ANTHROPIC_API_KEY"));
}

#[test]
fn codex_is_pointed_by_its_arguments() {
    let keyed = of("codex", Mode::Keyed);
    assert_eq!(env(&keyed), [("OPENAI_API_KEY", "bb_T0k")]);
    assert_eq!(
        keyed.args,
        [
            "-c",
            r#"model_provider="bottle""#,
            "-c",
            r#"model_providers.bottle.name="bottle""#,
            "-c",
            r#"model_providers.bottle.base_url="http://127.0.0.1:7717/codex/v1""#,
            "-c",
            r#"model_providers.bottle.env_key="OPENAI_API_KEY""#,
            "-c",
            r#"model_providers.bottle.wire_api="responses""#,
            "-c",
            "features.plugins=false",
            "-c",
            "analytics.enabled=false",
            "-c",
            "check_for_update_on_startup=false",
        ]
    );
    let own = of("codex", Mode::Passthrough);
    assert!(own.env.is_empty() && own.clear.is_empty());
    assert_eq!(
        own.args,
        [
            "-c",
            r#"openai_base_url="http://127.0.0.1:7717/b/bb_T0k/codex/backend-api/codex""#,
            "-c",
            r#"chatgpt_base_url="http://127.0.0.1:7717/b/bb_T0k/codex/backend-api/""#,
            "-c",
            "analytics.enabled=false",
            "-c",
            "check_for_update_on_startup=false",
        ]
    );
}

#[test]
fn gemini_cli_is_told_in_a_file_to_use_its_key() {
    let keyed = of("gemini", Mode::Keyed);
    assert_eq!(
        env(&keyed),
        [
            ("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:7717/gemini"),
            ("GEMINI_API_KEY", "bb_T0k"),
        ]
    );
    assert_eq!(
        keyed.confined_env,
        [("GEMINI_CLI_TRUST_WORKSPACE", "true".to_owned())]
    );
    let file = &keyed.files[0];
    assert_eq!(file.variable, "GEMINI_CLI_SYSTEM_DEFAULTS_PATH");
    let content: Value = serde_json::from_str(&file.content).unwrap();
    assert_eq!(
        content["security"]["auth"]["selectedType"],
        "gemini-api-key"
    );
    let own = of("gemini", Mode::Passthrough);
    assert_eq!(
        env(&own),
        [(
            "GOOGLE_GEMINI_BASE_URL",
            "http://127.0.0.1:7717/b/bb_T0k/gemini"
        )]
    );
}

#[test]
fn opencode_gets_three_providers_in_one_variable() {
    let settings = |mode| -> Value {
        let recipe = of("opencode", mode);
        assert_eq!(recipe.env[0].0, "OPENCODE_CONFIG_CONTENT");
        serde_json::from_str(&recipe.env[0].1).unwrap()
    };
    assert_eq!(
        settings(Mode::Keyed),
        json!({"provider": {
            "anthropic": {"options": {"baseURL": "http://127.0.0.1:7717/claude/v1", "apiKey": "bb_T0k"}},
            "openai": {"options": {"baseURL": "http://127.0.0.1:7717/codex/v1", "apiKey": "bb_T0k"}},
            "google": {"options": {"baseURL": "http://127.0.0.1:7717/gemini/v1beta", "apiKey": "bb_T0k"}},
        }})
    );
    assert_eq!(
        settings(Mode::Passthrough)["provider"]["openai"],
        json!({"options": {"baseURL": "http://127.0.0.1:7717/b/bb_T0k/codex/v1"}})
    );
}

#[test]
fn a_script_gets_base_url_and_key_of_every_sdk() {
    assert_eq!(
        env(&of("sdk", Mode::Keyed)),
        [
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:7717/claude"),
            ("ANTHROPIC_API_KEY", "bb_T0k"),
            ("OPENAI_BASE_URL", "http://127.0.0.1:7717/codex/v1"),
            ("OPENAI_API_KEY", "bb_T0k"),
            ("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:7717/gemini"),
            ("GEMINI_API_KEY", "bb_T0k"),
        ]
    );
}

#[test]
fn a_clients_own_login_is_never_replaced_and_the_token_stands_in_its_paths_only() {
    for client in clients() {
        let own = of(client, Mode::Passthrough);
        for (name, value) in &own.env {
            let is_login = name.ends_with("_KEY") || name.ends_with("_TOKEN");
            assert!(!is_login, "{client} {name}");
            assert_eq!(
                value.matches(TOKEN).count(),
                value.matches("/b/bb_T0k/").count(),
                "{client} {name}"
            );
        }
        for name in &own.clear {
            assert!(
                !name.contains("KEY") && !name.contains("TOKEN"),
                "{client} {name}"
            );
        }
    }
}

#[test]
fn no_variable_is_both_set_and_taken_away() {
    for client in clients() {
        for mode in [Mode::Keyed, Mode::Passthrough] {
            let recipe = of(client, mode);
            let set = recipe.env.iter().chain(&recipe.confined_env);
            for (name, _) in set {
                assert!(!recipe.clear.contains(name), "{client} {name}");
            }
        }
    }
}

#[test]
fn every_recipe_calls_a_provider_that_is_known() {
    let providers = crate::provider::known();
    for client in clients() {
        let recipe = of(client, Mode::Keyed);
        let text = format!("{:?} {:?}", recipe.env, recipe.args);
        for base in text.split("127.0.0.1:7717/").skip(1) {
            let key = base.split(['/', '"', '\\', ')']).next().unwrap();
            assert!(
                providers.iter().any(|row| row.key.as_str() == key),
                "{client} {key}"
            );
        }
    }
}

#[test]
fn an_origin_may_end_in_a_slash_and_an_unknown_client_has_no_recipe() {
    let slash = recipe("claude", "http://127.0.0.1:7717/", TOKEN, &all(Mode::Keyed));
    assert_eq!(slash, Some(of("claude", Mode::Keyed)));
    assert_eq!(recipe("cat", ORIGIN, TOKEN, &all(Mode::Keyed)), None);
    assert_eq!(recipe("", ORIGIN, TOKEN, &all(Mode::Keyed)), None);
}

#[test]
fn a_command_is_known_by_its_file_name() {
    let lines = [
        ("claude", Some("claude")),
        ("/usr/local/bin/claude", Some("claude")),
        ("./node_modules/.bin/codex", Some("codex")),
        (r"C:\bin\Codex.EXE", Some("codex")),
        ("gemini.cmd", Some("gemini")),
        ("opencode", Some("opencode")),
        ("python", Some("sdk")),
        ("/usr/bin/python3", Some("sdk")),
        ("python3.11", Some("sdk")),
        ("node", Some("sdk")),
        ("claude/", None),
        ("claude2", None),
        ("my-claude", None),
        ("codex-run", None),
        ("bash", None),
        ("sdk", None),
        ("", None),
    ];
    for (program, expected) in lines {
        assert_eq!(for_command(program), expected, "{program:?}");
    }
}

#[test]
fn a_value_that_a_shell_would_change_is_quoted() {
    let lines = [
        (
            "http://127.0.0.1:7717/claude",
            "http://127.0.0.1:7717/claude",
        ),
        ("", "''"),
        ("a b", "'a b'"),
        ("$HOME", "'$HOME'"),
        ("it's", r"'it'\''s'"),
        ("a\nb", "'a\nb'"),
        ("~", "'~'"),
        (r#"{"a":1}"#, r#"'{"a":1}'"#),
    ];
    for (text, expected) in lines {
        assert_eq!(shell_quote(text), expected, "{text:?}");
    }
}

#[test]
fn a_value_among_the_arguments_is_one_toml_string() {
    let odd = recipe("codex", "http://h/\"\\\n\u{7f}", TOKEN, &all(Mode::Keyed)).unwrap();
    let base = odd
        .args
        .iter()
        .find(|arg| arg.contains("base_url"))
        .unwrap();
    assert_eq!(
        base,
        "model_providers.bottle.base_url=\"http://h/\\\"\\\\\\n\\u007f/codex/v1\""
    );
}

proptest! {
    #[test]
    fn a_quoted_word_is_read_back_as_it_was(text in ".{0,40}") {
        let quoted = shell_quote(&text);
        let read = match quoted.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(inside) => {
                prop_assert!(!inside.replace(r"'\''", "").contains('\''));
                inside.replace(r"'\''", "'")
            }
            None => quoted.clone().into_owned(),
        };
        prop_assert_eq!(read, text);
    }
}

#[test]
fn a_program_of_several_providers_has_a_token_only_where_the_controller_has_the_key() {
    let mixed = |provider: &str| Place {
        provider: provider.to_owned(),
        mode: if provider == "claude" {
            Mode::Keyed
        } else {
            Mode::Passthrough
        },
    };
    let sdk = recipe("sdk", ORIGIN, TOKEN, &mixed).unwrap();
    assert_eq!(
        env(&sdk),
        [
            ("ANTHROPIC_BASE_URL", "http://127.0.0.1:7717/claude"),
            ("ANTHROPIC_API_KEY", "bb_T0k"),
            ("OPENAI_BASE_URL", "http://127.0.0.1:7717/b/bb_T0k/codex/v1"),
            (
                "GOOGLE_GEMINI_BASE_URL",
                "http://127.0.0.1:7717/b/bb_T0k/gemini"
            ),
        ]
    );
    assert!(sdk.clear.contains(&"ANTHROPIC_AUTH_TOKEN"));
    assert!(!sdk.clear.contains(&"GOOGLE_API_KEY"));
    let opencode = recipe("opencode", ORIGIN, TOKEN, &mixed).unwrap();
    let settings: Value = serde_json::from_str(&opencode.env[0].1).unwrap();
    let options = |name: &str| settings["provider"][name]["options"].clone();
    assert_eq!(options("anthropic")["apiKey"], TOKEN);
    assert_eq!(
        options("openai"),
        json!({ "baseURL": "http://127.0.0.1:7717/b/bb_T0k/codex/v1" })
    );
}

#[test]
fn another_provider_of_the_same_dialect_takes_the_place_of_the_one_a_client_means() {
    let elsewhere = |provider: &str| Place {
        provider: provider.replace("claude", "openrouter"),
        mode: Mode::Keyed,
    };
    let claude = recipe("claude", ORIGIN, TOKEN, &elsewhere).unwrap();
    assert_eq!(
        claude.env[0],
        (
            "ANTHROPIC_BASE_URL",
            "http://127.0.0.1:7717/openrouter".to_owned()
        )
    );
}
