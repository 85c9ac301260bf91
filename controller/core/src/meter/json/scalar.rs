//! Numbers and literals, at any cut.

use super::{COUNT_MAX, Field, Scanner, Sink, State, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    /// Nothing but digits so far.
    Whole(u64),
    /// A zero with nothing behind it so far.
    Zero,
    Odd,
}

/// A value that is a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literal {
    True,
    False,
    Null,
}

impl Scanner {
    pub(super) fn number<'b, S: Sink>(
        &mut self,
        number: Number,
        rest: &'b [u8],
        sink: &mut S,
    ) -> &'b [u8] {
        let mut number = number;
        let mut left = rest;
        while let Some((&byte, behind)) = left.split_first() {
            number = match (byte, number) {
                (b'0'..=b'9', Number::Whole(n)) => n
                    .checked_mul(10)
                    .and_then(|n| n.checked_add(u64::from(byte.saturating_sub(b'0'))))
                    .map_or(Number::Odd, Number::Whole),
                (b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-', _) => Number::Odd,
                _ => {
                    self.after();
                    if self.node.field != Field::Nothing {
                        sink.value(self.node.field, number.value());
                    }
                    return left;
                }
            };
            left = behind;
        }
        self.state = State::Number(number);
        left
    }

    pub(super) fn literal<'b, S: Sink>(
        &mut self,
        literal: Literal,
        passed: u8,
        rest: &'b [u8],
        sink: &mut S,
    ) -> &'b [u8] {
        let (name, value) = literal.spelling();
        let wanted = name.get(usize::from(passed)..).unwrap_or_default();
        if let Some(behind) = rest.strip_prefix(wanted) {
            self.after();
            if self.node.field != Field::Nothing {
                sink.value(self.node.field, value);
            }
            return behind;
        }
        let more = u8::try_from(rest.len()).ok();
        self.state = match more.and_then(|more| passed.checked_add(more)) {
            Some(passed) if wanted.starts_with(rest) => State::Literal(literal, passed),
            _ => State::Broken,
        };
        &[]
    }
}

impl Literal {
    fn spelling(self) -> (&'static [u8], Value<'static>) {
        match self {
            Self::True => (b"true", Value::Bool(true)),
            Self::False => (b"false", Value::Bool(false)),
            Self::Null => (b"null", Value::Null),
        }
    }
}

impl Number {
    fn value(self) -> Value<'static> {
        match self {
            Self::Zero => Value::Count(0),
            Self::Whole(n) if n <= COUNT_MAX => Value::Count(n),
            Self::Whole(_) | Self::Odd => Value::OddNumber,
        }
    }
}
