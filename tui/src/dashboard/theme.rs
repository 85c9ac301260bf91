//! What roles look like: two themes, four depths of colour.
//!
//! Views name roles, never colours. Colour repeats what a glyph and a word already say.

#[cfg(test)]
mod tests;

use ratatui::style::{Color, Modifier, Style};

/// What a cell is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// What matters.
    Text,
    /// What goes with it.
    Muted,
    /// Rules and dots; never text.
    Faint,
    /// What can be acted on.
    Accent,
    /// All is well.
    Ok,
    /// It will not be for long.
    Warn,
    /// Spent, cut or failed.
    Crit,
    /// Not known to be so any more.
    Stale,
}

/// The two themes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Theme {
    Dark,
    Light,
}

/// How many colours there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    None,
    Sixteen,
    Indexed,
    True,
}

/// One colour: as 24 bits, and its nearest of the 256.
#[derive(Debug, Clone, Copy)]
struct Hue(u32, u8);

struct Palette {
    bg: Hue,
    sel: Hue,
    track: Hue,
    text: Hue,
    muted: Hue,
    faint: Hue,
    accent: Hue,
    ok: Hue,
    warn: Hue,
    crit: Hue,
    stale: Hue,
}

const DARK: Palette = Palette {
    bg: Hue(0x0015_181d, 234),
    sel: Hue(0x0026_3244, 236),
    track: Hue(0x002a_3038, 236),
    text: Hue(0x00d8_dce2, 253),
    muted: Hue(0x0098_a1ad, 247),
    faint: Hue(0x006c_7582, 243),
    accent: Hue(0x007c_b7ff, 75),
    ok: Hue(0x007c_c990, 115),
    warn: Hue(0x00e8_b45a, 179),
    crit: Hue(0x00ff_7b72, 210),
    stale: Hue(0x00b3_9ddb, 147),
};

const LIGHT: Palette = Palette {
    bg: Hue(0x00fb_faf7, 231),
    sel: Hue(0x00dc_e6f2, 254),
    track: Hue(0x00e3_e1da, 254),
    text: Hue(0x0022_252a, 235),
    muted: Hue(0x005b_626b, 241),
    faint: Hue(0x008a_9099, 246),
    accent: Hue(0x001f_5fa8, 25),
    ok: Hue(0x001e_6b3c, 22),
    warn: Hue(0x008a_5300, 94),
    crit: Hue(0x00b3_261e, 124),
    stale: Hue(0x006b_5b95, 60),
};

impl Hue {
    fn at(self, depth: Depth) -> Color {
        if depth == Depth::True {
            let [_, red, green, blue] = self.0.to_be_bytes();
            Color::Rgb(red, green, blue)
        } else {
            Color::Indexed(self.1)
        }
    }
}

impl Theme {
    fn palette(self) -> &'static Palette {
        match self {
            Self::Dark => &DARK,
            Self::Light => &LIGHT,
        }
    }

    /// Returns the other theme.
    #[must_use]
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Dark => Self::Light,
            Self::Light => Self::Dark,
        }
    }

    /// Chooses by `COLORFGBG` (`15;0`: the last number is the background's), else dark.
    pub(crate) fn choose(colorfgbg: Option<&str>) -> Self {
        let background = colorfgbg.and_then(|told| told.rsplit(';').next());
        match background.and_then(|number| number.parse::<u8>().ok()) {
            Some(7 | 9..=15) => Self::Light,
            _ => Self::Dark,
        }
    }
}

impl Depth {
    /// Chooses by `NO_COLOR`, `COLORTERM` and `TERM`.
    pub(crate) fn choose(
        no_color: Option<&str>,
        colorterm: Option<&str>,
        term: Option<&str>,
    ) -> Self {
        if no_color.is_some_and(|value| !value.is_empty()) || term == Some("dumb") {
            return Self::None;
        }
        match (colorterm, term) {
            (Some("truecolor" | "24bit"), _) => Self::True,
            (_, Some(term)) if term.contains("256") => Self::Indexed,
            _ => Self::Sixteen,
        }
    }
}

/// What the screen is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) theme: Theme,
    pub(crate) depth: Depth,
    /// Whether every glyph of ours is replaced by one that each terminal has.
    pub(crate) ascii: bool,
}

impl Look {
    /// Returns the style of the whole screen: text on the background.
    pub(crate) fn ground(self) -> Style {
        let palette = self.theme.palette();
        match self.depth {
            Depth::None | Depth::Sixteen => Style::reset(),
            depth => Style::reset()
                .bg(palette.bg.at(depth))
                .fg(palette.text.at(depth)),
        }
    }

    /// Returns what makes a row the selected one.
    pub(crate) fn selected(self) -> Style {
        match self.depth {
            Depth::None | Depth::Sixteen => Style::new().add_modifier(Modifier::REVERSED),
            depth => Style::new().bg(self.theme.palette().sel.at(depth)),
        }
    }

    /// Returns what lies under a bar.
    pub(crate) fn track(self) -> Style {
        match self.depth {
            Depth::None | Depth::Sixteen => Style::new().remove_modifier(Modifier::REVERSED),
            depth => Style::new().bg(self.theme.palette().track.at(depth)),
        }
    }

    /// Returns the style of a tick that stands in a bar's filled part.
    pub(crate) fn tick_in(self, fill: Role) -> Style {
        match self.depth {
            Depth::None => self.track(),
            Depth::Sixteen => self.style(fill).add_modifier(Modifier::REVERSED),
            depth => Style::new()
                .fg(self.theme.palette().bg.at(depth))
                .bg(self.hue(fill).at(depth)),
        }
    }

    /// Returns the style of a role; the background stays what it is.
    pub(crate) fn style(self, role: Role) -> Style {
        match self.depth {
            Depth::None => plain(role),
            Depth::Sixteen => sixteen(role, self.theme),
            depth => {
                let style = Style::new().fg(self.hue(role).at(depth));
                match role {
                    Role::Stale => style.add_modifier(Modifier::ITALIC),
                    _ => style,
                }
            }
        }
    }

    fn hue(self, role: Role) -> Hue {
        let palette = self.theme.palette();
        match role {
            Role::Text => palette.text,
            Role::Muted => palette.muted,
            Role::Faint => palette.faint,
            Role::Accent => palette.accent,
            Role::Ok => palette.ok,
            Role::Warn => palette.warn,
            Role::Crit => palette.crit,
            Role::Stale => palette.stale,
        }
    }
}

fn plain(role: Role) -> Style {
    match role {
        Role::Text | Role::Muted | Role::Faint | Role::Ok => Style::new(),
        Role::Accent | Role::Warn => Style::new().add_modifier(Modifier::BOLD),
        Role::Crit => Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
        Role::Stale => Style::new().add_modifier(Modifier::DIM | Modifier::ITALIC),
    }
}

/// The light theme uses no green, yellow or cyan: the usual ones have a contrast of two on white.
fn sixteen(role: Role, theme: Theme) -> Style {
    let bold = |color| Style::new().fg(color).add_modifier(Modifier::BOLD);
    let fg = |color| Style::new().fg(color);
    match (role, theme) {
        (Role::Text | Role::Muted, _) | (Role::Ok, Theme::Light) => fg(Color::Reset),
        (Role::Faint, _) => fg(Color::DarkGray),
        (Role::Accent, Theme::Dark) => fg(Color::LightCyan),
        (Role::Accent, Theme::Light) => fg(Color::Blue),
        (Role::Ok, Theme::Dark) => fg(Color::Green),
        (Role::Warn, Theme::Dark) => bold(Color::LightYellow),
        (Role::Warn, Theme::Light) => bold(Color::Magenta),
        (Role::Crit, Theme::Dark) => bold(Color::LightRed),
        (Role::Crit, Theme::Light) => bold(Color::Red),
        (Role::Stale, Theme::Dark) => fg(Color::LightMagenta),
        (Role::Stale, Theme::Light) => fg(Color::Magenta),
    }
}
