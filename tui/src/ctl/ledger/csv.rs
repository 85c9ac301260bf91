//! Comma-separated values as RFC 4180 has them.

/// Writes a record with its line end: fields with a comma, a quote or a line end are quoted, and
/// a quote in one is doubled.
pub(super) fn record<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let mut record = String::new();
    for (at, field) in fields.into_iter().enumerate() {
        if at > 0 {
            record.push(',');
        }
        if field.contains([',', '"', '\r', '\n']) {
            record.push('"');
            record.push_str(&field.replace('"', "\"\""));
            record.push('"');
        } else {
            record.push_str(field);
        }
    }
    record.push_str("\r\n");
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads records as RFC 4180 has them.
    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
        let mut is_quoted = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if is_quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => record.push(std::mem::take(&mut field)),
                '\r' if !is_quoted => {
                    assert_eq!(chars.next(), Some('\n'));
                    record.push(std::mem::take(&mut field));
                    records.push(std::mem::take(&mut record));
                }
                c => field.push(c),
            }
        }
        assert!(!is_quoted && field.is_empty() && record.is_empty(), "torn");
        records
    }

    #[test]
    fn a_plain_field_stands_as_it_is_and_others_are_quoted() {
        assert_eq!(record(["a", "", "b c"]), "a,,b c\r\n");
        assert_eq!(
            record(["a,b", "say \"x\"", "1\n2"]),
            "\"a,b\",\"say \"\"x\"\"\",\"1\n2\"\r\n"
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let pieces = ["", "a", ",", "\"", "\r", "\n", "\r\n", "日", " "];
        let fields: Vec<String> = (0..pieces.len() * pieces.len() * pieces.len())
            .map(|n| {
                let base = pieces.len();
                [n % base, n / base % base, n / base / base]
                    .map(|at| pieces.get(at).copied().unwrap_or_default())
                    .concat()
            })
            .collect();
        let mut text = String::new();
        for three in fields.chunks(3) {
            text.push_str(&record(three.iter().map(String::as_str)));
        }
        let expected: Vec<Vec<String>> = fields.chunks(3).map(<[String]>::to_vec).collect();
        assert_eq!(read(&text), expected);
    }
}
