//! Every method once as it is meant, and with parameters that are not its own.

use std::collections::BTreeSet;

use anyhow::Result;
use bb_proto::reply::Registered;
use bb_proto::request::{METHODS, SettingsReload};
use bb_tests::harness::System;
use bb_tests::provider::{Provider, Script};
use serde_json::{Value, json};

use super::raw::Raw;
use super::system_with;

mod table;

use table::{BACKUP, Row, Wrong, rows};

#[tokio::test(flavor = "multi_thread")]
async fn every_method_does_what_it_is_asked_and_refuses_what_is_not_its_own() -> Result<()> {
    let (system, mut raw) = system_with("budget:\n  claude: 5M\n").await?;
    let mut asked = BTreeSet::new();
    let mut run = Value::Null;
    for Row(method, mut good, bad) in rows() {
        asked.insert(method);
        if method == "bottle.ended" {
            good["run"] = run.clone();
        }
        if good["path"] == BACKUP {
            let copy = system.folder().join("copy.db");
            good["path"] = json!(copy.display().to_string());
        }
        // A removed bottle is there no more; what else is refused is so because of what was done.
        let (before, after): (Vec<_>, Vec<_>) = bad
            .into_iter()
            .partition(|(_, word, _)| method == "bottle.remove" && *word == "conflict");
        for wrong in &before {
            refuses(&mut raw, method, wrong).await?;
        }
        let result = raw.result(method, good).await?;
        if method == "bottle.register" {
            run = result["run"].clone();
        }
        for wrong in &after {
            refuses(&mut raw, method, wrong).await?;
        }
    }
    assert_eq!(asked, METHODS.iter().copied().collect());
    Ok(())
}

async fn refuses(raw: &mut Raw, method: &str, wrong: &Wrong) -> Result<()> {
    let (params, word, needle) = wrong;
    let (found, sentence) = raw.refused(method, params.clone()).await?;
    assert_eq!(found, *word, "{method} {params}: {sentence}");
    assert!(sentence.contains(needle), "{method} {params}: {sentence}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_keeps_its_own_keys_where_the_controller_has_none() -> Result<()> {
    let provider = Provider::start(Script::default()).await?;
    let key = "credential: file:";
    let system = System::start(&provider, "").await?;
    let settings = std::fs::read_to_string(system.home().settings())?;
    // Only the first provider, claude, keeps its credential; openrouter gets one.
    let mut seen = 0;
    let mut kept: Vec<String> = Vec::new();
    for line in settings.lines() {
        let is_key = line.contains(key);
        seen += usize::from(is_key);
        if is_key && seen == 1 {
            kept.push(format!("{line}\n  openrouter:\n{line}"));
        } else if !is_key {
            kept.push(line.to_owned());
        }
    }
    std::fs::write(system.home().settings(), kept.join("\n"))?;
    let checked = system.call(SettingsReload::default()).await?;
    assert!(checked.applied, "{checked:?}");

    let origin = format!("http://{}", system.egress);
    let env = |registered: &Registered, name: &str| {
        let client = registered.client.as_ref().expect("a recipe");
        client.env.get(name).cloned()
    };
    let script = system
        .bottle_with("script", &[], |params| {
            params.client = Some("sdk".to_owned());
        })
        .await?;
    let (registered, token) = (&script.registered, &script.token);
    assert_eq!(env(registered, "ANTHROPIC_API_KEY").as_ref(), Some(token));
    assert_eq!(env(registered, "OPENAI_API_KEY"), None);
    assert_eq!(env(registered, "GEMINI_API_KEY"), None);
    let passing = format!("{origin}/b/{token}/codex/v1");
    assert_eq!(env(registered, "OPENAI_BASE_URL"), Some(passing));

    // A provider of its own that speaks as the client does takes its calls; any other does not.
    let other = system
        .bottle_with("other", &[], |params| {
            params.client = Some("claude".to_owned());
            params.provider = Some("openrouter".parse().expect("a provider"));
        })
        .await?;
    let elsewhere = format!("{origin}/openrouter");
    assert_eq!(
        env(&other.registered, "ANTHROPIC_BASE_URL"),
        Some(elsewhere)
    );
    let deaf = system
        .bottle_with("deaf", &[], |params| {
            params.client = Some("codex".to_owned());
            params.provider = Some("claude".parse().expect("a provider"));
        })
        .await?;
    let args = deaf.registered.client.expect("a recipe").args.join(" ");
    assert!(
        args.contains(&format!("/b/{}/codex/", deaf.token)),
        "{args}"
    );
    Ok(())
}
