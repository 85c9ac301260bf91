//! Providers that bend the rules of the dialect they copy, as data.

/// What a provider does differently from its dialect.
///
/// Only what its numbers do not tell: where they do, the numbers decide, for every provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quirks {
    /// Chat: reasoning is billed on top of `completion_tokens`, whatever the total says.
    pub reasoning_on_top: bool,
    /// Chat: thinking is in the total only, so the output is the total without the prompt.
    pub hidden_thinking_in_total: bool,
}

struct Row {
    host: &'static str,
    /// What the path holds.
    path: &'static str,
    quirks: Quirks,
}

const NONE: Quirks = Quirks {
    reasoning_on_top: false,
    hidden_thinking_in_total: false,
};

const ROWS: &[Row] = &[
    Row {
        host: "ai-gateway.vercel.sh",
        path: "/chat/completions",
        quirks: Quirks {
            reasoning_on_top: true,
            ..NONE
        },
    },
    Row {
        host: "generativelanguage.googleapis.com",
        path: "/openai/",
        quirks: Quirks {
            hidden_thinking_in_total: true,
            ..NONE
        },
    },
];

impl Quirks {
    /// Returns the quirks known of the provider at this host and path.
    pub fn for_host(host: &str, path: &str) -> Self {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        ROWS.iter()
            .find(|row| name.eq_ignore_ascii_case(row.host) && path.contains(row.path))
            .map_or(NONE, |row| row.quirks)
    }
}
