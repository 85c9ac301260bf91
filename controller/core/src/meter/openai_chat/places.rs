//! Where chat completions, completions and embeddings say what.

use crate::meter::field::Field;
use crate::meter::json::Node;

type Key = (&'static str, Node);

const PROMPT_DETAILS: Node = Node::object(
    Field::Nothing,
    &[
        ("cached_tokens", Node::value(Field::CacheRead(0))),
        ("cache_write_tokens", Node::value(Field::CacheWrite(0))),
        ("audio_tokens", Node::value(Field::Audio)),
    ],
);
const COMPLETION_DETAILS: Node = Node::object(
    Field::Nothing,
    &[("reasoning_tokens", Node::value(Field::Reasoning(0)))],
);
const USAGE_KEYS: &[Key] = &[
    ("prompt_tokens", Node::value(Field::Input)),
    ("completion_tokens", Node::value(Field::Output)),
    ("total_tokens", Node::value(Field::Total)),
    ("prompt_tokens_details", PROMPT_DETAILS),
    ("prompt_token_details", PROMPT_DETAILS),
    ("completion_tokens_details", COMPLETION_DETAILS),
    ("completion_token_details", COMPLETION_DETAILS),
    ("reasoning_tokens", Node::value(Field::Reasoning(1))),
    ("prompt_cache_hit_tokens", Node::value(Field::CacheRead(1))),
    ("cached_tokens", Node::value(Field::CacheRead(2))),
    ("num_cached_tokens", Node::value(Field::CacheRead(3))),
    ("cache_read_input_tokens", Node::value(Field::CacheRead(4))),
    (
        "cache_creation_input_tokens",
        Node::value(Field::CacheWrite(1)),
    ),
];

const TOOL_CALL: Node = Node::object(
    Field::Nothing,
    &[(
        "function",
        Node::object(Field::Nothing, &[("arguments", Node::flow(Field::Text))]),
    )],
);
const WHOLE_TOOL_CALL: Node = Node::object(
    Field::Nothing,
    &[(
        "function",
        Node::object(
            Field::Nothing,
            &[("arguments", Node::flow(Field::WholeText))],
        ),
    )],
);
const CHOICE: Node = Node::object(
    Field::Choice,
    &[
        ("index", Node::value(Field::ChoiceIndex)),
        ("finish_reason", Node::word(Field::Finish)),
        (
            "delta",
            Node::object(
                Field::Nothing,
                &[
                    ("content", Node::flow(Field::Text)),
                    ("refusal", Node::flow(Field::Text)),
                    ("reasoning_content", Node::flow(Field::Thinking)),
                    ("reasoning", Node::flow(Field::ThinkingAgain)),
                    ("tool_calls", Node::array(Field::Nothing, &TOOL_CALL)),
                    (
                        "function_call",
                        Node::object(Field::Nothing, &[("arguments", Node::flow(Field::Text))]),
                    ),
                ],
            ),
        ),
        (
            "message",
            Node::object(
                Field::Nothing,
                &[
                    ("content", Node::flow(Field::WholeText)),
                    ("refusal", Node::flow(Field::WholeText)),
                    ("reasoning_content", Node::flow(Field::WholeThinking)),
                    ("reasoning", Node::flow(Field::WholeThinkingAgain)),
                    ("tool_calls", Node::array(Field::Nothing, &WHOLE_TOOL_CALL)),
                ],
            ),
        ),
        ("text", Node::flow(Field::Text)),
    ],
);
pub(super) static ROOT: Node = Node::object(
    Field::Nothing,
    &[
        ("choices", Node::array(Field::Choices, &CHOICE)),
        ("usage", Node::object(Field::Usage, USAGE_KEYS)),
        (
            "x_groq",
            Node::object(
                Field::Nothing,
                &[("usage", Node::object(Field::UsageAgain, USAGE_KEYS))],
            ),
        ),
        ("error", Node::value(Field::Error)),
        ("id", Node::word(Field::Id)),
        ("model", Node::word(Field::Model)),
        ("data", Node::value(Field::Choices)),
    ],
);
