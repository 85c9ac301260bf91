//! What `docs/CONFIGURATION.md` says is what the reader takes.

use super::*;

fn page_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CONFIGURATION.md")
}

/// Returns the page with its tables as they should be.
fn with_tables(page: &str) -> String {
    reference()
        .into_iter()
        .fold(page.to_owned(), |page, (name, table)| {
            let begin = format!("<!-- keys of {name} -->\n");
            let end = "<!-- end of keys -->";
            let (before, rest) = page
                .split_once(&begin)
                .unwrap_or_else(|| panic!("the page has no {begin}"));
            let (_, after) = rest.split_once(end).unwrap();
            format!("{before}{begin}\n{table}\n{end}{after}")
        })
}

/// `BB_UPDATE_DOCS=1 cargo test -p bb-controller` writes the page.
#[test]
fn the_tables_of_the_page_are_those_of_the_code() {
    let page = std::fs::read_to_string(page_path()).unwrap();
    let wanted = with_tables(&page);
    if page != wanted && std::env::var_os("BB_UPDATE_DOCS").is_some() {
        std::fs::write(page_path(), &wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/CONFIGURATION.md is stale: run this test with BB_UPDATE_DOCS=1"
    );
}

fn examples(page: &str) -> Vec<&str> {
    page.split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn every_example_in_the_documents_is_taken() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, least) in [
        ("docs/CONFIGURATION.md", 3),
        ("docs/OPERATING.md", 2),
        ("docs/ARCHITECTURE.md", 1),
        ("README.md", 1),
    ] {
        let page = std::fs::read_to_string(root.join(name)).unwrap();
        let examples = examples(&page);
        assert!(
            examples.len() >= least,
            "{name}: {} examples",
            examples.len()
        );
        for example in examples {
            taken(example);
        }
    }
}

#[test]
fn the_full_example_has_every_key() {
    let page = std::fs::read_to_string(page_path()).unwrap();
    let examples = examples(&page);
    let full = examples.iter().max_by_key(|example| example.len()).unwrap();
    for section in keys::SECTIONS {
        for name in section.names() {
            let written = full
                .lines()
                .any(|line| line.trim_start().starts_with(&format!("{name}:")));
            assert!(
                written,
                "{name} of {} is missing in the full example",
                section.name
            );
        }
    }
}

#[test]
fn the_defaults_on_the_page_are_those_of_the_code() {
    let default = |section: &keys::Section, name: &str| {
        let key = section.keys.iter().find(|key| key.name == name).unwrap();
        key.default.trim_matches('`')
    };
    let text = format!(
        "wait: {}\ndrain: {}\nkeep_calls: {}\nwarn: {}\nin_flight: {}\ngate: {}\nshutdown: {}\n",
        default(&keys::TOP, "wait"),
        default(&keys::TOP, "drain"),
        default(&keys::TOP, "keep_calls"),
        default(&keys::TOP, "warn"),
        default(&keys::TOP, "in_flight"),
        default(&keys::TOP, "gate"),
        default(&keys::TOP, "shutdown"),
    );
    let egress = keys::EGRESS.names().fold(String::new(), |text, name| {
        text + &format!("  {name}: {}\n", default(&keys::EGRESS, name))
    });
    assert_eq!(
        taken(&format!("{text}egress:\n{egress}")),
        Settings::default()
    );
}

#[test]
fn the_bounds_on_the_page_are_those_of_the_code() {
    let mut bounded = 0;
    for section in [&keys::TOP, &keys::EGRESS, &keys::ON_EVENT] {
        for key in section.keys {
            let bounds = key.takes.strip_suffix('`').and_then(|takes| {
                let (unit, bounds) = takes.split_once(", `")?;
                let (least, most) = bounds.split_once("` to `")?;
                Some((unit, least, most))
            });
            let Some((unit, least, most)) = bounds else {
                continue;
            };
            let (below, above) = match (unit, least) {
                ("time", "0s") => (None, format!("{most}1ms")),
                ("time", _) => (Some("99ms"), format!("{most}1ms")),
                _ => (Some("65535"), "1025M".to_owned()),
            };
            let file = |value: &str| {
                let line = format!("{}: {value}", key.name);
                let text = match section.path {
                    "" => line,
                    "on_event" => format!("on_event:\n  command: /bin/sh\n  {line}"),
                    path => format!("{path}:\n  {line}"),
                };
                parse(&text, &known())
            };
            assert!(file(least).is_ok() && file(most).is_ok(), "{}", key.name);
            assert!(file(&above).is_err(), "{} {above}", key.name);
            assert!(
                below.is_none_or(|below| file(below).is_err()),
                "{}",
                key.name
            );
            bounded += 1;
        }
    }
    assert_eq!(bounded, 9);
}
