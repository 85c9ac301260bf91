//! Every file below `tests/settings` is a test by being there.

mod hostile;
mod page;
mod whole;

use std::path::{Path, PathBuf};

use super::*;

const PROVIDERS: [&str; 5] = ["claude", "codex", "gemini", "groq", "mistral"];

fn known() -> Vec<ProviderKey> {
    let key = |key| ProviderKey::new(key).unwrap();
    PROVIDERS.into_iter().map(key).collect()
}

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/settings")
        .join(path)
}

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files: Vec<_> = std::fs::read_dir(data(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "yml"))
        .map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() > 1, "there are no files in {folder}");
    files
}

fn taken(text: &str) -> Settings {
    parse(text, &known()).unwrap_or_else(|mistakes| panic!("{text}\n{}", told(&mistakes)))
}

fn told(mistakes: &[Mistake]) -> String {
    mistakes.iter().fold(String::new(), |told, it| {
        let hint = it.hint.as_deref().unwrap_or("-");
        told + &format!("{}:{} {} [{hint}]\n", it.line, it.column, it.text)
    })
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
/// in the hint. All mistakes are expected, in this order.
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

#[test]
fn a_file_that_is_not_there_is_no_mistake_and_one_that_cannot_be_read_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.yml");
    assert!(matches!(load(&path, &known()), Ok(None)));

    std::os::unix::fs::symlink(dir.path().join("nowhere"), &path).unwrap();
    assert!(matches!(load(&path, &known()), Err(LoadError::Read { .. })));
    std::fs::remove_file(&path).unwrap();

    std::fs::create_dir(&path).unwrap();
    assert!(matches!(load(&path, &known()), Err(LoadError::Read { .. })));
    std::fs::remove_dir(&path).unwrap();

    std::fs::write(&path, "budget:\n  claude: 5M\n").unwrap();
    let settings = load(&path, &known()).unwrap().unwrap();
    assert_eq!(settings.budgets[0].limit, Tokens(5_000_000));
    let below = load(&path.join("settings.yml"), &known());
    assert!(matches!(below, Err(LoadError::Read { .. })), "{below:?}");
}

#[test]
fn bytes_that_are_no_text_and_too_many_bytes_are_mistakes_with_a_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.yml");
    let mistakes = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        match load(&path, &known()) {
            Err(LoadError::Mistakes { mistakes, .. }) => told(&mistakes),
            other => panic!("{other:?}"),
        }
    };
    let latin1 = mistakes(b"gate: off\n# f\xc3\xbcr f\xfcr\n");
    assert!(latin1.starts_with("2:8 this byte is not UTF-8"), "{latin1}");

    let size = usize::try_from(SETTINGS_BYTES_MAX).unwrap();
    let large = mistakes(&vec![b'#'; size + 1]);
    assert!(
        large.starts_with("1:1 the settings are larger than"),
        "{large}"
    );
    std::fs::write(&path, vec![b'#'; size]).unwrap();
    assert_eq!(load(&path, &known()).unwrap(), Some(Settings::default()));
}

#[test]
fn a_load_error_counts_its_mistakes() {
    let error = |count| {
        let mistakes = vec![
            Mistake {
                line: 1,
                column: 1,
                text: String::new(),
                hint: None,
            };
            count
        ];
        let path = PathBuf::from("settings.yml");
        LoadError::Mistakes { path, mistakes }.to_string()
    };
    assert_eq!(error(1), "one mistake in the settings settings.yml");
    assert_eq!(error(3), "3 mistakes in the settings settings.yml");
}
