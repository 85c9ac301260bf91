//! What a line may be, and what becomes of one that is none.

use std::time::Duration;

use anyhow::Result;
use bb_proto::frame::LINE_BYTES_MAX;
use serde_json::{Value, json};

use super::raw::{Raw, said};
use super::system;

const HELLO: &str = r#"{"jsonrpc":"2.0","id":"good","method":"hello"}"#;

/// Sends a line, and a good one behind it; returns the answer to the first.
async fn answer_to(raw: &mut Raw, line: impl AsRef<[u8]>) -> Result<Value> {
    raw.send(line).await?;
    raw.send(format!("\n{HELLO}\n")).await?;
    let answer = raw.json().await?;
    let good = raw.json().await?;
    assert_eq!(good["id"], "good", "{answer}");
    assert_eq!(good["result"]["protocol"], 1);
    Ok(answer)
}

fn word(answer: &Value) -> String {
    said(answer).unwrap_or_else(|| panic!("{answer}")).0
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_is_said_and_the_next_line_is_read() -> Result<()> {
    let (_system, mut raw) = system().await?;
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let odd: [&[u8]; 7] = [
        b"{nope",
        b"hello",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\"} and more",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}",
        b"\0\0\0",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hel\nlo\"}",
        deep.as_bytes(),
    ];
    for line in odd {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or(line);
        let answer = answer_to(&mut raw, line).await?;
        assert_eq!(word(&answer), "parse_error", "{answer}");
        assert_eq!(answer["id"], Value::Null);
        assert_eq!(answer["error"]["code"], -32_700);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_json_and_no_request_is_said_under_its_own_id() -> Result<()> {
    let (_system, mut raw) = system().await?;
    for (line, id) in [
        ("{}", Value::Null),
        ("7", Value::Null),
        ("null", Value::Null),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"hello"}]"#,
            Value::Null,
        ),
        (r#"{"jsonrpc":"1.0","id":1,"method":"hello"}"#, json!(1)),
        (r#"{"id":"a","method":"hello"}"#, json!("a")),
        (r#"{"jsonrpc":"2.0","id":2}"#, json!(2)),
        (r#"{"jsonrpc":"2.0","id":3,"method":7}"#, json!(3)),
        (
            r#"{"jsonrpc":"2.0","id":1.5,"method":"hello"}"#,
            Value::Null,
        ),
        (r#"{"jsonrpc":"2.0","id":{},"method":"hello"}"#, Value::Null),
        (
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"hello"}"#,
            json!(2),
        ),
    ] {
        let answer = answer_to(&mut raw, line).await?;
        assert_eq!(word(&answer), "invalid_request", "{line}: {answer}");
        assert_eq!(answer["id"], id, "{line}: {answer}");
        assert!(answer["error"]["data"]["hint"].is_string(), "{answer}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_and_an_unknown_field_are_named() -> Result<()> {
    let (_system, mut raw) = system().await?;
    let (word, sentence) = raw.refused("bottle.explode", json!({})).await?;
    assert_eq!(word, "unknown_method");
    assert!(sentence.contains("bottle.explode"), "{sentence}");
    let params = json!({"names": ["web"], "reason": "x"});
    let (word, sentence) = raw.refused("bottle.cutoff", params).await?;
    assert_eq!(word, "invalid_params");
    assert!(sentence.contains("unknown field `reason`"), "{sentence}");
    assert!(sentence.starts_with("bottle.cutoff: "), "{sentence}");
    let (word, sentence) = raw.refused("bottle.cutoff", json!(["web"])).await?;
    assert_eq!(word, "invalid_params");
    assert!(sentence.contains("no object"), "{sentence}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_is_refused_by_number() -> Result<()> {
    let (_system, mut raw) = system().await?;
    let answer = raw
        .ask("hello", json!({"client": "test", "protocol": 2}))
        .await?;
    let (word, sentence) = said(&answer).expect("a refusal");
    assert_eq!(word, "wrong_protocol");
    assert_eq!(
        sentence,
        "this controller speaks protocol 1, the client speaks 2"
    );
    assert!(answer["error"]["data"]["hint"].is_string());
    let hello = raw.result("hello", json!({"protocol": 1})).await?;
    assert_eq!(hello["pid"], std::process::id());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_too_long_is_skipped_and_the_next_one_is_read() -> Result<()> {
    let (_system, mut raw) = system().await?;
    let padded = |bytes: usize| {
        let bare = r#"{"jsonrpc":"2.0","id":"long","method":"hello"}"#;
        format!("{bare}{}", " ".repeat(bytes - bare.len()))
    };
    let answer = answer_to(&mut raw, padded(LINE_BYTES_MAX)).await?;
    assert_eq!(answer["id"], "long");
    assert!(answer["result"].is_object(), "{answer}");
    for bytes in [LINE_BYTES_MAX + 1, 3 * LINE_BYTES_MAX] {
        let answer = answer_to(&mut raw, padded(bytes)).await?;
        assert_eq!(word(&answer), "line_too_long", "{answer}");
        assert_eq!(answer["id"], Value::Null);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_carried_out_and_gets_no_answer() -> Result<()> {
    let (_system, mut raw) = system().await?;
    raw.send(concat!(
        r#"{"jsonrpc":"2.0","method":"bottle.register","params":{"name":"web"}}"#,
        "\n",
        r#"{"jsonrpc":"2.0","method":"no.such"}"#,
        "\n",
        r#"{"jsonrpc":"2.0","id":null,"method":"bottle.cutoff","params":{"names":["nobody"]}}"#,
        "\n",
    ))
    .await?;
    let shown = raw.ask("bottle.show", json!({"name": "web"})).await?;
    assert_eq!(shown["result"]["bottle"]["state"], "running", "{shown}");
    assert!(raw.is_silent(Duration::from_millis(50)).await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_come_as_a_shell_sends_them() -> Result<()> {
    let (system, _) = system().await?;
    // All at once, with blank lines, both line ends, and a torn one at the end of the input.
    let mut raw = Raw::connect(system.home()).await?;
    raw.send(format!("\n \r\n{HELLO}\r\n\n{HELLO}\n{{\"torn\":"))
        .await?;
    raw.end_sending().await?;
    for _ in 0..2 {
        assert_eq!(raw.json().await?["id"], "good");
    }
    assert_eq!(raw.line().await?, None);

    // Byte by byte.
    let mut raw = Raw::connect(system.home()).await?;
    for byte in format!("{HELLO}\n").bytes() {
        raw.send([byte]).await?;
    }
    assert_eq!(raw.json().await?["id"], "good");
    // Answers stand in the order of their requests.
    let many: Vec<String> = (0..500)
        .map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"hello\"}}\n"))
        .collect();
    raw.send(many.concat()).await?;
    for id in 0..500 {
        assert_eq!(raw.json().await?["id"], id);
    }
    Ok(())
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(sides).expect("a number")).expect("a number")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_however_odd_ends_the_connection_or_goes_unanswered() -> Result<()> {
    let (system, mut raw) = system().await?;
    let good = [
        HELLO,
        r#"{"jsonrpc":"2.0","id":1,"method":"bottle.register","params":{"name":"a","budgets":[{"provider":"claude","limit":5}],"process":{"pid":1,"start_ticks":2}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"budget.set","params":{"budget":"host/claude/total","limit":9007199254740992,"cap":"soft"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"usage.query","params":{"from":-9223372036854775808,"to":9223372036854775807,"by":"call"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"snapshot","params":{"since":18446744073709551615,"part":4294967295}}"#,
    ];
    let spice: [&[u8]; 12] = [
        b"\"",
        b"{",
        b"}",
        b"[",
        b"\\u0000",
        b"\xff",
        b"-1",
        b"1e999",
        b"null",
        b"\\ud800",
        b",",
        b"18446744073709551616",
    ];
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for round in 0..1_500 {
        let mut line = good[dice.roll(good.len())].as_bytes().to_vec();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(line.len());
            match dice.roll(3) {
                0 => drop(line.splice(at..at, spice[dice.roll(spice.len())].iter().copied())),
                1 => drop(line.drain(at..(at + dice.roll(20)).min(line.len()))),
                _ => line[at] = u8::try_from(dice.roll(256))?,
            }
            if line.is_empty() {
                line.push(b'{');
            }
        }
        line.retain(|byte| *byte != b'\n');
        let shown = String::from_utf8_lossy(&line).into_owned();
        line.push(b'\n');
        raw.send(&line).await?;
        let mark = format!("mark-{round}");
        raw.send(format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":\"{mark}\",\"method\":\"hello\"}}\n"
        ))
        .await?;
        let mut answers = 0;
        loop {
            let answer = raw.json().await?;
            if answer["id"] == mark {
                break;
            }
            answers += 1;
            let is_answer = answer.get("result").is_some() != answer.get("error").is_some();
            assert!(is_answer && answers == 1, "{shown}: {answer}");
        }
    }
    let hello = Raw::connect(system.home())
        .await?
        .result("hello", json!({}))
        .await?;
    assert_eq!(hello["pid"], std::process::id());
    Ok(())
}
