//! Owns which members of which dialect's body are which facts.

use bb_proto::usage::Wire;

use super::scan::{Cursor, Member, Watch};
use super::{MODEL_BYTES_MAX, RequestFacts};

/// How far one body may be looked ahead in, over all.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// The longest key or word that is compared with a known one.
pub(super) const WORD_BYTES_MAX: usize = 32;

pub(super) fn facts(wire: Wire, path: &str, body: &[u8]) -> RequestFacts {
    let mut reader = Reader::new(wire, body);
    reader.path(path);
    if wire == Wire::OpenaiEmbeddings {
        reader.output_max = Stated::AtMost(0);
    }
    let mut cursor = Cursor::new(body);
    let whole = reader.body(&mut cursor).is_some() && cursor.is_at_end();
    reader.facts.is_whole = whole;
    reader.facts.output_max = reader.output_max.known();
    reader.facts.thinking_budget = reader.thinking_budget.known();
    reader.facts
}

/// A count that may be stated more than once.
#[derive(Clone, Copy)]
enum Stated {
    Never,
    AtMost(u64),
    Unreadably,
}

impl Stated {
    fn note(&mut self, raw: &[u8]) {
        let digits = raw
            .strip_prefix(b"\"")
            .and_then(|raw| raw.strip_suffix(b"\""));
        let digits = std::str::from_utf8(digits.unwrap_or(raw)).unwrap_or_default();
        let count = digits.parse::<u64>().ok();
        *self = match (*self, count) {
            (Self::Unreadably, _) | (_, None) => Self::Unreadably,
            (Self::Never, Some(count)) => Self::AtMost(count),
            (Self::AtMost(before), Some(count)) => Self::AtMost(before.max(count)),
        };
    }

    fn known(self) -> Option<u64> {
        match self {
            Self::AtMost(count) => Some(count),
            Self::Never | Self::Unreadably => None,
        }
    }
}

pub(super) struct Reader {
    pub(super) wire: Wire,
    pub(super) facts: RequestFacts,
    output_max: Stated,
    thinking_budget: Stated,
    /// Whether the string that comes next is the value of a member named `data`.
    pub(super) is_data: bool,
    /// How much further may be looked ahead, in bytes.
    pub(super) ahead: usize,
}

impl Reader {
    fn new(wire: Wire, body: &[u8]) -> Self {
        Self {
            wire,
            facts: RequestFacts {
                model: None,
                stream: false,
                output_max: None,
                thinking_budget: None,
                choices: 1,
                include_usage: None,
                background: false,
                stored_input: false,
                server_tools: false,
                uncapped: false,
                tools: 0,
                described_tools: 0,
                body_bytes: count(body),
                text_bytes: 0,
                media_bytes: 0,
                media: 0,
                images: 0,
                media_parts: 0,
                is_whole: false,
            },
            output_max: Stated::Never,
            thinking_budget: Stated::Never,
            is_data: false,
            ahead: AHEAD_BYTES_MAX,
        }
    }

    /// Google names model and method in the path, and others' dialects in its cloud likewise.
    fn path(&mut self, path: &str) {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let last = path.rsplit_once('/').map_or(path, |(_, last)| last);
        let Some((model, verb)) = last.rsplit_once(':') else {
            if self.wire == Wire::Gemini {
                self.facts.model = clean_model(last);
            }
            return;
        };
        self.facts.model = clean_model(model);
        self.facts.stream = matches!(verb, "streamGenerateContent" | "streamRawPredict");
    }

    fn body(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.take(b'{')?;
        while let Member::Key(key) = cursor.member()? {
            let key = key.decode(WORD_BYTES_MAX).unwrap_or_default();
            match self.wire {
                Wire::AnthropicMessages => self.anthropic(&key, cursor)?,
                Wire::OpenaiChat => self.openai_chat(&key, cursor)?,
                Wire::OpenaiEmbeddings => self.openai_embeddings(&key, cursor)?,
                Wire::OpenaiResponses => self.openai_responses(&key, cursor)?,
                Wire::Gemini => self.gemini(&key, cursor)?,
            }
        }
        Some(())
    }

    fn anthropic(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Option<()> {
        match key {
            "model" => self.model(cursor)?,
            "stream" => self.facts.stream = cursor.raw(self)? == b"true",
            "max_tokens" => self.output_max.note(cursor.raw(&mut ())?),
            "thinking" => self.each_member(cursor, |reader, key, cursor| {
                if key == "budget_tokens" {
                    reader.thinking_budget.note(cursor.raw(&mut ())?);
                } else {
                    cursor.skip(reader)?;
                }
                Some(())
            })?,
            "tools" => self.tools(cursor)?,
            "container" | "mcp_servers" => {
                let says = says_something(cursor.raw(self)?);
                self.facts.server_tools |= says;
            }
            "context_management" => self.context_management(cursor)?,
            _ => cursor.skip(self)?,
        }
        Some(())
    }

    /// A context that the provider compacts is read and written once more.
    fn context_management(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let raw = cursor.raw(self)?;
        self.facts.uncapped |= memchr::memmem::find(raw, b"compact").is_some();
        Some(())
    }

    fn openai_chat(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Option<()> {
        match key {
            "model" => self.model(cursor)?,
            "stream" => self.facts.stream = cursor.raw(self)? == b"true",
            "max_tokens" | "max_completion_tokens" => {
                self.output_max.note(cursor.raw(&mut ())?);
            }
            "n" => self.choices(cursor.raw(&mut ())?),
            "stream_options" => self.each_member(cursor, |reader, key, cursor| {
                let value = cursor.raw(reader)?;
                if key == "include_usage" {
                    let before = reader.facts.include_usage.unwrap_or(true);
                    reader.facts.include_usage = Some(before && value == b"true");
                }
                Some(())
            })?,
            "tools" => self.tools(cursor)?,
            "plugins" => {
                let says = says_something(cursor.raw(self)?);
                self.facts.server_tools |= says;
            }
            // An empty one asks for a search as well.
            "web_search_options" | "search_parameters" => {
                let says = cursor.raw(self)? != b"null";
                self.facts.server_tools |= says;
            }
            // What was predicted and is not used is billed as output, and no cap counts it.
            "prediction" | "audio" => {
                let says = says_something(cursor.raw(self)?);
                self.facts.uncapped |= says;
            }
            _ => cursor.skip(self)?,
        }
        Some(())
    }

    fn openai_embeddings(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Option<()> {
        match key {
            "model" => self.model(cursor)?,
            _ => cursor.skip(self)?,
        }
        Some(())
    }

    fn openai_responses(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Option<()> {
        match key {
            "model" => self.model(cursor)?,
            "stream" => self.facts.stream = cursor.raw(self)? == b"true",
            "max_output_tokens" => self.output_max.note(cursor.raw(&mut ())?),
            // A warm-up of a WebSocket: it is read, and nothing is generated.
            "generate" => {
                if cursor.raw(self)? == b"false" {
                    self.output_max.note(b"0");
                }
            }
            // Some take more for it than the dialect says.
            "background" => {
                let said = cursor.raw(self)?;
                self.facts.background |= !matches!(said, b"false" | b"null");
            }
            "previous_response_id" | "conversation" | "prompt" => {
                let says = says_something(cursor.raw(self)?);
                self.facts.stored_input |= says;
            }
            "context_management" => self.context_management(cursor)?,
            "tools" => self.tools(cursor)?,
            _ => cursor.skip(self)?,
        }
        Some(())
    }

    fn gemini(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Option<()> {
        match key {
            "generationConfig" | "generation_config" => {
                self.facts.uncapped |= !matches!(cursor.peek()?, b'{' | b'n');
                self.each_member(cursor, |reader, key, cursor| {
                    match key {
                        "maxOutputTokens" | "max_output_tokens" => {
                            reader.output_max.note(cursor.raw(&mut ())?);
                        }
                        "candidateCount" | "candidate_count" => {
                            reader.choices(cursor.raw(&mut ())?);
                        }
                        "responseModalities" | "response_modalities" => {
                            let raw = cursor.raw(reader)?;
                            let others = [&b"IMAGE"[..], b"AUDIO", b"VIDEO"];
                            let says = |kind: &&[u8]| memchr::memmem::find(raw, kind).is_some();
                            reader.facts.uncapped |= others.iter().any(says);
                        }
                        _ => cursor.skip(reader)?,
                    }
                    Some(())
                })?;
            }
            "cachedContent" | "cached_content" => {
                let says = says_something(cursor.raw(self)?);
                self.facts.stored_input |= says;
            }
            "tools" => self.tools(cursor)?,
            _ => cursor.skip(self)?,
        }
        Some(())
    }

    /// Hands each member of an object on, or moves past what is no object.
    pub(super) fn each_member(
        &mut self,
        cursor: &mut Cursor<'_>,
        mut member: impl FnMut(&mut Self, &str, &mut Cursor<'_>) -> Option<()>,
    ) -> Option<()> {
        if cursor.take(b'{').is_none() {
            cursor.skip(self)?;
            return Some(());
        }
        while let Member::Key(key) = cursor.member()? {
            self.text(key);
            let key = key.decode(WORD_BYTES_MAX).unwrap_or_default();
            member(self, &key, cursor)?;
        }
        Some(())
    }

    fn model(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        if cursor.peek()? == b'"' {
            let text = cursor.string()?;
            let model = text.decode(MODEL_BYTES_MAX);
            self.facts.model = model.and_then(|model| clean_model(&model));
        } else {
            cursor.skip(self)?;
        }
        Some(())
    }

    fn choices(&mut self, raw: &[u8]) {
        let choices = std::str::from_utf8(raw).unwrap_or_default().parse();
        self.facts.uncapped |= choices.is_err() && raw != b"null";
        self.facts.choices = self.facts.choices.max(choices.unwrap_or(1));
    }
}

/// Returns whether a value is more than `null`, `false` or empty.
fn says_something(raw: &[u8]) -> bool {
    let empty = |byte: &u8| b" \t\r\n\"[]{}".contains(byte);
    raw != b"null" && raw != b"false" && !raw.iter().all(empty)
}

/// Returns a model's name without characters that would change how a screen or log reads.
fn clean_model(name: &str) -> Option<String> {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let name: String = name.chars().filter(|c| !odd(*c)).collect();
    (!name.is_empty() && name.len() <= MODEL_BYTES_MAX).then_some(name)
}

pub(super) fn count(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
