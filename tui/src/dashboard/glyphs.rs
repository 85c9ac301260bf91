//! Our glyphs, and what stands for each where a terminal has only ASCII.

use super::state::Sign;

/// Every glyph of ours that is not ASCII, with its twin.
///
/// A bar has cells of its own kind, see `view::bar`. Letters of names keep their script.
const TWINS: &[(char, char)] = &[
    ('●', '*'),
    ('○', 'o'),
    ('▲', '!'),
    ('■', 'X'),
    ('»', '>'),
    ('□', '-'),
    ('✗', 'F'),
    ('▸', '>'),
    ('▾', 'v'),
    ('▌', '>'),
    ('├', '|'),
    ('└', '`'),
    ('│', '|'),
    ('─', '-'),
    ('╭', '.'),
    ('╮', '.'),
    ('╰', '`'),
    ('╯', '\''),
    ('·', '|'),
    ('…', '~'),
    ('›', '>'),
    ('↑', '^'),
    ('↓', 'v'),
    ('←', '<'),
    ('→', '>'),
    ('█', '#'),
    ('▒', '='),
    ('▶', '>'),
    ('▁', '.'),
    ('▂', '.'),
    ('▃', '-'),
    ('▄', '-'),
    ('▅', '='),
    ('▆', '='),
    ('▇', '#'),
    ('␡', '?'),
    ('␦', '?'),
];

/// Returns what stands for a symbol in ASCII; `None`: it stays, since it is a letter of a name.
pub(crate) fn in_ascii(symbol: &str) -> Option<String> {
    let glyph = symbol.chars().next()?;
    let twin = TWINS.iter().find(|(ours, _)| *ours == glyph);
    let picture = ('\u{2400}'..='\u{2426}').contains(&glyph).then_some('?');
    twin.map(|(_, twin)| *twin)
        .or(picture)
        .map(|twin| twin.to_string())
}

/// Returns the glyph of a look.
pub(crate) fn sign(sign: Sign, ascii: bool) -> char {
    match sign {
        Sign::Declared if ascii => '.',
        Sign::Declared => '·',
        Sign::Stopped => '□',
        Sign::Idle => '○',
        Sign::Running => '●',
        Sign::Warned => '▲',
        Sign::CutOff => '■',
        Sign::Wanted => '»',
        Sign::Failed => '✗',
    }
}

/// Returns the sign of a fold.
pub(crate) fn fold(open: bool, ascii: bool) -> char {
    match (open, ascii) {
        (true, _) => '▾',
        (false, false) => '▸',
        (false, true) => '+',
    }
}
