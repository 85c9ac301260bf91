//! Where Anthropic Messages say what.

use crate::meter::field::Field;
use crate::meter::json::Node;

type Key = (&'static str, Node);

const INPUT: Key = ("input_tokens", Node::value(Field::Input));
const READ: Key = ("cache_read_input_tokens", Node::value(Field::CacheRead(0)));
const WRITE: Key = (
    "cache_creation_input_tokens",
    Node::value(Field::CacheWrite(0)),
);
const WRITE_SPLIT: Key = (
    "cache_creation",
    Node::object(
        Field::Nothing,
        &[
            (
                "ephemeral_5m_input_tokens",
                Node::value(Field::CacheWriteShort),
            ),
            (
                "ephemeral_1h_input_tokens",
                Node::value(Field::CacheWriteLong),
            ),
        ],
    ),
);
const OUTPUT: Key = ("output_tokens", Node::value(Field::Output));
const OUTPUT_SPLIT: Key = (
    "output_tokens_details",
    Node::object(
        Field::Nothing,
        &[("thinking_tokens", Node::value(Field::Reasoning(0)))],
    ),
);

const ITERATION: Node = Node::object(
    Field::Iteration,
    &[
        ("type", Node::word(Field::IterationKind)),
        ("model", Node::word(Field::IterationModel)),
        INPUT,
        READ,
        WRITE,
        WRITE_SPLIT,
        OUTPUT,
        OUTPUT_SPLIT,
    ],
);
const USAGE: Key = (
    "usage",
    Node::object(
        Field::Usage,
        &[
            INPUT,
            READ,
            WRITE,
            WRITE_SPLIT,
            OUTPUT,
            OUTPUT_SPLIT,
            ("iterations", Node::array(Field::Nothing, &ITERATION)),
        ],
    ),
);
const ID: Key = ("id", Node::word(Field::Id));
const MODEL: Key = ("model", Node::word(Field::Model));
const WHOLE_BLOCK: Node = Node::object(
    Field::Nothing,
    &[
        ("text", Node::flow(Field::WholeText)),
        ("input", Node::flow(Field::WholeText)),
        ("thinking", Node::flow(Field::WholeThinking)),
    ],
);
pub(super) static ROOT: Node = Node::object(
    Field::Nothing,
    &[
        ("type", Node::word(Field::Kind)),
        ("index", Node::value(Field::BlockIndex)),
        (
            "delta",
            Node::object(
                Field::Nothing,
                &[
                    ("text", Node::flow(Field::Text)),
                    ("partial_json", Node::flow(Field::Text)),
                    ("content", Node::flow(Field::Text)),
                    ("thinking", Node::flow(Field::Thinking)),
                ],
            ),
        ),
        (
            "content_block",
            Node::object(Field::Nothing, &[("type", Node::word(Field::BlockKind))]),
        ),
        ("message", Node::object(Field::Nothing, &[ID, MODEL, USAGE])),
        USAGE,
        ("error", Node::value(Field::Error)),
        ID,
        MODEL,
        ("content", Node::array(Field::Nothing, &WHOLE_BLOCK)),
    ],
);
