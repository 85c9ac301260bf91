//! Usage objects: well-formed ones, and odd ones with a plain one that must mean the same.

use bb_proto::usage::Wire;

use crate::random::Random;

/// An object of counts, written in two ways.
#[derive(Debug, Default)]
pub(crate) struct Object {
    /// With all that is odd.
    pub(crate) odd: String,
    /// With the counts alone that are some.
    pub(crate) plain: String,
}

/// What may stand in a usage object: a count, or an object of such.
enum Member {
    Count(&'static str),
    Object(&'static str, &'static [&'static str]),
    /// A list of passes, with counts of their own.
    Passes,
}

const ANTHROPIC: &[Member] = &[
    Member::Count("input_tokens"),
    Member::Count("cache_read_input_tokens"),
    Member::Count("cache_creation_input_tokens"),
    Member::Object(
        "cache_creation",
        &["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"],
    ),
    Member::Count("output_tokens"),
    Member::Object("output_tokens_details", &["thinking_tokens"]),
    Member::Passes,
];
const CHAT: &[Member] = &[
    Member::Count("prompt_tokens"),
    Member::Count("completion_tokens"),
    Member::Count("total_tokens"),
    Member::Object(
        "prompt_tokens_details",
        &["cached_tokens", "cache_write_tokens", "audio_tokens"],
    ),
    Member::Object("completion_tokens_details", &["reasoning_tokens"]),
    Member::Count("reasoning_tokens"),
    Member::Count("prompt_cache_hit_tokens"),
    Member::Count("cached_tokens"),
    Member::Count("cache_creation_input_tokens"),
];
const RESPONSES: &[Member] = &[
    Member::Count("input_tokens"),
    Member::Object(
        "input_tokens_details",
        &["cached_tokens", "cache_write_tokens"],
    ),
    Member::Count("output_tokens"),
    Member::Object("output_tokens_details", &["reasoning_tokens"]),
];
const GEMINI: &[Member] = &[
    Member::Count("promptTokenCount"),
    Member::Count("cachedContentTokenCount"),
    Member::Count("toolUsePromptTokenCount"),
    Member::Count("candidatesTokenCount"),
    Member::Count("thoughtsTokenCount"),
    Member::Count("totalTokenCount"),
];

const COUNTS: &[&str] = &[
    "0",
    "1",
    "2",
    "7",
    "11",
    "42",
    "161",
    "2048",
    "99357",
    "9007199254740991",
    "9007199254740992",
];
/// What is no count: negative, too large, no number at all.
const ODD: &[&str] = &[
    "-1",
    "-0",
    "-9007199254740992",
    "9007199254740993",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "184467440737095516160",
    "1e400",
    "-1e400",
    "1e-400",
    "1E3",
    "7.0",
    "0.5",
    "7e0",
    "\"7\"",
    "\"\"",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "[7]",
    r#"{"input_tokens":7}"#,
    r#"{"prompt_tokens":7,"promptTokenCount":7}"#,
];
/// The same where no container may stand: behind an equal key.
const ODD_SCALARS: &[&str] = &[
    "-1",
    "18446744073709551616",
    "1e400",
    "7.5",
    "\"7\"",
    "null",
    "true",
];
/// What nobody asks for.
const STRANGE: &[&str] = &[
    r#""service_tier":"standard","#,
    r#""x":{"usage":{"input_tokens":9,"prompt_tokens":9,"promptTokenCount":9}},"#,
    r#""x":"\"usage\":{\"input_tokens\":9}","#,
    r#""tokens":[9,{"output_tokens":9}],"#,
    "\"\":0,",
];

fn members(wire: Wire) -> &'static [Member] {
    match wire {
        Wire::AnthropicMessages => ANTHROPIC,
        Wire::OpenaiResponses => RESPONSES,
        Wire::Gemini => GEMINI,
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => CHAT,
    }
}

/// Makes a usage object of a dialect; `oddness` is in so many of its members one, zero for none.
pub(crate) fn object(random: &mut Random, wire: Wire, oddness: usize) -> Object {
    let mut object = Object::default();
    for member in members(wire) {
        if random.one_in(5) {
            continue;
        }
        match member {
            Member::Count(key) => object.count(random, key, oddness),
            Member::Object(key, counts) => {
                let inner = counts_of(random, counts, oddness);
                object.object(random, key, &inner, oddness);
            }
            Member::Passes if random.one_in(3) => object.passes(random, oddness),
            Member::Passes => {}
        }
        if oddness > 0 && random.one_in(oddness) {
            object.odd.push_str(random.pick(STRANGE));
        }
    }
    object.closed()
}

fn counts_of(random: &mut Random, counts: &[&'static str], oddness: usize) -> Object {
    let mut inner = Object::default();
    for count in counts {
        if !random.one_in(4) {
            inner.count(random, count, oddness);
        }
    }
    inner.closed()
}

impl Object {
    fn count(&mut self, random: &mut Random, name: &str, oddness: usize) {
        let (odd_key, key) = keys(random, name, oddness);
        if oddness == 0 || !random.one_in(oddness) {
            let count = random.pick(COUNTS);
            if oddness > 0 && random.one_in(oddness) {
                let before = random.pick(ODD);
                self.odd.push_str(&format!("{odd_key}:{before},"));
            }
            self.odd.push_str(&format!("{odd_key}:{count},"));
            self.plain.push_str(&format!("{key}:{count},"));
        } else if random.one_in(3) {
            // The last of two counts it is, and that one is none.
            let (count, odd) = (random.pick(COUNTS), random.pick(ODD_SCALARS));
            self.odd
                .push_str(&format!("{odd_key}:{count},{odd_key}:{odd},"));
        } else if random.one_in(8) {
            let deep = 1 + random.below(40);
            let (open, close) = (r#"[{"a":"#.repeat(deep), "}]".repeat(deep));
            self.odd.push_str(&format!("{odd_key}:{open}7{close},"));
        } else {
            let odd = random.pick(ODD);
            self.odd.push_str(&format!("{odd_key}:{odd},"));
        }
    }

    fn object(&mut self, random: &mut Random, name: &str, inner: &Self, oddness: usize) {
        let (odd_key, key) = keys(random, name, oddness);
        if oddness > 0 && random.one_in(oddness) {
            let odd = random.pick(&[
                "null",
                "7",
                "-1",
                "\"\"",
                "true",
                "[]",
                "[{\"cached_tokens\":7}]",
            ]);
            self.odd.push_str(&format!("{odd_key}:{odd},"));
        } else {
            self.odd.push_str(&format!("{odd_key}:{},", inner.odd));
            self.plain.push_str(&format!("{key}:{},", inner.plain));
        }
    }

    fn passes(&mut self, random: &mut Random, oddness: usize) {
        let mut list = Self::default();
        for _ in 0..random.below(4) {
            let kind = random.pick(&["message", "compaction", "advisor_message", "other"]);
            let model = random.pick(&["", "claude-a", "claude-b"]);
            let pass = counts_of(random, &["input_tokens", "output_tokens"], oddness);
            let head = format!(r#"{{"type":"{kind}","model":"{model}","#);
            for (list, pass) in [(&mut list.odd, &pass.odd), (&mut list.plain, &pass.plain)] {
                let rest = pass.strip_prefix('{').unwrap();
                let rest = if rest == "}" { "\"z\":0}" } else { rest };
                list.push_str(&format!("{head}{rest},"));
            }
        }
        for (object, list) in [(&mut self.odd, &list.odd), (&mut self.plain, &list.plain)] {
            object.push_str(&format!("\"iterations\":[{}],", list.trim_end_matches(',')));
        }
    }

    fn closed(self) -> Self {
        let close = |members: &str| format!("{{{}}}", members.trim_end_matches(','));
        Self {
            odd: close(&self.odd),
            plain: close(&self.plain),
        }
    }
}

/// Returns a key with its quotes, with letters written as escapes at times, and without.
fn keys(random: &mut Random, name: &str, oddness: usize) -> (String, String) {
    let plain = format!("\"{name}\"");
    (escaped(random, name, oddness), plain)
}

/// Returns a key with its quotes, with letters written as escapes at times.
pub(crate) fn escaped(random: &mut Random, name: &str, oddness: usize) -> String {
    if oddness == 0 || !random.one_in(oddness) {
        return format!("\"{name}\"");
    }
    let letter = |letter: char| match random.below(4) {
        0 => format!("\\u{:04x}", u32::from(letter)),
        1 => format!("\\u{:04X}", u32::from(letter)),
        _ => letter.to_string(),
    };
    format!("\"{}\"", name.chars().map(letter).collect::<String>())
}
