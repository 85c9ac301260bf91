//! The places in an answer that mean something, in any dialect.

/// What a value in a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Nothing that is asked for.
    Nothing,
    /// The kind of an event or of a whole answer.
    Kind,
    /// The id of the answer.
    Id,
    /// The model that answered.
    Model,
    /// The kind of an object.
    Object,
    /// The state an answer is in.
    Status,
    /// Whether the answer goes on after its request has ended.
    Background,
    /// The number of an event in its stream.
    Sequence,
    /// An error object.
    Error,
    /// What an older envelope wraps the answer in.
    Envelope,

    /// The block a streamed event belongs to.
    BlockIndex,
    /// The kind of the block that begins.
    BlockKind,
    /// Why the answer, or one choice of it, ended.
    Finish,
    /// The list of choices.
    Choices,
    /// One choice.
    Choice,
    /// The number of a choice.
    ChoiceIndex,
    /// Why the prompt was refused.
    Blocked,

    /// A usage object.
    Usage,
    /// The same usage object at its second place.
    UsageAgain,
    /// Prompt tokens, in the dialect's own sense.
    Input,
    /// Prompt tokens that came with the tools' results.
    ToolInput,
    /// Prompt tokens of sound.
    Audio,
    /// Generated tokens, in the dialect's own sense.
    Output,
    /// Generated tokens of reasoning; the number is the rank among the names for it.
    Reasoning(u8),
    /// All tokens, as the provider adds them up.
    Total,
    /// Prompt tokens read from a cache; the number is the rank among the names for it.
    CacheRead(u8),
    /// Prompt tokens written to a cache; the number is the rank among the names for it.
    CacheWrite(u8),
    /// Prompt tokens written to a cache for five minutes.
    CacheWriteShort,
    /// Prompt tokens written to a cache for an hour.
    CacheWriteLong,
    /// One pass of several that made up the answer.
    Iteration,
    /// The kind of a pass.
    IterationKind,
    /// The model of a pass.
    IterationModel,

    /// Generated text or tool arguments of a streamed answer.
    Text,
    /// Generated reasoning of a streamed answer.
    Thinking,
    /// The same reasoning under its second name.
    ThinkingAgain,
    /// One part of a candidate.
    Part,
    /// Whether a part is reasoning.
    Thought,
    /// Generated text or tool arguments of a whole answer.
    WholeText,
    /// Generated reasoning of a whole answer.
    WholeThinking,
    /// The same reasoning of a whole answer under its second name.
    WholeThinkingAgain,
}
