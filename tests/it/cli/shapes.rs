//! What programs read: the shape of every JSON, and completions for shells.

use anyhow::{Context as _, Result};
use insta::assert_snapshot;
use serde_json::{Map, Value, json};

use super::session::Session;

/// Puts the kind of each value in its place; of rows, the first.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(rows) => Value::Array(rows.first().map(shape).into_iter().collect()),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), shape(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_its_shape() -> Result<()> {
    let session = Session::begin("budget:\n  claude: 5M\n").await?;
    session.run("bb-ctl register web --agent a --budget 1M && bb-ctl cutoff web --why x && bb-ctl restore web")?;
    assert_eq!(session.message("web").await?, 200);
    let mut shapes = Vec::new();
    for line in [
        "status",
        "doctor",
        "list",
        "show web",
        "register api",
        "env web",
        "cutoff web",
        "restore web",
        "budget list",
        "budget explain web",
        "budget check web claude 5",
        "budget set web codex 5k",
        "budget raise web/codex 5",
        "budget unset web/codex",
        "usage",
        "usage --by call",
        "audit --limit 1",
        "ledger tail",
        "ledger export",
        "ledger export --format csv ~/entries.csv",
        "ledger backup ~/copy.db",
        "verify",
        "budget charge web claude 5",
        "settings check",
        "settings reload",
        "stop web",
        "remove web",
        "show nobody",
        "cutoff",
        "run --name job -- true",
    ] {
        let values = session.json(line)?;
        let first = values.first().with_context(|| line.to_owned())?;
        shapes.push(format!("{line}: {}", shape(first)));
    }
    assert_snapshot!(shapes.join("\n"), @r#"
    status: {"egress":"text","estimates":{"claude":{"calls":"number","input":{"median_thousandths":"number","p95_thousandths":"number"},"output":{"median_thousandths":"number","p95_thousandths":"number"}}},"home":"text","hooks":"null","ledger":{"state":"text"},"log":"text","now":"number","pid":"number","protocol":"number","revision":"number","settings":"text","socket":"text","started_at":"number","time_zone":"text","totals":{"bottles":"number","by_state":{"running":"number"},"in_flight":"number","orders_open":"number","rate_per_minute":"number","waiting":"number"},"version":"text"}
    doctor: {"findings":[{"severity":"text","text":"text"}],"ok":"bool"}
    list: {"agent":"text","binding":{"claude":"text"},"binds_next":{"claude":"text"},"enforcement":"text","in_flight":"number","last_model":"text","last_provider":"text","launched_at":"number","name":"text","path":[{"budget":"text","role":"text"}],"rate_per_minute":"number","recent":["number"],"refusals":"number","run":"text","state":"text","used_run":"number","used_total":"number","waiting":"number","warned":"bool"}
    show web: {"bottle":{"agent":"text","binding":{"claude":"text"},"binds_next":{"claude":"text"},"enforcement":"text","in_flight":"number","last_model":"text","last_provider":"text","launched_at":"number","name":"text","path":[{"budget":"text","role":"text"}],"rate_per_minute":"number","recent":["number"],"refusals":"number","run":"text","state":"text","used_run":"number","used_total":"number","waiting":"number","warned":"bool"},"budgets":[{"bottle":"text","cache_read_percent":"number","cap":"text","ceiling":"bool","from":"number","gate":"text","id":"text","left_ms":"number","limit":"number","pending":"number","provider":"text","rate_per_minute":"number","resets_first":"bool","scope":"text","source":{"bottle":"text","from":"text"},"spent_at":"number","used":"number","warn":["number"],"window":"text"}],"children":[],"revision":"number"}
    register api: {"base_url":"text","name":"text","run":"text","token":"text"}
    env web: {"client":"text","env":{"ANTHROPIC_API_KEY":"text","ANTHROPIC_BASE_URL":"text","GEMINI_API_KEY":"text","GOOGLE_GEMINI_BASE_URL":"text","OPENAI_API_KEY":"text","OPENAI_BASE_URL":"text"},"env_remove":["text"]}
    cutoff web: {"dry_run":"bool","targets":[{"changed":"bool","name":"text","observed":"text","run":"text","streams_ended":"number","took_us":"number"}]}
    restore web: {"dry_run":"bool","targets":[{"changed":"bool","name":"text","observed":"text","run":"text","streams_ended":"number","took_us":"number"}]}
    budget list: {"bottle":"text","cache_read_percent":"number","cap":"text","ceiling":"bool","from":"number","gate":"text","id":"text","left_ms":"number","limit":"number","pending":"number","provider":"text","rate_per_minute":"number","resets_first":"bool","scope":"text","source":{"bottle":"text","from":"text"},"spent_at":"number","used":"number","warn":["number"],"window":"text"}
    budget explain web: {"bottle":"text","providers":[{"budgets":[{"binds_first":"bool","binds_next":"bool","budget":{"bottle":"text","cache_read_percent":"number","cap":"text","ceiling":"bool","from":"number","gate":"text","id":"text","left_ms":"number","limit":"number","pending":"number","provider":"text","rate_per_minute":"number","resets_first":"bool","scope":"text","source":{"bottle":"text","from":"text"},"spent_at":"number","used":"number","warn":["number"],"window":"text"},"left":"number","role":"text"}],"provider":"text","verdict":{"binds":"text","is":"text","left":"number"}}],"revision":"number"}
    budget check web claude 5: {"would":"text"}
    budget set web codex 5k: {"budget":{"cap":"text","ceiling":"bool","gate":"text","id":"text","limit":"number","pending":"number","provider":"text","rate_per_minute":"number","resets_first":"bool","scope":"text","source":{"from":"text","uid":"number"},"used":"number","warn":["number"],"window":"text"},"dry_run":"bool"}
    budget raise web/codex 5: {"budget":{"cap":"text","ceiling":"bool","gate":"text","id":"text","limit":"number","pending":"number","provider":"text","raises":[{"at":"number","by":"number","uid":"number"}],"rate_per_minute":"number","resets_first":"bool","scope":"text","source":{"from":"text","uid":"number"},"used":"number","warn":["number"],"window":"text"},"dry_run":"bool","limit_before":"number"}
    budget unset web/codex: {"dry_run":"bool","limit_before":"number"}
    usage: {"rows":[{"bottle":"text","provider":"text","sum":{"cache_read":"number","cache_write":"number","calls":"number","charge":"number","estimated":"number","input":"number","output":"number","reasoning":"number"}}],"total":{"cache_read":"number","cache_write":"number","calls":"number","charge":"number","estimated":"number","input":"number","output":"number","reasoning":"number"}}
    usage --by call: {"rows":[{"agent":"text","bottle":"text","call":{"ended_at":"number","ending":"text","estimated":"bool","id":"text","run":"text","started_at":"number","status":"number","usage":{"cache_read":"null","cache_write":"null","input":"number","output":"number","reasoning":"null"},"wire":"text"},"model":"text","provider":"text","sum":{"cache_read":"number","cache_write":"number","calls":"number","charge":"number","estimated":"number","input":"number","output":"number","reasoning":"number"}}],"total":{"cache_read":"number","cache_write":"number","calls":"number","charge":"number","estimated":"number","input":"number","output":"number","reasoning":"number"}}
    audit --limit 1: {"actor":"text","at":"number","budget":"text","kind":"text","seq":"number","text":"text","uid":"number"}
    ledger tail: {"agent":"text","at":"number","bottle":"text","call":"text","charge":"number","ending":"text","estimated":"bool","kind":"text","model":"text","overrun":"number","provider":"text","run":"text","seq":"number","started_at":"number","status":"number","usage":{"cache_read":"null","cache_write":"null","input":"number","output":"number","reasoning":"null"},"wire":"text"}
    ledger export: {"agent":"text","at":"text","bottle":"text","cache_read":"null","cache_write":"null","call":"text","capped":"null","charge":"number","ending":"text","estimated":"bool","input":"number","kind":"text","model":"text","output":"number","overrun":"number","provider":"text","reasoning":"null","run":"text","seq":"number","started_at":"text","status":"number","uid":"null","unbounded":"bool","why":"null","wire":"text"}
    ledger export --format csv ~/entries.csv: {"entries":"number","path":"text"}
    ledger backup ~/copy.db: {"bytes":"number","entries":"number","path":"text","took_ms":"number"}
    verify: {"agrees":"bool","balances":"number","entries":"number","file":"text","took_ms":"number","unlisted":"number"}
    budget charge web claude 5: {"already":"bool","at":"number","bottle":"text","charge":"number","dry_run":"bool","id":"text","provider":"text"}
    settings check: {"applied":"bool","mistakes":[],"path":"text"}
    settings reload: {"applied":"bool","mistakes":[],"path":"text"}
    stop web: {"dry_run":"bool","targets":[{"changed":"bool","name":"text","note":"text","observed":"text","run":"text","streams_ended":"number","took_us":"number"}]}
    remove web: {"dry_run":"bool","targets":[{"changed":"bool","name":"text","observed":"text","run":"text","streams_ended":"number","took_us":"number"}]}
    show nobody: {"error":{"code":"text","hint":"text","message":"text"}}
    cutoff: {"error":{"code":"text","hint":"text","message":"text"}}
    run --name job -- true: {"started":{"client":"text","name":"text","run":"text"}}
    "#);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_complete() -> Result<()> {
    let session = Session::without_controller("").await?;
    for shell in ["bash", "zsh", "fish"] {
        let output = session.run(&format!("bb-ctl completions {shell}"))?;
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout)?;
        for verb in ["cutoff", "budget", "doctor", "register", "shutdown"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
    }
    let complete = |words: &str, at: usize| -> Result<Vec<String>> {
        let script = format!(
            "bash -c 'eval \"$(bb-ctl completions bash)\"; COMP_WORDS=({words}); COMP_CWORD={at}; \
             set -- $(complete -p bb-ctl); while [ \"$1\" != -F ]; do shift; done; $2 bb-ctl \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at}-1]}}\"; \
             printf \"%s\\n\" \"${{COMPREPLY[@]}}\"'"
        );
        let output = session.run(&script)?;
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().map(str::to_owned).collect())
    };
    assert_eq!(complete("bb-ctl cut", 1)?, ["cutoff"]);
    assert_eq!(complete("bb-ctl budget rai", 2)?, ["raise"]);
    assert!(complete("bb-ctl cutoff --d", 2)?.contains(&"--dry-run".to_owned()));
    Ok(())
}
