//! Owns which declared tools are the client's and which the provider runs.

use bb_proto::usage::Wire;

use super::read::{Reader, WORD_BYTES_MAX};
use super::scan::{Cursor, Watch};

impl Reader {
    /// Counts the tools of an array and notes whether the provider runs one.
    pub(super) fn tools(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        if cursor.take(b'[').is_none() {
            cursor.skip(self)?;
            return Some(());
        }
        while cursor.element()? {
            self.facts.tools = self.facts.tools.saturating_add(1);
            let mut kind = None;
            let mut server_keys = false;
            self.each_member(cursor, |reader, key, cursor| {
                server_keys |= !is_client_key(reader.wire, key);
                if key == "type" && cursor.peek()? == b'"' {
                    let text = cursor.string()?;
                    reader.text(text);
                    kind = Some(text.decode(WORD_BYTES_MAX).unwrap_or_default().into_owned());
                } else {
                    cursor.skip(reader)?;
                }
                Some(())
            })?;
            let client = is_client_type(self.wire, kind.as_deref()) && !server_keys;
            self.facts.server_tools |= !client;
            let is_declared = matches!(kind.as_deref(), None | Some("function" | "custom"));
            if client && (!is_declared || self.wire == Wire::Gemini) {
                self.facts.described_tools = self.facts.described_tools.saturating_add(1);
            }
        }
        Some(())
    }
}

/// Returns whether a tool of this type is run by the client.
fn is_client_type(wire: Wire, kind: Option<&str>) -> bool {
    let Some(kind) = kind else {
        return wire != Wire::OpenaiResponses;
    };
    match wire {
        Wire::AnthropicMessages => {
            let prefixes = ["bash_", "text_editor_", "computer_", "memory_"];
            kind == "custom" || prefixes.iter().any(|prefix| kind.starts_with(prefix))
        }
        Wire::OpenaiChat | Wire::OpenaiEmbeddings => matches!(kind, "function" | "custom"),
        Wire::OpenaiResponses => matches!(
            kind,
            "function"
                | "custom"
                | "namespace"
                | "local_shell"
                | "apply_patch"
                | "computer"
                | "computer_use_preview"
        ),
        Wire::Gemini => true,
    }
}

/// Returns whether a member of a tool is none that makes the provider run it.
fn is_client_key(wire: Wire, key: &str) -> bool {
    let client = [
        "functionDeclarations",
        "function_declarations",
        "computerUse",
        "computer_use",
    ];
    wire != Wire::Gemini || client.contains(&key)
}
