//! No bottle yet: the next command is on the screen.

use ratatui::layout::Rect;

use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::layout;
use crate::dashboard::state::{Link, State};
use crate::dashboard::theme::Role;

pub(crate) fn draw(state: &State, canvas: &mut Canvas<'_>) {
    let regions = layout::regions(state);
    let top = regions.next_out.y + 1;
    let bottom = canvas.area().height.saturating_sub(1);
    let area = Rect::new(3, top, canvas.area().width.saturating_sub(4), 0);
    let lines = if state.head.is_some() {
        no_bottles()
    } else {
        no_controller(state)
    };
    for (y, (text, role)) in (top + 1..bottom).zip(lines) {
        canvas.put(area.x, y, area.width, &text, role);
    }
}

fn no_bottles() -> Vec<(Clean, Role)> {
    let text = |text: &'static str| (clean!("{text}"), Role::Text);
    let accent = |text: &'static str| (clean!("{text}"), Role::Accent);
    vec![
        text("No bottles yet."),
        text(""),
        text("Put an agent under budget, in any terminal on this host:"),
        text(""),
        accent("  bb-ctl run -- claude                     an agent in that terminal"),
        accent("  bb-ctl register NAME                     anything else: a token and env"),
        text(""),
        text("With a budget of its own:  bb-ctl run --budget claude=200k -- claude"),
        text(""),
        text("It appears here by itself. The budgets above hold for it at once."),
    ]
}

fn no_controller(state: &State) -> Vec<(Clean, Role)> {
    let socket = &state.start.socket;
    // The socket is in a directory of its home.
    let home = std::path::Path::new(socket.as_str()).ancestors().nth(2);
    let home = home.map_or_else(String::new, |home| format!(" --home {}", home.display()));
    match &state.link {
        Link::Down { why, .. } => vec![
            (clean!("No controller answers."), Role::Crit),
            (Clean::default(), Role::Text),
            (clean!("socket  {socket}"), Role::Muted),
            (clean!("reason  {why}"), Role::Muted),
            (Clean::default(), Role::Text),
            (
                clean!("Start it, in any terminal on this host:"),
                Role::Text,
            ),
            (Clean::default(), Role::Text),
            (clean!("  bb-controller{home}"), Role::Accent),
            (Clean::default(), Role::Text),
            (
                clean!("This screen goes on by itself once it answers."),
                Role::Text,
            ),
        ],
        _ => vec![(clean!("asking the controller at {socket}"), Role::Muted)],
    }
}
