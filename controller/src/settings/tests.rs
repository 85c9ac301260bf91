//! Every file below `tests/settings` is a test by being there.

use std::path::{Path, PathBuf};

use super::*;

const PROVIDERS: [&str; 5] = ["claude", "codex", "gemini", "groq", "mistral"];

fn known() -> Vec<ProviderKey> {
    PROVIDERS
        .iter()
        .map(|key| ProviderKey::new(key).unwrap())
        .collect()
}

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/settings")
        .join(folder);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yml"))
        .map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() > 1, "no files in {}", folder.display());
    files
}

fn told(mistakes: &[Mistake]) -> String {
    let line = |it: &Mistake| {
        format!(
            "{}:{} {} [{}]\n",
            it.line,
            it.column,
            it.text,
            it.hint.as_deref().unwrap_or("-")
        )
    };
    mistakes.iter().map(line).collect()
}

#[test]
fn every_valid_file_is_taken() {
    for (path, text) in files("valid") {
        if let Err(mistakes) = parse(&text, &known()) {
            panic!("{}:\n{}", path.display(), told(&mistakes));
        }
    }
}

/// A line `# expect: LINE:COLUMN WORDS` at the end of an invalid file: `WORDS` are in the text or
/// the hint. All mistakes must be expected, and in this order.
#[test]
fn every_invalid_file_has_exactly_the_mistakes_it_expects() {
    for (path, text) in files("invalid") {
        let mistakes = parse(&text, &known()).expect_err(&path.display().to_string());
        let found = told(&mistakes);
        let expected: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# expect: "))
            .collect();
        let met = expected.len() == mistakes.len()
            && expected.iter().zip(found.lines()).all(|(expected, found)| {
                let (place, words) = expected.split_once(' ').unwrap_or((expected, "?"));
                found.starts_with(&format!("{place} ")) && found.contains(words)
            });
        assert!(
            met,
            "{}: expected\n{}\nand found\n{found}",
            path.display(),
            expected.join("\n")
        );
    }
}
