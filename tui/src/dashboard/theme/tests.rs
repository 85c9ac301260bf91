//! Contrast, depth and choice.

use super::*;

const TEXT: [Role; 7] = [
    Role::Text,
    Role::Muted,
    Role::Accent,
    Role::Ok,
    Role::Warn,
    Role::Crit,
    Role::Stale,
];

fn rgb(color: Color) -> [u8; 3] {
    match color {
        Color::Rgb(red, green, blue) => [red, green, blue],
        Color::Indexed(index @ 232..) => [8 + 10 * (index - 232); 3],
        Color::Indexed(index @ 16..) => {
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let cube = index - 16;
            [level(cube / 36), level(cube / 6 % 6), level(cube % 6)]
        }
        other => panic!("{other:?} has no fixed value"),
    }
}

fn luminance(color: Color) -> f64 {
    let [red, green, blue] = rgb(color).map(|part| {
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(one: Color, two: Color) -> f64 {
    let (one, two) = (luminance(one) + 0.05, luminance(two) + 0.05);
    if one > two { one / two } else { two / one }
}

#[test]
fn every_text_can_be_read_on_every_ground_of_its_theme() {
    for theme in [Theme::Dark, Theme::Light] {
        for depth in [Depth::True, Depth::Indexed] {
            let look = Look {
                theme,
                depth,
                ascii: false,
            };
            for ground in [look.ground(), look.selected(), look.track()] {
                let ground = ground.bg.expect("a ground has a background");
                for role in TEXT {
                    let text = look.style(role).fg.expect("a role has a colour");
                    let found = contrast(text, ground);
                    assert!(found >= 4.5, "{theme:?} {depth:?} {role:?}: {found:.2}");
                }
            }
            let faint = look.style(Role::Faint).fg.expect("faint has a colour");
            let ground = look.ground().bg.expect("a ground has a background");
            assert!(contrast(faint, ground) >= 3.0, "{theme:?} {depth:?} faint");
            for fill in [Role::Ok, Role::Warn, Role::Crit, Role::Stale] {
                let tick = look.tick_in(fill);
                let (Some(fg), Some(bg)) = (tick.fg, tick.bg) else {
                    panic!("a tick has both colours");
                };
                assert!(contrast(fg, bg) >= 4.5, "{theme:?} {depth:?} tick {fill:?}");
            }
        }
    }
}

#[test]
fn without_colour_no_role_has_a_colour() {
    let look = Look {
        theme: Theme::Dark,
        depth: Depth::None,
        ascii: false,
    };
    for role in TEXT {
        assert_eq!(look.style(role).fg, None, "{role:?}");
        assert_eq!(look.style(role).bg, None, "{role:?}");
    }
    assert_eq!(look.selected().bg, None);
}

#[test]
fn the_depth_is_what_the_terminal_says_of_itself() {
    assert_eq!(
        Depth::choose(Some("1"), Some("truecolor"), Some("xterm")),
        Depth::None
    );
    assert_eq!(
        Depth::choose(Some(""), Some("truecolor"), Some("xterm")),
        Depth::True
    );
    assert_eq!(
        Depth::choose(None, None, Some("xterm-256color")),
        Depth::Indexed
    );
    assert_eq!(Depth::choose(None, None, Some("linux")), Depth::Sixteen);
    assert_eq!(Depth::choose(None, None, Some("dumb")), Depth::None);
    assert_eq!(Depth::choose(None, None, None), Depth::Sixteen);
}

#[test]
fn the_theme_follows_the_background_that_the_terminal_states() {
    assert_eq!(Theme::choose(Some("0;15")), Theme::Light);
    assert_eq!(Theme::choose(Some("15;0")), Theme::Dark);
    assert_eq!(Theme::choose(Some("0;default;15")), Theme::Light);
    assert_eq!(Theme::choose(Some("nonsense")), Theme::Dark);
    assert_eq!(Theme::choose(None), Theme::Dark);
}
