//! The controller speaks another version of the messages: nothing is shown rather than shown wrong.

use bb_proto::version::{PROTOCOL, VERSION};

use super::frame::{self, Said};
use super::{footer, title};
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::clean;
use crate::dashboard::layout;
use crate::dashboard::state::{Link, State};
use crate::dashboard::theme::Role;

pub(crate) fn draw(state: &State, canvas: &mut Canvas<'_>) {
    title::draw(state, layout::regions(state).title, canvas);
    footer::draw(state, canvas);
    let Link::OtherVersion(greeting) = &state.link else {
        return;
    };
    let text = |text| Said::new(text, Role::Text);
    let muted = |text| Said::new(text, Role::Muted);
    let lines = [
        Said::gap(),
        text(clean!(
            "The controller speaks protocol {}; this bb-dash speaks {PROTOCOL}.",
            greeting.protocol
        )),
        text(clean!("Nothing is shown rather than shown wrong.")),
        Said::gap(),
        muted(clean!(
            "controller  {}  pid {}  {}",
            greeting.version,
            greeting.pid,
            greeting.home
        )),
        muted(clean!("bb-dash     {VERSION}")),
        Said::gap(),
        text(clean!(
            "Install the bb-dash of the controller, then start it again."
        )),
        text(clean!(
            "Budgets are enforced by the controller all the same."
        )),
        Said::gap(),
    ];
    let last = frame::draw(&clean!("Another version"), &lines, 66, None, canvas);
    canvas.put(
        last.x,
        last.y,
        last.width,
        "[ r retry ]   [ q quit ]",
        Role::Accent,
    );
}
