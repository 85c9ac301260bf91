//! The schema, version by version. A step is never edited, only added.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

pub(super) const STEPS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
];

/// The version of the schema that this program writes.
pub const SCHEMA_VERSION: u32 = 5;

/// Refuses a database of a newer version, without opening it for writing.
pub(super) fn refuse_newer(path: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return Ok(());
    }
    let doing = "reading its version";
    let found = look(path).and_then(|connection| version(&connection));
    let found = found.map_err(|e| StoreError::new(doing, &e))?;
    if found > SCHEMA_VERSION {
        return Err(StoreError::Newer { found });
    }
    Ok(())
}

/// Opens a database so that no file is made beside it: what lies in a write-ahead log is seen, and
/// without one the file is all there is.
fn look(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match path.to_str() {
        Some(text) if !Path::new(&log).exists() => {
            let text = text
                .replace('%', "%25")
                .replace('?', "%3f")
                .replace('#', "%23");
            let alone = format!("file:{text}?immutable=1");
            Connection::open_with_flags(alone, flags | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => Connection::open_with_flags(path, flags),
    }
}

/// Brings a database up to date, one transaction a step.
pub(super) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    migrate(connection).map_err(|e| StoreError::new("bringing the schema up to date", &e))
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let done = version(connection)?;
    let steps = STEPS
        .iter()
        .zip(1_u32..)
        .skip(usize::try_from(done).unwrap_or(usize::MAX));
    for (step, number) in steps {
        let transaction = connection.transaction()?;
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL) STRICT",
        )?;
        transaction.execute_batch(step)?;
        transaction.execute("DELETE FROM schema_version", [])?;
        transaction.execute("INSERT INTO schema_version (version) VALUES (?1)", [number])?;
        transaction.commit()?;
    }
    Ok(())
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    let there: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'schema_version')",
        [],
        |row| row.get(0),
    )?;
    if !there {
        return Ok(0);
    }
    connection.query_row(
        "SELECT coalesce(max(version), 0) FROM schema_version",
        [],
        |r| r.get(0),
    )
}
