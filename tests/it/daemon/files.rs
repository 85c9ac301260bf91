//! The files of a home: whose they are, and what is not touched.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Result;
use bb_controller::store::SCHEMA_VERSION;
use bb_tests::harness::{REAL_KEY, send};
use bb_tests::provider::{Provider, Script};
use http::Method;
use rusqlite::Connection;
use serde_json::json;

use crate::home::{CONTROLLER, Place, is_root, skipped};
use crate::socket::raw::Raw;

fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_home_holds_is_its_owners_alone_whatever_the_umask() -> Result<()> {
    let place = Place::alone()?;
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::create_dir(place.home.run_dir())?;
    for folder in [place.home.path(), &place.home.run_dir()] {
        std::fs::set_permissions(folder, open.clone())?;
    }
    // `Daemon` starts a program; the shell in between changes the mask and becomes it.
    let start = place.folder().join("start");
    let script = format!("#!/bin/sh\numask 000\nexec '{CONTROLLER}' \"$@\"\n");
    std::fs::write(&start, script)?;
    std::fs::set_permissions(&start, open)?;
    let daemon = bb_tests::harness::Daemon::start(&start, &place.home, &[])?;
    Raw::connect(&place.home)
        .await?
        .result("hello", json!({}))
        .await?;
    assert_eq!(mode(&place.home.run_dir())?, 0o700);
    assert_eq!(mode(&place.home.socket())?, 0o600);
    assert_eq!(mode(&place.home.log_dir())?, 0o700);
    assert_eq!(mode(&place.home.log())?, 0o600);
    for end in ["", "-wal", "-shm"] {
        let file = format!("{}{end}", place.home.database().display());
        assert_eq!(mode(Path::new(&file))?, 0o600, "{file}");
    }
    drop(daemon);
    Ok(())
}

/// The bytes of a file, which are not shown where they differ.
#[derive(PartialEq)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Every file of a folder with its bytes.
fn bytes_of(folder: &Path) -> Result<BTreeMap<String, Bytes>> {
    let mut files = BTreeMap::new();
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        if path.is_file() {
            files.insert(path.display().to_string(), Bytes(std::fs::read(&path)?));
        }
    }
    Ok(files)
}

fn of_later_version(place: &Place) -> Result<Connection> {
    let connection = Connection::open(place.home.database())?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.execute("UPDATE schema_version SET version = 99", [])?;
    Ok(connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_later_version_is_refused_untouched() -> Result<()> {
    let place = Place::alone()?;
    place.start()?.terminate()?;
    drop(of_later_version(&place)?);
    let before = bytes_of(place.home.path())?;
    let (code, said) = place.fails_to_start().await?;
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with(&format!(
            "error: opening the ledger /home/bot-bottle.db: it is of schema version 99, newer than the {SCHEMA_VERSION} that this program knows, and is left untouched\n"
        )),
        "{said}"
    );
    assert!(said.contains("hint: install the newer version"), "{said}");
    assert_eq!(bytes_of(place.home.path())?, before);
    assert!(!place.home.socket().exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_that_was_killed_is_refused_untouched_too() -> Result<()> {
    let place = Place::alone()?;
    place.start()?.terminate()?;
    // The version stands in the write-ahead log alone, as a killed program leaves it.
    let connection = of_later_version(&place)?;
    let left = place.folder().join("left");
    std::fs::create_dir(&left)?;
    let log = format!("{}-wal", place.home.database().display());
    for file in [place.home.database(), log.clone().into()] {
        let name = file.file_name().expect("a name");
        std::fs::copy(&file, left.join(name))?;
    }
    drop(connection);
    for name in ["bot-bottle.db", "bot-bottle.db-wal"] {
        std::fs::copy(left.join(name), place.home.path().join(name))?;
    }
    let before = bytes_of(place.home.path())?;
    assert!(before.keys().any(|name| name.ends_with("-wal")));
    let (code, said) = place.fails_to_start().await?;
    assert_eq!(code, Some(1));
    assert!(said.contains("schema version 99"), "{said}");
    let mut after = bytes_of(place.home.path())?;
    // The index of a log is made by whoever reads it; it holds no data.
    after.retain(|name, _| !name.ends_with("-shm"));
    assert_eq!(after, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_none_is_refused_and_not_written_over() -> Result<()> {
    let text = b"This is no database, but a letter to a friend. ".repeat(200);
    let half = {
        let place = Place::alone()?;
        place.start()?.terminate()?;
        let whole = std::fs::read(place.home.database())?;
        whole.get(..whole.len() / 2).expect("half of it").to_vec()
    };
    for (content, said_of_it) in [(text, "file is not a database"), (half, "malformed")] {
        let place = Place::alone()?;
        std::fs::write(place.home.database(), &content)?;
        let (code, said) = place.fails_to_start().await?;
        assert_eq!(code, Some(1));
        let line = said.lines().next().unwrap_or_default();
        assert!(
            line.starts_with("error: opening the ledger /home/bot-bottle.db: "),
            "{said}"
        );
        assert!(line.ends_with(said_of_it), "{said}");
        assert!(said.contains("\nhint: put a copy of it back"), "{said}");
        let after = std::fs::read(place.home.database())?;
        assert_eq!(Bytes(after), Bytes(content));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_file_is_a_new_ledger() -> Result<()> {
    let place = Place::alone()?;
    std::fs::write(place.home.database(), "")?;
    let daemon = place.start()?;
    let (status, _) = daemon.terminate()?;
    assert!(status.success());
    Ok(())
}

/// A file system that is unmounted with the test.
struct ReadOnly<'a>(&'a Path);

impl<'a> ReadOnly<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        let mount = |arguments: &[&str]| {
            let status = std::process::Command::new("mount")
                .args(arguments)
                .arg(at)
                .status();
            status.is_ok_and(|status| status.success())
        };
        (mount(&["-t", "tmpfs", "none"]) && mount(&["-o", "remount,ro"])).then_some(Self(at))
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg(self.0).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_cannot_be_written_is_named() -> Result<()> {
    let place = Place::alone()?;
    let _mounted = if is_root() {
        let Some(mounted) = ReadOnly::mount(place.home.path()) else {
            skipped("no file system can be mounted here");
            return Ok(());
        };
        Some(mounted)
    } else {
        let fixed = std::fs::Permissions::from_mode(0o500);
        std::fs::set_permissions(place.home.path(), fixed)?;
        None
    };
    let (code, said) = place.fails_to_start().await?;
    if !is_root() {
        std::fs::set_permissions(place.home.path(), std::fs::Permissions::from_mode(0o700))?;
    }
    assert_eq!(code, Some(1));
    assert!(said.starts_with("error: using /home/run: "), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_where_it_is_said_to_be_and_holds_no_secret() -> Result<()> {
    const PROMPT: &str = "canary-of-the-prompt-4711";
    const SAID: &str = "canary-of-the-answer-4711";
    let provider = Provider::start(Script::saying(SAID)).await?;
    let place = Place::before(&provider, "")?;
    let daemon = place.start_with(&[("BB_LOG", "trace")])?;
    let mut raw = Raw::connect(&place.home).await?;
    let hello = raw.result("hello", json!({"client": "canary"})).await?;
    let log = place.home.log();
    assert_eq!(hello["log"], log.display().to_string());
    let web = raw
        .result("bottle.register", json!({"name": "web"}))
        .await?;
    let token = web["token"].as_str().expect("a token").to_owned();
    let body = json!({"model": "m", "max_tokens": 100, "stream": true,
        "messages": [{"role": "user", "content": PROMPT}]});
    let call = async |token: &str, path: &str| {
        let headers = [("x-api-key", token), ("content-type", "application/json")];
        send(
            &daemon.egress,
            Method::POST,
            path,
            &headers,
            body.to_string(),
        )
        .await
    };
    let answer = call(&token, "/claude/v1/messages").await?;
    assert!(answer.text().contains("canary"), "{answer:?}");
    call("bb_wrong-canary-4711", "/claude/v1/messages").await?;
    call("x", &format!("/b/{token}/claude/v1/messages")).await?;
    drop(raw);
    let (status, said) = daemon.terminate()?;
    assert!(status.success());
    let written = std::fs::read_to_string(&log)? + &said;
    assert!(written.contains("stopped"), "{written}");
    for secret in [PROMPT, SAID, REAL_KEY, &token, "bb_wrong-canary-4711"] {
        assert!(!written.contains(secret), "{secret} stands in the log");
    }
    let database = std::fs::read(place.home.database())?;
    for secret in [PROMPT, SAID, REAL_KEY] {
        let found = database
            .windows(secret.len())
            .any(|bytes| bytes == secret.as_bytes());
        assert!(!found, "{secret} stands in the database");
    }
    Ok(())
}
