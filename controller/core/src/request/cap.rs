//! Owns the change by which a request asks for no more output than it is granted.

use bb_proto::usage::Wire;

use super::bound::THINKING_TOKENS_MIN;
use super::edit::{Change, changed};
use super::scan::{Cursor, Member};

/// The longest name of a member that holds a cap.
const NAME_BYTES_MAX: usize = 32;

/// What a request is to ask for at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// Tokens of output of one choice.
    pub tokens: u64,
    /// Whether a chat request without a cap gets the newer of its two names.
    pub is_completion: bool,
}

/// Returns a body that asks for no more output than a cap, every other byte as it was.
///
/// A cap that is larger, or is no number, is lowered wherever it stands; where there is none, one
/// is put in. A budget for thinking that is not below the cap is lowered with it. `None` where the
/// body is no JSON object or has no place for a cap.
pub fn with_cap(wire: Wire, body: &[u8], cap: Cap) -> Option<Vec<u8>> {
    let mut editor = Editor {
        cap,
        changes: Vec::new(),
    };
    let mut cursor = Cursor::new(body);
    match wire {
        Wire::AnthropicMessages => editor.object(&mut cursor, &["max_tokens"], Inside::Thinking)?,
        Wire::OpenaiChat if cap.is_completion => {
            let names = ["max_completion_tokens", "max_tokens"];
            editor.object(&mut cursor, &names, Inside::Nothing)?;
        }
        Wire::OpenaiChat => {
            let names = ["max_tokens", "max_completion_tokens"];
            editor.object(&mut cursor, &names, Inside::Nothing)?;
        }
        Wire::OpenaiResponses => {
            editor.object(&mut cursor, &["max_output_tokens"], Inside::Nothing)?;
        }
        Wire::Gemini => editor.object(&mut cursor, &[], Inside::Config)?,
        Wire::OpenaiEmbeddings => return None,
    }
    if !cursor.is_at_end() {
        return None;
    }
    let mut changes = editor.changes;
    changes.sort_by_key(|(range, _)| range.start);
    changed(body, changes)
}

/// What else an object holds that goes with its cap.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    /// Anthropic: the budget for thinking.
    Thinking,
    /// Gemini: the object that has the cap.
    Config,
}

struct Editor {
    cap: Cap,
    changes: Vec<Change>,
}

impl Editor {
    /// Caps an object in which the cap has one of these names, the first where it is put in.
    fn object(&mut self, cursor: &mut Cursor<'_>, names: &[&str], inside: Inside) -> Option<()> {
        cursor.take(b'{')?;
        let start = cursor.position();
        let (mut is_empty, mut is_there) = (true, false);
        while let Member::Key(key) = cursor.member()? {
            is_empty = false;
            let key = key.decode(NAME_BYTES_MAX).unwrap_or_default();
            match (key.as_ref(), inside) {
                (name, _) if names.contains(&name) => {
                    is_there = true;
                    self.number(cursor, self.cap.tokens, |stated, cap| stated <= cap)?;
                }
                ("thinking", Inside::Thinking) => self.thinking(cursor)?,
                ("generationConfig" | "generation_config", Inside::Config) => {
                    is_there = true;
                    self.config(cursor)?;
                }
                _ => cursor.skip(&mut ())?,
            }
        }
        if !is_there {
            let comma = if is_empty { "" } else { "," };
            let member = match names.first() {
                Some(name) => format!("\"{name}\":{}{comma}", self.cap.tokens),
                None => format!("\"generationConfig\":{}{comma}", self.config_text()),
            };
            self.changes.push((start..start, member.into_bytes()));
        }
        Some(())
    }

    fn config_text(&self) -> String {
        format!("{{\"maxOutputTokens\":{}}}", self.cap.tokens)
    }

    fn config(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        if cursor.peek()? == b'{' {
            let names = ["maxOutputTokens", "max_output_tokens"];
            return self.object(cursor, &names, Inside::Nothing);
        }
        let start = cursor.position();
        let raw = cursor.raw(&mut ())?;
        let text = self.config_text().into_bytes();
        self.changes.push((start..cursor.position(), text));
        (raw == b"null").then_some(())
    }

    fn thinking(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        if cursor.peek()? != b'{' {
            return cursor.skip(&mut ());
        }
        cursor.take(b'{')?;
        // Half is left for the answer, where that is enough to think at all.
        let lowered = self.cap.tokens.div_euclid(2).max(THINKING_TOKENS_MIN);
        while let Member::Key(key) = cursor.member()? {
            if key.decode(NAME_BYTES_MAX).as_deref() == Some("budget_tokens") {
                let cap = self.cap.tokens;
                self.number(cursor, lowered, |stated, _| stated < cap)?;
            } else {
                cursor.skip(&mut ())?;
            }
        }
        Some(())
    }

    /// Puts a number in place of the value that comes next, unless it is one that may stay.
    fn number(
        &mut self,
        cursor: &mut Cursor<'_>,
        number: u64,
        may_stay: impl Fn(u64, u64) -> bool,
    ) -> Option<()> {
        cursor.peek()?;
        let start = cursor.position();
        let raw = cursor.raw(&mut ())?;
        let stated = std::str::from_utf8(raw).unwrap_or_default().parse().ok();
        if !stated.is_some_and(|stated| may_stay(stated, number)) {
            let text = number.to_string().into_bytes();
            self.changes.push((start..cursor.position(), text));
        }
        Some(())
    }
}
