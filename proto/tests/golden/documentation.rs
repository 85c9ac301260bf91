//! `docs/PROTOCOL.md` against the messages: what a stranger reads there is so.

use std::collections::BTreeMap;

use bb_proto::error::ErrorCode;
use bb_proto::frame::{NotificationLine, RequestLine, ResponseLine};
use bb_proto::request::{self, Call, METHODS, Method};
use bb_proto::{reply, view};
use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/PROTOCOL.md");

/// Returns the text of the page below each heading of the third order, by its name.
fn sections() -> BTreeMap<&'static str, &'static str> {
    PAGE.split("\n### `")
        .skip(1)
        .map(|section| {
            let section = section.split("\n## ").next().expect("a section");
            section.split_once("`\n").expect("a heading with a name")
        })
        .collect()
}

/// Returns the lines of the examples in a part of the page.
fn examples(part: &str) -> Vec<&str> {
    let blocks = part.split("```json\n").skip(1);
    blocks
        .flat_map(|block| block.split("\n```").next().expect("its end").lines())
        .collect()
}

/// Asks a message for the names of its fields, which its own reading knows.
struct Ask<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no message"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0.extend(fields);
        Err(Error::custom("asked"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn fields<T: DeserializeOwned>() -> Vec<&'static str> {
    let mut fields = Vec::new();
    assert!(T::deserialize(Ask(&mut fields)).is_err(), "it only asks");
    fields
}

/// Checks what the page says of a method: its fields, its request, its answer.
fn check<P: Method>() {
    let sections = sections();
    let section = sections
        .get(P::NAME)
        .unwrap_or_else(|| panic!("{} is not on the page", P::NAME));
    for field in fields::<P>().into_iter().chain(fields::<P::Reply>()) {
        let named = format!("`{field}`");
        assert!(section.contains(&named), "{}: {named}", P::NAME);
    }
    let examples = examples(section);
    let [asked, answered, ..] = examples.as_slice() else {
        panic!("{}: a request and its answer", P::NAME);
    };
    let request: RequestLine = serde_json::from_str(asked).expect(asked);
    assert_eq!(request.method, P::NAME);
    Call::parse(&request.method, request.params.as_deref()).expect(asked);
    let response: ResponseLine = serde_json::from_str(answered).expect(answered);
    assert_eq!(response.id, request.id, "{}", P::NAME);
    let result = response.result.expect(answered);
    let reply: P::Reply = serde_json::from_str(result.get()).expect(answered);
    let written = serde_json::to_value(&reply).expect("a reply");
    let stands: Value = serde_json::from_str(result.get()).expect("JSON");
    assert_eq!(written, stands, "{}", P::NAME);
}

macro_rules! check_all {
    ($($method:ident)*) => {{
        $(check::<request::$method>();)*
        [$(<request::$method as Method>::NAME),*]
    }};
}

#[test]
fn every_method_is_described_with_lines_that_can_be_read() {
    let mut checked = check_all! {
        Hello Health Snapshot BottleRegister BottleList BottleShow BottleEnv BottleCutoff
        BottleRestore BottleStop BottleRemove BottleEnded BudgetList BudgetExplain BudgetCheck
        BudgetCharge BudgetSet BudgetUnset BudgetRaise BudgetReset CallReserve CallFlowed CallSettle
        CallVoid UsageQuery LedgerTail LedgerExport LedgerVerify LedgerCorrect LedgerBackup AuditList
        EventsWatch EventsList SettingsShow SettingsCheck SettingsReload
        Shutdown
    };
    let mut methods = METHODS.to_vec();
    methods.sort_unstable();
    checked.sort_unstable();
    assert_eq!(checked.as_slice(), methods);
    let described: Vec<&str> = sections().into_keys().collect();
    assert_eq!(described, methods);
}

#[test]
fn every_field_of_a_row_is_described() {
    let rows = PAGE.split_once("\n## Rows\n").expect("the rows").1;
    let parts = [
        fields::<view::Bottle>(),
        fields::<view::Budget>(),
        fields::<view::Closed>(),
        fields::<view::PathBudget>(),
        fields::<view::Raise>(),
        fields::<view::Wanted>(),
        fields::<bb_proto::event::Event>(),
        fields::<reply::UsageRow>(),
        fields::<reply::UsageSum>(),
        fields::<reply::CallRow>(),
        fields::<reply::LedgerEntry>(),
        fields::<reply::EntryUsage>(),
    ];
    for field in parts.into_iter().flatten() {
        assert!(rows.contains(&format!("`{field}`")), "{field}");
    }
    let sections = sections();
    let verify = sections.get("ledger.verify").expect("ledger.verify");
    let differs = fields::<reply::BalanceDifference>();
    for field in [differs, fields::<reply::EntryFault>()].concat() {
        assert!(verify.contains(&format!("`{field}`")), "{field}");
    }
    let snapshot = sections.get("snapshot").expect("snapshot");
    for field in [fields::<view::Head>(), fields::<view::Totals>()].concat() {
        assert!(snapshot.contains(&format!("`{field}`")), "{field}");
    }
}

#[test]
fn every_example_of_the_page_is_a_line_of_ours() {
    let examples = examples(PAGE);
    assert!(examples.len() >= 2 * METHODS.len());
    for line in examples {
        let is_request = serde_json::from_str::<RequestLine>(line)
            .is_ok_and(|line| Call::parse(&line.method, line.params.as_deref()).is_ok());
        let is_notification = serde_json::from_str::<NotificationLine>(line).is_ok_and(|line| {
            serde_json::from_str::<bb_proto::event::EventNotification>(line.params.get()).is_ok()
        });
        let is_response = serde_json::from_str::<ResponseLine>(line)
            .is_ok_and(|line| line.result.is_some() != line.error.is_some());
        assert!(is_request || is_notification || is_response, "{line}");
    }
}

#[test]
fn every_word_that_programs_compare_is_explained() {
    let words = std::fs::read_to_string(crate::folder().join("words.json")).expect("the words");
    let words: BTreeMap<String, Vec<String>> = serde_json::from_str(&words).expect("the words");
    for (set, words) in words {
        for word in words {
            assert!(PAGE.contains(&format!("`{word}`")), "{set}: {word}");
        }
    }
}

#[test]
fn every_error_code_stands_with_its_number() {
    let words = std::fs::read_to_string(crate::folder().join("words.json")).expect("the words");
    let words: Value = serde_json::from_str(&words).expect("the words");
    let codes = words
        .get("error")
        .and_then(Value::as_array)
        .expect("errors");
    for code in codes {
        let code: ErrorCode = serde_json::from_value(code.clone()).expect("a code");
        let row = format!("| `{code}` | {} |", code.number());
        assert!(PAGE.contains(&row), "{row}");
    }
}
