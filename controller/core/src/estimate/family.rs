//! Which models are alike enough that one not seen yet starts from what the others taught.

/// Words that say a size or a state of a model, not which it is.
const SIZES: &[&str] = &[
    "mini", "nano", "lite", "latest", "preview", "exp", "beta", "instruct", "turbo", "fast",
];

/// Returns the family of a model: its name in lower case without date, version and size.
///
/// The first two parts between hyphens are kept, since a version stands there in some names
/// (`gpt-5`) and the name itself in others (`claude-opus-4-1`); dates and counts of parameters
/// never are. A path before the name and a label behind `:` or `@` are no part of it.
pub(super) fn family(model: &str) -> String {
    let name = model.rsplit_once('/').map_or(model, |(_, name)| name);
    let name = name.split([':', '@']).next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    let parts = name.split('-').enumerate();
    let kept: Vec<&str> = parts
        .filter(|(at, part)| match at {
            0 => true,
            1 => !is_date(part) && !is_parameters(part),
            _ => !part.starts_with(|c: char| c.is_ascii_digit()) && !SIZES.contains(part),
        })
        .map(|(_, part)| part)
        .collect();
    kept.join("-")
}

/// Returns whether a part is a number of four digits or more: a year, a month, a day.
fn is_date(part: &str) -> bool {
    part.len() >= 4 && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns whether a part is a count of parameters, such as `70b`.
fn is_parameters(part: &str) -> bool {
    part.strip_suffix('b')
        .is_some_and(|count| count.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_the_name_without_date_version_and_size() {
        let lines = [
            ("claude-opus-4-1-20250805", "claude-opus"),
            ("claude-opus-4-8", "claude-opus"),
            ("claude-3-7-sonnet@20250219", "claude-3-sonnet"),
            ("anthropic/claude-sonnet-4.6", "claude-sonnet"),
            ("gpt-5", "gpt-5"),
            ("gpt-5-2025-08-07", "gpt-5"),
            ("gpt-5-nano", "gpt-5"),
            ("gpt-5.3-codex", "gpt-5.3-codex"),
            ("gpt-4o-mini-2024-07-18", "gpt-4o"),
            ("o4-mini", "o4-mini"),
            ("gemini-2.5-flash", "gemini-2.5-flash"),
            ("gemini-2.5-flash-lite-preview-06-17", "gemini-2.5-flash"),
            ("Qwen/Qwen3-4B", "qwen3"),
            ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.3"),
            ("meta-llama/llama-3.2-3b-instruct:free", "llama-3.2"),
            ("", ""),
            ("-", "-"),
            ("a/", ""),
        ];
        for (model, expected) in lines {
            assert_eq!(family(model), expected, "{model}");
        }
    }

    #[test]
    fn a_family_is_a_member_of_itself() {
        for model in [
            "claude-opus-4-1-20250805",
            "gpt-4o-mini",
            "x-2-3b-4",
            "Qwen/Qwen3-4B",
        ] {
            let once = family(model);
            assert_eq!(family(&once), once, "{model}");
        }
    }
}
