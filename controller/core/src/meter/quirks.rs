//! Owns how a provider may bend the rules of the dialect it copies; which one does stands in its row.

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

impl Quirks {
    /// A provider that follows its dialect.
    pub const NONE: Self = Self {
        reasoning_on_top: false,
        hidden_thinking_in_total: false,
    };
}
