//! What holds for every input.

use bb_core::meter::{Flowed, Framing, Meter, Quirks};
use bb_proto::usage::{Usage, Wire};
use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value};

use crate::Input;
use crate::counting::Measure;
use crate::random::Random;

/// What one stream may take, in bytes.
const BYTES_MAX: usize = 8 << 10;
/// The largest count that is taken from a body.
const COUNT_MAX: u64 = 1 << 53;
/// The longest name that is kept, in bytes.
const NAME_MAX: usize = 128;
const OTHER_MODELS_MAX: usize = 8;

/// All that a meter says of a body.
#[derive(Debug, PartialEq)]
struct Said {
    usage: Usage,
    is_complete: bool,
    failed: bool,
    flowed: Flowed,
    names: [Option<String>; 2],
    others: Vec<(String, Usage)>,
    boundary: Option<usize>,
    at_boundary: bool,
    ending: Option<Vec<u8>>,
}

/// Checks all of it; returns whether usage was stated.
pub(crate) fn check(input: &Input, random: &mut Random) -> bool {
    let whole = said(input, &input.body, &[]);
    let cuts = random.cuts(input.body.len());
    assert_eq!(
        said(input, &input.body, &cuts),
        whole,
        "in pieces, cut at {cuts:?}, as whole"
    );
    if let Some(same) = &input.same {
        let plain = said(input, same, &[]);
        assert_eq!(
            (whole.usage, &whole.others, whole.is_complete),
            (plain.usage, &plain.others, plain.is_complete),
            "what is no count is as if it were not there"
        );
    }
    check_counts(input, &whole);
    check_ending(input, &whole);
    whole.usage.is_stated()
}

fn said(input: &Input, body: &[u8], cuts: &[usize]) -> Said {
    let measure = Measure::begin();
    let mut meter = Meter::new(input.wire, input.framing, Quirks::NONE, 1);
    let mut boundary = None;
    let mut from = 0;
    for to in cuts.iter().copied().chain([body.len()]) {
        let step = meter.read(&body[from..to]);
        for at in [step.boundary, step.hold_at].into_iter().flatten() {
            assert!(at <= to - from, "a place in the bytes that were read");
        }
        boundary = step.boundary.map(|at| from + at).or(boundary);
        from = to;
    }
    let took = size_of::<Meter>() + measure.peak();
    assert!(took <= BYTES_MAX, "{took} bytes of memory");
    let ending = meter.ending("over");
    let at_boundary = meter.at_boundary();
    if let Some(ending) = meter.ending_before_held("over") {
        assert!(can_follow(&ending), "an ending before what is held");
    }
    meter.finish();
    Said {
        usage: meter.usage(),
        is_complete: meter.is_complete(),
        failed: meter.failed(),
        flowed: meter.flowed_bytes(),
        names: [meter.model(), meter.response_id()].map(|name| name.map(str::to_owned)),
        others: meter.other_models().to_vec(),
        boundary,
        at_boundary,
        ending,
    }
}

fn check_counts(input: &Input, said: &Said) {
    assert!(!(said.is_complete && said.failed));
    assert!(said.others.len() <= OTHER_MODELS_MAX);
    let others = said.others.iter().map(|(name, _)| Some(name));
    let mut names = others
        .chain(said.names.iter().map(Option::as_ref))
        .flatten();
    assert!(names.all(|name| name.len() <= NAME_MAX));
    // A few counts are added up at most, and the passes of an answer: each begins with a brace.
    let objects = memchr::memchr_iter(b'{', &input.body).count();
    let most = match input.wire {
        Wire::AnthropicMessages => COUNT_MAX * (2 + 2 * u64::try_from(objects).unwrap()),
        _ => COUNT_MAX * 2,
    };
    for usage in said
        .others
        .iter()
        .map(|(_, usage)| usage)
        .chain([&said.usage])
    {
        let Usage {
            input,
            cache_read,
            cache_write,
            output,
            reasoning,
        } = *usage;
        let counts = [input, cache_read, cache_write, output, reasoning];
        assert!(counts.into_iter().flatten().all(|count| count <= most));
    }
    if input.wire == Wire::Gemini {
        assert!(said.usage.reasoning <= said.usage.output, "a part of it");
    }
    let flowed = said.flowed.text + said.flowed.reasoning;
    assert!(flowed <= u64::try_from(input.body.len()).unwrap());
}

/// The ending is a whole event or the rest of an array, and hurts nothing that stands before it.
fn check_ending(input: &Input, said: &Said) {
    let is_behind_all = said.boundary == Some(input.body.len());
    assert!(said.at_boundary || !is_behind_all, "a boundary is one");
    let Some(ending) = &said.ending else { return };
    assert!(can_follow(ending), "{}", String::from_utf8_lossy(ending));
    let before = &input.body[..said.boundary.unwrap_or(0)];
    if input.framing == Some(Framing::JsonLines) || first(before) == Some(b'{') {
        assert!(ending.is_empty() || is_document(ending), "a message");
        let ended = [before, b"\n", ending].concat();
        let mut documents = Deserializer::from_slice(without_mark(&ended)).into_iter();
        assert!(!input.is_well_formed || documents.all(|one| one.is_ok_and(|_: IgnoredAny| true)));
        return;
    }
    let ended = [before, ending].concat();
    if [before, ending]
        .iter()
        .any(|bytes| first(bytes) == Some(b'['))
    {
        let array: Result<Vec<IgnoredAny>, _> = serde_json::from_slice(without_mark(&ended));
        assert!(
            !input.is_well_formed || array.is_ok(),
            "{:?}",
            String::from_utf8_lossy(&ended)
        );
    } else {
        let had = events(before);
        let has = events(&ended);
        let (same, more) = has.split_at(had.len());
        assert_eq!(same, had, "what stands before the ending");
        assert_eq!(more.is_empty(), ending.is_empty());
        assert!(more.iter().all(|event| is_document(event)));
    }
}

fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)
}

fn first(bytes: &[u8]) -> Option<u8> {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF);
    bytes.iter().copied().find(|byte| !blank(byte))
}

fn is_document(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.is_object())
}

/// Returns whether this is an ending: nothing, a document, events of one each, or the rest of an
/// array.
fn can_follow(ending: &[u8]) -> bool {
    let closes = |before: &[u8]| {
        let array: Result<Vec<IgnoredAny>, _> = serde_json::from_slice(&[before, ending].concat());
        array.is_ok()
    };
    let events = events(ending);
    ending.is_empty()
        || is_document(ending)
        || (!events.is_empty() && events.iter().all(|event| is_document(event)))
        || [&b""[..], b"[", b"[{}"].into_iter().any(closes)
}

/// Reads events as the specification of server-sent events has it: the data of each.
fn events(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    let mut data: Option<Vec<u8>> = None;
    for line in lines(without_mark(stream)) {
        if line.is_empty() {
            events.extend(data.take());
        } else if let Some(more) = line.strip_prefix(b"data:") {
            let more = more.strip_prefix(b" ").unwrap_or(more);
            match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(more);
                }
                None => data = Some(more.to_vec()),
            }
        }
    }
    events
}

/// Returns the lines that are ended.
fn lines(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(at) = stream.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(&stream[..at]);
        let width = if stream[at..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        stream = &stream[at + width..];
    }
    lines
}
