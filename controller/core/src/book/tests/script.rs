//! Scenarios as text: a line a command, what came of it behind `=>`, balances behind `|`.
//!
//! `40+10` is input + output of a call, `35+50` is posted + pending of an account. A line that
//! begins with `=>`, `|` or `;` goes on with the one above. Without a `=>` the command must succeed
//! and what came of it is not looked at. After every line a book put together from what was
//! written must be the same as the one in memory.

use super::restart::assert_same;
use super::stage::Stage;

/// Runs a scenario and compares every line's outcome and balances with what the line says.
pub(super) fn check(script: &str) {
    let mut stage = Stage::default();
    let mut wrong = Vec::new();
    for line in Line::all(script) {
        let came = stage.run(&line.command).join("; ");
        assert_same(&stage);
        if line.came.as_ref().is_some_and(|expected| *expected != came) {
            wrong.push(format!("{}\n    came: {came}", line.command));
        }
        for (account, expected) in &line.balances {
            let balance = stage.balance(account);
            if balance != *expected {
                wrong.push(format!(
                    "{}\n    {account}: {balance}, not {expected}",
                    line.command
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

struct Line {
    command: String,
    came: Option<String>,
    balances: Vec<(String, String)>,
}

impl Line {
    fn all(script: &str) -> Vec<Self> {
        let mut joined: Vec<String> = Vec::new();
        for line in script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            match joined.last_mut() {
                Some(last) if line.starts_with("=>") || line.starts_with(['|', ';']) => {
                    last.push(' ');
                    last.push_str(line);
                }
                _ => joined.push(line.to_owned()),
            }
        }
        joined.iter().map(|line| Self::parse(line)).collect()
    }

    fn parse(line: &str) -> Self {
        let (rest, balances) = line.split_once('|').unwrap_or((line, ""));
        let (command, came) = match rest.split_once("=>") {
            Some((command, came)) => (command, Some(came.replace("=>", "; "))),
            None => (rest, None),
        };
        let squeeze = |text: &str| {
            let parts = text
                .split(';')
                .map(|part| part.split_whitespace().collect::<Vec<_>>());
            let parts = parts
                .map(|words| words.join(" "))
                .filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join("; ")
        };
        let balances = balances.replace('|', ",");
        let balances = balances
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        Self {
            command: command.trim().to_owned(),
            came: came.map(|came| squeeze(&came)),
            balances: balances
                .map(|part| part.split_once(' ').expect("ACCOUNT POSTED+PENDING"))
                .map(|(account, sums)| (account.to_owned(), sums.trim().to_owned()))
                .collect(),
        }
    }
}
