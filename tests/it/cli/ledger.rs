//! The ledger: read entry by entry, exported, checked, copied.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result};
use insta::assert_snapshot;

use super::session::Session;

/// Takes out what differs from run to run of the words that only the ledger says.
fn steady(said: &str) -> String {
    let lines = said.lines().map(|line| {
        let mut words: Vec<&str> = line.split(' ').collect();
        if let Some(at) = words.iter().position(|word| *word == "bytes)") {
            words[at - 1] = "(SOME";
        }
        words.join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A session in which two bottles have asked once, and one of them twice.
async fn asked() -> Result<Session> {
    let session = Session::begin("budget:\n  claude: 5M\n").await?;
    session.run("bb-ctl register web --agent reviewer && bb-ctl register api")?;
    for bottle in ["web", "api", "web"] {
        assert_eq!(session.message(bottle).await?, 200);
    }
    Ok(session)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_read_checked_exported_and_copied() -> Result<()> {
    let mut session = asked().await?;
    session.ctl("ledger tail --bottle nobody")?;
    session.ctl("ledger tail -n 1001")?;
    session.ctl("verify")?;
    session.ctl("ledger export ~/entries.jsonl")?;
    session.ctl("ledger export ~/entries.jsonl")?;
    session.ctl("ledger export ~/entries.jsonl --yes --from 2999-01-01")?;
    session.ctl("ledger export --from yesterday")?;
    session.ctl("ledger export ~/no/such/folder")?;
    session.ctl("ledger backup ~/copy.db")?;
    session.ctl("ledger backup ~/copy.db")?;
    session.ctl("ledger backup ~/no/such/folder.db")?;
    assert_snapshot!(steady(&session.said()), @r#"
    $ bb-ctl ledger tail --bottle nobody
    no entries
    $ bb-ctl ledger tail -n 1001
    ! error: invalid value '1001' for '--number <ENTRIES>': 1001 is not in SPAN
    [2]
    $ bb-ctl verify
    the ledger agrees: 3 entries and 8 balances looked at in SPAN
    $ bb-ctl ledger export ~/entries.jsonl
    3 entries written to ~/entries.jsonl
    $ bb-ctl ledger export ~/entries.jsonl
    ! error: ~/entries.jsonl is there already
    ! hint: overwrite it with --yes, or name another file
    [1]
    $ bb-ctl ledger export ~/entries.jsonl --yes --from 2999-01-01
    0 entries written to ~/entries.jsonl
    $ bb-ctl ledger export --from yesterday
    ! error: invalid value 'yesterday' for '--from <TIME>': write 2026-11-20 or WHEN
    [2]
    $ bb-ctl ledger export ~/no/such/folder
    ! error: ~/no/such/folder cannot be written: No such file or directory (os error 2)
    [1]
    $ bb-ctl ledger backup ~/copy.db
    3 entries (SOME bytes) copied to ~/copy.db in SPAN
    $ bb-ctl ledger backup ~/copy.db
    ! error: ~/copy.db is there already
    ! hint: name a file that is not there
    [1]
    $ bb-ctl ledger backup ~/no/such/folder.db
    ! error: there is no folder ~/no/such
    [1]
    "#);
    let folder = session.place.folder();
    let copy = std::fs::metadata(folder.join("copy.db"))?;
    assert_eq!(copy.permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read(folder.join("entries.jsonl"))?, b"");
    let left: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .filter(|name| name.contains(".part"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_entries_are_a_table_and_an_export_has_them_all() -> Result<()> {
    let mut session = asked().await?;
    session.ctl("ledger tail -n 2")?;
    let said = session.said();
    let columns: Vec<Vec<&str>> = said
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect())
        .collect();
    let [head, first, second] = columns.as_slice() else {
        anyhow::bail!("{said}")
    };
    assert_eq!(
        head.join(" "),
        "AT ENTRY KIND BOTTLE PROVIDER MODEL INPUT CACHE_R CACHE_W OUTPUT REASONING CHARGE OVERRUN ENDING STATUS"
    );
    // Neither the entry's number nor how far the reservation was off is the same each time.
    let same = |row: &[&str]| -> Vec<String> {
        let row = row.iter().enumerate();
        row.filter(|(at, _)| !matches!(at, 1 | 12))
            .map(|(_, cell)| (*cell).to_owned())
            .collect()
    };
    assert_eq!(
        same(first).join(" "),
        "WHEN settle api claude claude-opus-4-8 60 - - 40 - 100 complete 200"
    );
    assert_eq!(
        same(second).join(" "),
        "WHEN settle web claude claude-opus-4-8 60 - - 40 - 100 complete 200"
    );
    let text = |line: &str| -> Result<String> {
        let output = session.run(line)?;
        anyhow::ensure!(output.status.success(), "{line}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let lines = text("bb-ctl ledger export")?;
    assert_eq!(lines.lines().count(), 3);
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().context("a line")?)?;
    assert_eq!(first["cache_read"], serde_json::Value::Null);
    assert_eq!(
        (&first["input"], &first["agent"]),
        (&60.into(), &"reviewer".into())
    );
    let at = first["at"].as_str().context("a time")?;
    assert!(at.len() == 24 && at.ends_with('Z'), "{at}");
    let records = text("bb-ctl ledger export --format csv -")?;
    assert_eq!(records.matches("\r\n").count(), 4);
    let second = records.lines().nth(1).context("a record")?;
    assert!(second.contains(",reviewer,claude,anthropic_messages,claude-opus-4-8,60,,,40,,100,"));
    text("bb-ctl ledger export --format csv ~/entries.csv")?;
    let file = std::fs::read_to_string(session.place.folder().join("entries.csv"))?;
    assert_eq!(file, records);
    // Who reads no more has what it wanted.
    let head =
        session.run("bb-ctl ledger export | head -n 1; bb-ctl ledger tail --json | head -n 1")?;
    assert_eq!(String::from_utf8(head.stdout)?.lines().count(), 2);
    assert_eq!(String::from_utf8(head.stderr)?, "");
    let after = text(&format!("bb-ctl ledger export --from {at} | wc -l"))?;
    assert_eq!(after.trim(), "3");
    let before = text(&format!("bb-ctl ledger export --to {at} | wc -l"))?;
    assert_eq!(before.trim(), "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_does_not_agree_says_so_and_what_to_do() -> Result<()> {
    let mut session = asked().await?;
    let connection = rusqlite::Connection::open(session.place.home.database())?;
    connection.execute_batch(
        "UPDATE balances SET posted = 7 WHERE account = 'host';
         UPDATE entries SET output = -1 WHERE bottle = 'api'",
    )?;
    let seq: i64 =
        connection.query_row("SELECT seq FROM entries WHERE bottle = 'api'", [], |row| {
            row.get(0)
        })?;
    drop(connection);
    session.ctl("verify")?;
    let said = steady(&session.said()).replace(&format!("entry {seq}:"), "entry N:");
    assert_snapshot!(said, @r#"
    $ bb-ctl verify
    the ledger does not agree: 3 entries and 8 balances looked at in SPAN
      host at claude: the balance is 7, its entries sum to 300
      entry N: it has a count or a charge below zero
    Budgets count by these balances. Keep what there is with bb-ctl ledger backup FILE, find out who changed the database besides the controller, and make up for a difference by raising or setting the budgets that count it; or stop the controller and put the last backup that agrees in the ledger's place.
    [1]
    "#);
    Ok(())
}

/// What prints entries as they are made.
struct Following {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Following {
    fn begin(session: &Session, line: &str) -> Result<Self> {
        let mut child = session
            .shell(line)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self { child, lines })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn ended(mut self) -> Result<(std::process::ExitStatus, String)> {
        let status = self.child.wait()?;
        let mut wrong = String::new();
        let stderr = self.child.stderr.as_mut().context("its errors")?;
        stderr.read_to_string(&mut wrong)?;
        Ok((status, wrong))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_is_shown_each_entry_below_the_others_until_it_is_ended() -> Result<()> {
    let session = asked().await?;
    let mut table = Following::begin(&session, "exec bb-ctl ledger tail -f -n 1")?;
    let mut lines = Following::begin(
        &session,
        "exec bb-ctl ledger tail -f -n 0 --bottle web --json",
    )?;
    let head = table.line()?;
    let place = |line: &str, word: &str| line.find(word).with_context(|| line.to_owned());
    let bottle = place(&head, "BOTTLE")?;
    let first = table.line()?;
    assert_eq!(place(&first, "web")?, bottle, "{head}\n{first}");
    let mut numbers = Vec::new();
    for name in ["api", "web", "api", "web"] {
        assert_eq!(session.message(name).await?, 200);
        let row = table.line()?;
        assert_eq!(place(&row, name)?, bottle, "{head}\n{row}");
        if name == "web" {
            let entry: serde_json::Value = serde_json::from_str(&lines.line()?)?;
            assert_eq!(entry["bottle"], "web");
            numbers.push(entry["seq"].as_u64().context("a number")?);
        }
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    // Control-C ends it without a word.
    let pid = rustix::process::Pid::from_child(&lines.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    let (status, wrong) = lines.ended()?;
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!((signal, wrong.as_str()), (Some(2), ""));
    // So does the end of who reads it, though no entry comes.
    let piped = session.run(
        "{ timeout 30 bb-ctl ledger tail -f -n 0; echo \"ended with $?\" >&2; } | head -n 1",
    )?;
    assert_eq!(String::from_utf8(piped.stderr)?, "ended with 0\n");
    assert_eq!(String::from_utf8(piped.stdout)?.lines().count(), 1);
    // The end of the controller is told.
    session.run("bb-ctl shutdown --yes")?;
    let (status, wrong) = table.ended()?;
    assert_eq!(status.code(), Some(4), "{wrong}");
    Ok(())
}
