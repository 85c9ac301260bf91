//! What no file may do: make the reader panic, go on for long, or say what is secret.

use std::time::{Duration, Instant};

use super::*;

/// The same numbers in each run, so that what fails fails again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

const PIECES: [&str; 48] = [
    ":",
    ": ",
    "\n",
    " ",
    "  ",
    "\t",
    "-",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "!",
    "!!int ",
    "|",
    ">",
    "|2-\n",
    "\"",
    "'",
    "#",
    " #",
    "?",
    "? ",
    "%",
    "@",
    "`",
    "---\n",
    "...\n",
    "<<: ",
    "~",
    "null",
    "\\",
    "\u{0}",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{feff}",
    "\u{1f600}",
    "\r",
    "\r\n",
    "-9",
    "0.0001",
    "9999999999999999999999",
    "limit",
    "rolling 5h",
];

fn mutated(text: &str, other: &str, numbers: &mut Numbers) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(chars.len() + 1);
        match numbers.below(6) {
            0 => {
                let end = (at + numbers.below(12)).min(chars.len());
                chars.drain(at..end);
            }
            1 => {
                let end = (at + numbers.below(60)).min(chars.len());
                let piece: Vec<char> = chars[at..end].to_vec();
                let to = numbers.below(chars.len() + 1);
                chars.splice(to..to, piece);
            }
            2 => {
                let other: Vec<char> = other.chars().collect();
                let from = numbers.below(other.len());
                let end = (from + numbers.below(80)).min(other.len());
                chars.splice(at..at, other[from..end].iter().copied());
            }
            3 => chars.truncate(at),
            _ => {
                let piece = PIECES[numbers.below(PIECES.len())];
                chars.splice(at..at, piece.chars());
            }
        }
    }
    chars.into_iter().collect()
}

/// What holds for the mistakes of any file.
fn check(text: &str, mistakes: &[Mistake]) {
    assert!(!mistakes.is_empty(), "{text:?}");
    assert!(mistakes.len() <= mistakes::MISTAKES_MAX + 1);
    let lines = text.lines().count() + 1;
    for mistake in mistakes {
        let place = (mistake.line, mistake.column);
        assert!(
            place >= (1, 1) && mistake.column >= 1,
            "{place:?} of {text:?}"
        );
        let line = usize::try_from(mistake.line).unwrap();
        // The library counts a lone carriage return as a line end, and `lines` does not.
        assert!(
            text.contains('\r') || line <= lines,
            "{place:?} of {text:?}"
        );
        for said in [Some(&mistake.text), mistake.hint.as_ref()]
            .into_iter()
            .flatten()
        {
            assert!(
                !said.is_empty() && said.len() < 1000,
                "{said:?} of {text:?}"
            );
            assert!(!said.contains(char::is_control), "{said:?} of {text:?}");
        }
    }
}

#[test]
fn a_changed_file_is_taken_or_its_mistakes_are_told_and_nothing_panics() {
    let mut files = files("valid");
    files.extend(super::files("invalid"));
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..10_000 {
        let text = &files[numbers.below(files.len())].1;
        let other = &files[numbers.below(files.len())].1;
        let text = mutated(text, other, &mut numbers);
        match parse(&text, &known()) {
            Ok(settings) => {
                taken += 1;
                assert!(settings.changes(&settings).is_empty());
                assert!(settings.to_json().is_object());
                assert!(
                    settings
                        .budgets
                        .iter()
                        .all(|budget| budget.limit > Tokens::ZERO)
                );
            }
            Err(mistakes) => {
                refused += 1;
                check(&text, &mistakes);
            }
        }
    }
    assert!(
        taken > 200 && refused > 2000,
        "taken {taken}, refused {refused}"
    );
}

#[test]
fn the_largest_file_of_each_kind_is_read_in_bounded_time() {
    let size = usize::try_from(SETTINGS_BYTES_MAX).unwrap();
    let filled = |piece: &str| piece.repeat((size - 64) / piece.len());
    let numbered = |line: &dyn Fn(usize) -> String| {
        let mut text = String::from("bottles:\n");
        for number in 0.. {
            let line = line(number);
            if text.len() + line.len() > size {
                return text;
            }
            text.push_str(&line);
        }
        text
    };
    let kinds = [
        ("brackets", filled("[")),
        ("braces", filled("{")),
        ("dashes", filled("- ")),
        ("questions", filled("? ")),
        ("colons", filled(": ")),
        ("one key", filled("claude: 5M\n")),
        ("one line", filled("x")),
        ("quotes", format!("gate: \"{}", filled("x "))),
        ("aliases", format!("a: &a [x]\nb: [{}", filled("*a, "))),
        (
            "a long limit",
            format!("budget: {{claude: {}}}", filled("9")),
        ),
        ("keys", numbered(&|n| format!("  k{n}: 5\n"))),
        (
            "a long line of descent",
            numbered(&|n| format!("  b{n}:\n    parent: b{}\n", n + 1)),
        ),
        (
            "a large loop",
            numbered(&|n| format!("  b{n}:\n    parent: b{}\n", (n + 1) % 40_000)),
        ),
        (
            "many parents",
            numbered(&|n| format!("  b{n}:\n    parents: [b{}, b{}]\n", n + 1, n + 2)),
        ),
        (
            "bottles with budgets",
            numbered(&|n| format!("  b{n}:\n    budget:\n      all: 5M\n")),
        ),
    ];
    for (kind, text) in kinds {
        assert!(text.len() <= size, "{kind}");
        let started = Instant::now();
        let result = parse(&text, &known());
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "{kind} took {took:?}");
        match result {
            Ok(settings) => assert_eq!(
                (kind, settings.bottles.len() > 1000),
                ("bottles with budgets", true)
            ),
            Err(mistakes) => check(&text, &mistakes),
        }
    }
}

#[test]
fn no_mistake_repeats_what_may_be_a_key() {
    let secret = "sk-ant-api03-0123456789";
    for text in [
        format!("providers:\n  claude:\n    credential: {secret}\n"),
        format!("providers:\n  claude:\n    credential: env:{secret}\n"),
        format!("providers:\n  claude:\n    credential: \"file:{secret}\"\n"),
        format!("providers:\n  claude:\n    credential: [{secret}]\n"),
        format!("providers:\n  claude:\n    credential:\n      env: {secret}\n"),
        format!("providers:\n  claude:\n    credential: command:echo {secret}\n"),
        format!("providers:\n  claude:\n    api_key: {secret}\n"),
        format!("providers:\n  claude: {secret}\n"),
        format!("providers:\n  claude:\n    upstream: https://user:{secret}@example.com\n"),
    ] {
        let mistakes = parse(&text, &known()).expect_err(&text);
        assert!(!told(&mistakes).contains(secret), "{}", told(&mistakes));
    }
}
