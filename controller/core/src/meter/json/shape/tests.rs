use super::*;

/// What a sink hears, with the sizes at one place added up.
#[derive(Debug, Default, PartialEq)]
struct Heard(Vec<(Field, Said)>);

#[derive(Debug, PartialEq)]
enum Said {
    Begin,
    End,
    Null,
    Bool(bool),
    Count(u64),
    OddNumber,
    Text(Vec<u8>),
    Flow(u64),
}

impl Sink for Heard {
    fn begin(&mut self, field: Field) {
        self.0.push((field, Said::Begin));
    }

    fn end(&mut self, field: Field) {
        self.0.push((field, Said::End));
    }

    fn value(&mut self, field: Field, value: Value<'_>) {
        let said = match value {
            Value::Null => Said::Null,
            Value::Bool(it) => Said::Bool(it),
            Value::Count(count) => Said::Count(count),
            Value::OddNumber => Said::OddNumber,
            Value::Text(text) => Said::Text(text.to_vec()),
        };
        self.0.push((field, said));
    }

    fn flow(&mut self, field: Field, bytes: u64) {
        if bytes == 0 {
            return;
        }
        match self.0.last_mut() {
            Some((last, Said::Flow(total))) if *last == field => *total += bytes,
            _ => self.0.push((field, Said::Flow(bytes))),
        }
    }
}

const PART: Node = Node::object(Field::Part, &[("text", Node::flow(Field::WholeText))]);
static ROOT: Node = Node::object(
    Field::Nothing,
    &[
        ("type", Node::word(Field::Kind)),
        ("n", Node::value(Field::Sequence)),
        ("text", Node::flow(Field::Text)),
        ("args", Node::flow(Field::Thinking)),
        ("flag", Node::value(Field::Thought)),
        ("parts", Node::array(Field::Choices, &PART)),
    ],
);

const BEFORE: &str = "event: x\ndata: ";
const BEHIND: &str = "\n\n";

fn scanned(document: &str) -> Option<Heard> {
    let mut heard = Heard::default();
    let mut scanner = Scanner::new(&ROOT);
    scanner.feed(document.as_bytes(), &mut heard);
    scanner.is_closed().then_some(heard)
}

fn learned(document: &str) -> Option<Shape> {
    let event = format!("{BEFORE}{document}{BEHIND}");
    let to = BEFORE.len() + document.len();
    Shape::learn(event.as_bytes(), BEFORE.len(), to, &ROOT)
}

fn replayed(shape: &Shape, document: &str) -> Option<Heard> {
    let event = format!("{BEFORE}{document}{BEHIND}");
    let more = format!("{event}{event}");
    let fit = shape.fit(more.as_bytes())?;
    assert_eq!(fit.len, event.len());
    assert!(shape.fit(&event.as_bytes()[..event.len() - 1]).is_none());
    let mut heard = Heard::default();
    fit.replay(&mut heard);
    Some(heard)
}

#[test]
fn an_event_that_differs_in_strings_and_numbers_only_is_heard_as_if_it_were_read() {
    let shape = learned(
        r#"{"type":"delta","n":7,"seq":1,"text":"","pad":"abc","flag":true,"x":{"y":["z",{}]},"parts":[{"text":"a"}]}"#,
    )
    .unwrap();
    let long = "word ".repeat(40);
    let texts = [
        "",
        "x",
        "é\\n\\u00e9\\ud83d\\ude00 \\\" {",
        "a\\\\",
        long.as_str(),
    ];
    for text in texts {
        for number in ["0", "8", "9007199254740992"] {
            let document = format!(
                r#"{{"type":"delta","n":{number},"seq":-1.5e3,"text":"{text}","pad":"{text}","flag":true,"x":{{"y":["{text}",{{}}]}},"parts":[{{"text":"{text}"}}]}}"#
            );
            let heard = replayed(&shape, &document);
            assert!(heard.is_some(), "{document}");
            assert_eq!(heard, scanned(&document), "{document}");
        }
    }
}

#[test]
fn an_event_that_differs_in_anything_else_does_not_fit() {
    let shape = learned(r#"{"type":"delta","n":7,"text":"a","flag":true}"#).unwrap();
    for document in [
        r#"{"type":"other","n":7,"text":"a","flag":true}"#,
        r#"{"type":"delta","n":7,"text":"a","flag":false}"#,
        r#"{"type":"delta","n":07,"text":"a","flag":true}"#,
        r#"{"type":"delta","n":7.0,"text":"a","flag":true}"#,
        r#"{"type":"delta","n":-7,"text":"a","flag":true}"#,
        r#"{"type":"delta","n":9007199254740993,"text":"a","flag":true}"#,
        r#"{"type":"delta","n":7,"text":"a\u00g0","flag":true}"#,
        r#"{"type":"delta","n":7,"text":null,"flag":true}"#,
        r#"{"type":"delta", "n":7,"text":"a","flag":true}"#,
        "{\"type\":\"delta\",\"n\":7,\"text\":\"a\nb\",\"flag\":true}",
        "{\"type\":\"delta\",\"n\":7,\"text\":\"a\rb\",\"flag\":true}",
        "{\"type\":\"delta\",\"n\":7,\"text\":\"a\\\nb\",\"flag\":true}",
    ] {
        assert_eq!(replayed(&shape, document), None, "{document}");
        let long = document.replace("\"a", &format!("\"{}", "a".repeat(2 * SHORT)));
        assert_eq!(replayed(&shape, &long), None, "{long}");
    }
}

#[test]
fn what_is_long_or_odd_has_no_shape() {
    let text = |len| learned(&format!(r#"{{"text":"{}"}}"#, "a".repeat(len)));
    assert!(text(SHAPE_BYTES_MAX).is_some_and(|shape| shape.bytes.len() < 40));
    assert!(text(EVENT_BYTES_MAX).is_none());
    let key = |len| learned(&format!(r#"{{"{}":1}}"#, "a".repeat(len)));
    assert!(key(SHAPE_BYTES_MAX - 40).is_some() && key(SHAPE_BYTES_MAX).is_none());
    assert!(
        learned(&format!(
            "{{{}\"n\":1}}",
            "\"flag\":null,".repeat(CALLS_MAX)
        ))
        .is_none()
    );
    assert!(learned(&format!("{{\"x\":[{}\"\"]}}", "\"\",".repeat(HOLES_MAX))).is_none());
    for odd in [
        r#"{"ty\u0070e":"delta"}"#,
        r#"{"type":"del\/ta"}"#,
        r#"{"n":-7}"#,
        r#"{"args":{"a":1}}"#,
        r#"{"type":"delta""#,
        r#"{"type":"delta"]"#,
    ] {
        assert!(learned(odd).is_none(), "{odd}");
    }
}
