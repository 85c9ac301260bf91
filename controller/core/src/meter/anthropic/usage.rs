//! The counts of a usage object, and of the passes that made up the answer.
//!
//! The passes of `usage.iterations` are summed where one of them is a compaction, which the top
//! level leaves out; the passes of an advisor belong to another model.

use bb_proto::usage::Usage;

use crate::meter::facts::{add, count};
use crate::meter::field::Field;
use crate::meter::json::Value;

/// The most other models kept apart; what is beyond is added to the last.
const OTHER_MODELS_MAX: usize = 8;

/// Counts of one usage object or one pass, as far as they were read.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    usage: Usage,
    write_short: Option<u64>,
    write_long: Option<u64>,
}

impl Counts {
    fn set(&mut self, field: Field, value: Value<'_>) {
        let slot = match field {
            Field::Input => &mut self.usage.input,
            Field::CacheRead(_) => &mut self.usage.cache_read,
            Field::CacheWrite(_) => &mut self.usage.cache_write,
            Field::CacheWriteShort => &mut self.write_short,
            Field::CacheWriteLong => &mut self.write_long,
            Field::Output => &mut self.usage.output,
            Field::Reasoning(_) => &mut self.usage.reasoning,
            _ => return,
        };
        *slot = count(value);
    }

    fn usage(self) -> Usage {
        let split = add(self.write_short, self.write_long);
        Usage {
            cache_write: self.usage.cache_write.or(split),
            ..self.usage
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Pass {
    #[default]
    Message,
    Compaction,
    Advisor,
    Other,
}

impl Pass {
    pub(super) fn of(kind: &[u8]) -> Self {
        match kind {
            b"message" => Self::Message,
            b"compaction" => Self::Compaction,
            b"advisor_message" => Self::Advisor,
            _ => Self::Other,
        }
    }
}

/// The passes of one usage object.
#[derive(Debug, Default)]
pub(super) struct Passes {
    /// The pass that is read, if one is.
    current: Option<Counts>,
    pub(super) kind: Pass,
    pub(super) model: Option<String>,
    pub(super) count: u32,
    has_compaction: bool,
    sum: Usage,
    pub(super) others: Vec<(String, Usage)>,
}

impl Passes {
    pub(super) fn begin(&mut self) {
        self.current = Some(Counts::default());
        self.kind = Pass::Other;
        self.model = None;
    }

    pub(super) fn end(&mut self) {
        let Some(counts) = self.current.take() else {
            return;
        };
        let usage = counts.usage();
        self.count = self.count.saturating_add(1);
        match self.kind {
            Pass::Compaction | Pass::Message => {
                self.has_compaction |= self.kind == Pass::Compaction;
                self.sum = sum(self.sum, usage);
            }
            Pass::Advisor => {
                add_other(
                    &mut self.others,
                    self.model.take().unwrap_or_default(),
                    usage,
                );
            }
            Pass::Other => {}
        }
    }
}

/// A usage object as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Stated {
    counts: Counts,
    pub(super) passes: Passes,
    pub(super) is_whole: bool,
}

impl Stated {
    pub(super) fn set(&mut self, field: Field, value: Value<'_>) {
        match &mut self.passes.current {
            Some(pass) => pass.set(field, value),
            None => self.counts.set(field, value),
        }
    }

    pub(super) fn usage(&self) -> Usage {
        let usage = self.counts.usage();
        if !self.passes.has_compaction {
            return usage;
        }
        Usage {
            reasoning: self.passes.sum.reasoning.or(usage.reasoning),
            ..self.passes.sum
        }
    }
}

fn sum(a: Usage, b: Usage) -> Usage {
    Usage {
        input: add(a.input, b.input),
        cache_read: add(a.cache_read, b.cache_read),
        cache_write: add(a.cache_write, b.cache_write),
        output: add(a.output, b.output),
        reasoning: add(a.reasoning, b.reasoning),
    }
}

fn add_other(others: &mut Vec<(String, Usage)>, model: String, usage: Usage) {
    let is_full = others.len() >= OTHER_MODELS_MAX;
    let known = match others.iter().position(|(name, _)| *name == model) {
        Some(at) => others.get_mut(at),
        None if is_full => others.last_mut(),
        None => None,
    };
    match known {
        Some((_, total)) => *total = sum(*total, usage),
        None => others.push((model, usage)),
    }
}
