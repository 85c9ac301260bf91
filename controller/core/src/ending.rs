//! The bytes that end a stream of an answer in its own dialect, in the middle of it.
//!
//! An ending carries one sentence to whoever reads the answer, and makes the client stop instead
//! of asking again. It follows the last event that was forwarded, so each dialect keeps what is
//! open at that place.

pub(crate) mod anthropic;
pub(crate) mod gemini;
pub(crate) mod openai_chat;
pub(crate) mod openai_responses;

/// How the lines of a stream end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LineEnd {
    #[default]
    Lf,
    CrLf,
    Cr,
}

impl LineEnd {
    fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
            Self::Cr => "\r",
        }
    }
}

/// What an ending repeats of the answer it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) response_id: Option<&'a str>,
}

/// Appends one event; `name` is the line `event:`, which some dialects leave out.
fn push_event(out: &mut Vec<u8>, line_end: LineEnd, name: Option<&str>, data: &serde_json::Value) {
    let end = line_end.as_str();
    let name = name.map_or(String::new(), |name| format!("event: {name}{end}"));
    out.extend_from_slice(format!("{name}data: {data}{end}{end}").as_bytes());
}
