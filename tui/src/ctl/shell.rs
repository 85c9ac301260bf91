//! A client's environment as lines that a POSIX shell takes in.

use bb_proto::reply::ClientEnv;

use super::words;
use crate::format::text;

/// Writes `export` and `unset` lines; arguments, which a shell cannot keep, as a comment.
pub(super) fn lines(client: &ClientEnv) -> String {
    let mut lines: Vec<String> = Vec::new();
    for name in client.env_remove.iter().filter(|name| is_name(name)) {
        lines.push(format!("unset {name}\n"));
    }
    for (name, value) in client.env.iter().filter(|(name, _)| is_name(name)) {
        lines.push(format!("export {name}={}\n", words::quote_always(value)));
    }
    if !client.args.is_empty() {
        let arguments: Vec<String> = client.args.iter().map(|word| words::quote(word)).collect();
        // Cleaned, since a newline would end the comment.
        lines.push(format!(
            "# arguments, right after the program: {}\n",
            text::clean(&arguments.join(" "))
        ));
    }
    lines.concat()
}

/// Returns whether a shell takes the text as a variable's name.
fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_exactly_what_was_said_and_runs_nothing() {
        let odd = "a'b \"$(echo no)\" `echo no`\nexport X=1 \\";
        let client = ClientEnv {
            client: "codex".to_owned(),
            env: [
                ("ODD".to_owned(), odd.to_owned()),
                ("BAD;NAME".to_owned(), "x".to_owned()),
            ]
            .into(),
            env_remove: vec!["HOME".to_owned(), "X Y".to_owned()],
            args: vec!["-c".to_owned(), "a\necho no".to_owned()],
        };
        let script = format!(
            "{}printf '%s|%s' \"$ODD\" \"${{HOME-unset}}\"",
            lines(&client)
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .expect("a shell");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("{odd}|unset")
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
