//! Owns how a request's body is changed by positions, and the change by which it asks for usage in
//! a streamed answer.

use std::ops::Range;

use super::scan::{Cursor, Member};

const NAME: &str = "stream_options";
const MEMBER: &str = "include_usage";
const OPTIONS: &[u8] = br#"{"include_usage":true}"#;

/// What is put in place of a range of the body.
pub(super) type Change = (Range<usize>, Vec<u8>);

/// Returns a chat body that asks for usage in its stream, every other byte as it was.
///
/// The caller asks for this only where the request is for a stream. `None` where nothing is to
/// be changed: the body asks already, is no JSON object, or has options that are no object.
/// Where a member stands more than once, each is changed, whichever the provider heeds.
pub fn with_include_usage(body: &[u8]) -> Option<Vec<u8>> {
    let changes = changes(body)?;
    if changes.is_empty() {
        return None;
    }
    changed(body, changes)
}

/// Returns a body with changes made, which are in the order of the body.
pub(super) fn changed(body: &[u8], changes: Vec<Change>) -> Option<Vec<u8>> {
    let longer: usize = changes.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut edited = Vec::with_capacity(body.len().saturating_add(longer));
    let mut copied = 0;
    for (range, bytes) in changes {
        edited.extend_from_slice(body.get(copied..range.start)?);
        edited.extend_from_slice(&bytes);
        copied = range.end;
    }
    edited.extend_from_slice(body.get(copied..)?);
    Some(edited)
}

fn changes(body: &[u8]) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    let mut cursor = Cursor::new(body);
    cursor.take(b'{')?;
    let inside = cursor.position();
    let (mut is_empty, mut is_there) = (true, false);
    while let Member::Key(key) = cursor.member()? {
        is_empty = false;
        if key.decode(NAME.len()).as_deref() == Some(NAME) {
            is_there = true;
            options(&mut cursor, &mut changes)?;
        } else {
            cursor.skip(&mut ())?;
        }
    }
    if !cursor.is_at_end() {
        return None;
    }
    if !is_there {
        let comma: &[u8] = if is_empty { b"" } else { b"," };
        let member = [b"\"", NAME.as_bytes(), b"\":", OPTIONS, comma].concat();
        changes.push((inside..inside, member));
    }
    Some(changes)
}

fn options(cursor: &mut Cursor<'_>, changes: &mut Vec<Change>) -> Option<()> {
    if cursor.peek()? != b'{' {
        let start = cursor.position();
        let raw = cursor.raw(&mut ())?;
        if raw == b"null" {
            changes.push((start..cursor.position(), OPTIONS.to_vec()));
            return Some(());
        }
        return None;
    }
    cursor.take(b'{')?;
    let inside = cursor.position();
    let (mut is_empty, mut is_there) = (true, false);
    while let Member::Key(key) = cursor.member()? {
        is_empty = false;
        let is_member = key.decode(MEMBER.len()).as_deref() == Some(MEMBER);
        cursor.peek()?;
        let start = cursor.position();
        let raw = cursor.raw(&mut ())?;
        is_there |= is_member;
        if is_member && raw != b"true" {
            changes.push((start..cursor.position(), b"true".to_vec()));
        }
    }
    if !is_there {
        let comma: &[u8] = if is_empty { b"" } else { b"," };
        let member = [b"\"", MEMBER.as_bytes(), b"\":true", comma].concat();
        changes.push((inside..inside, member));
    }
    Some(())
}
