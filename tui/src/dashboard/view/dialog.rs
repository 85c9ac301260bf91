//! The question before an order: what it will do, to whom, and what undoes it.

use bb_proto::view::Enforcement;
use ratatui::layout::Rect;

use super::frame::{self, Said};
use super::row::enforcement_word;
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{self, Clean, clean};
use crate::dashboard::keys::Action;
use crate::dashboard::layout;
use crate::dashboard::msg::{Click, Deal};
use crate::dashboard::rows::{Bottle, Deed, Failure};
use crate::dashboard::state::{Aim, Dialog, State};
use crate::dashboard::theme::Role;
use crate::format;

/// How wide a question may be.
const WIDEST: u16 = 74;

pub(crate) fn draw(state: &State, dialog: &Dialog, canvas: &mut Canvas<'_>) {
    let verb = match dialog.deal {
        Deal::Cutoff => "Cut off",
        Deal::Restore => "Restore",
        Deal::Stop => "Stop",
    };
    let title = clean!("{verb} {}?", dialog.name.shortened(40));
    let mut lines = vec![Said::gap()];
    lines.extend(sentences(state, dialog));
    lines.push(Said::gap());
    let last = frame::draw(&title, &lines, WIDEST, layout::cursor_row(state), canvas);
    let yes = dialog.may_act(&state.fleet).then_some(dialog.deal.word());
    buttons(last, yes, dialog.on_yes, canvas);
}

fn sentences(state: &State, dialog: &Dialog) -> Vec<Said> {
    let text = |text: Clean| Said::new(text, Role::Text);
    let name = &dialog.name;
    match dialog.aim(&state.fleet) {
        Aim::Same => {}
        Aim::Ended => {
            return vec![Said::new(
                clean!("{name} has ended meanwhile; there is nothing to do."),
                Role::Warn,
            )];
        }
        Aim::Relaunched => {
            return vec![Said::new(
                clean!(
                    "{name} was launched again meanwhile: this is another run. Nothing is done."
                ),
                Role::Warn,
            )];
        }
        Aim::Gone => {
            return vec![Said::new(
                clean!("{name} is not there any more; there is nothing to do."),
                Role::Warn,
            )];
        }
    }
    let mut lines = Vec::new();
    match &dialog.forecast {
        None => lines.push(Said::new(
            clean!("asking the controller what this will do …"),
            Role::Muted,
        )),
        Some(Err(failure)) => {
            refusal(failure, &mut lines);
            return lines;
        }
        Some(Ok(deed)) => lines.extend(forecast(state, dialog, deed).into_iter().map(text)),
    }
    let Some(bottle) = state.fleet.bottle(&dialog.target.name) else {
        return lines;
    };
    lines.push(Said::gap());
    lines.push(Said::new(who(state, bottle), Role::Muted));
    if bottle.told.enforcement == Enforcement::Advisory && dialog.deal == Deal::Cutoff {
        lines.push(Said::new(
            clean!(
                "It is advisory: it has its own login and network, so what it sends past us goes on."
            ),
            Role::Warn,
        ));
    }
    let undo = match dialog.deal {
        Deal::Cutoff => "undo: X restore",
        Deal::Restore => "undo: x cut off",
        Deal::Stop => "undo: none, launch it again",
    };
    lines.push(Said::new(clean!("{undo}"), Role::Muted));
    lines
}

fn refusal(failure: &Failure, lines: &mut Vec<Said>) {
    match failure {
        Failure::Broken(why) | Failure::Unasked(why) => lines.push(Said::new(
            clean!("The controller did not say what this would do: {why}"),
            Role::Crit,
        )),
        Failure::Refused { text, hint, .. } => {
            lines.push(Said::new(clean!("It would be refused: {text}"), Role::Crit));
            if let Some(hint) = hint {
                lines.push(Said::new(hint.clone(), Role::Text));
            }
        }
    }
}

/// What the controller says it would do, in sentences.
fn forecast(state: &State, dialog: &Dialog, deed: &Deed) -> Vec<Clean> {
    let mut lines = Vec::new();
    let streams = match deed.streams_ended {
        0 => clean!("No stream is running."),
        1 => clean!("1 running stream ends now and is charged what it used."),
        many => clean!("{many} running streams end now and are charged what they used."),
    };
    match dialog.deal {
        _ if !deed.changed => lines.push(clean!("It is so already: nothing would change.")),
        Deal::Cutoff => {
            lines.push(streams);
            lines.push(clean!(
                "All its egress is closed until you restore it. Its processes live on."
            ));
        }
        Deal::Restore => {
            let bottle = state.fleet.bottle(&dialog.target.name);
            let budget = bottle.and_then(|bottle| state.fleet.binding(bottle));
            lines.push(match budget {
                Some(budget) => {
                    let left = budget.told.limit.minus(budget.told.used);
                    clean!(
                        "Its calls go through again; {} has {} left.",
                        budget.scope,
                        format::tokens(left.0)
                    )
                }
                None => clean!("Its calls go through again; no budget binds it."),
            });
        }
        Deal::Stop => {
            let bottle = state.fleet.bottle(&dialog.target.name);
            lines.push(match bottle.and_then(|bottle| bottle.told.process) {
                Some(_) => clean!("It is asked to end, and ended if it does not. Files stay."),
                None => clean!(
                    "It has no process of ours: its run ends here, its token is void, its calls are refused."
                ),
            });
            if deed.streams_ended > 0 {
                lines.push(streams);
            }
        }
    }
    if let Some(note) = &deed.note {
        lines.push(note.clone());
    }
    lines
}

fn who(state: &State, bottle: &Bottle) -> Clean {
    let mut parts = Vec::new();
    if let Some(agent) = &bottle.agent {
        parts.push(format!("agent {agent}"));
    }
    if let Some(provider) = state.fleet.provider(bottle) {
        parts.push(provider.to_string());
    }
    let used = format::tokens(bottle.told.used_run.0);
    parts.push(format!("{used} used in this run"));
    parts.push(enforcement_word(bottle.told.enforcement).to_owned());
    clean!("{}", parts.join(" · "))
}

/// The two buttons; the focused one is pointed at. Without a word for yes there is only the other.
pub(crate) fn buttons(
    area: Rect,
    yes: Option<&'static str>,
    on_yes: bool,
    canvas: &mut Canvas<'_>,
) {
    // Where both do not fit in brackets, their keys and words alone do.
    let narrow = area.width < 34;
    let yes_text = yes.map(|word| {
        if narrow {
            clean!("y {word}")
        } else {
            clean!("[ y  {word} ]")
        }
    });
    let no_text = match (yes.is_some(), narrow) {
        (true, false) => clean!("[ n  cancel ]"),
        (true, true) => clean!("n no"),
        (false, false) => clean!("[ n  close ]"),
        (false, true) => clean!("n close"),
    };
    let on_yes = on_yes && yes.is_some();
    let width = |text: &Clean| clean::width(text.as_str());
    let yes_width = yes_text.as_ref().map_or(0, |text| width(text) + 1);
    let gap = if area.width >= yes_width + width(&no_text) + 6 {
        5
    } else {
        1
    };
    let all = yes_width + gap + width(&no_text) + 1;
    let mut x = area.x + area.width.saturating_sub(all) / 2;
    let end = area.right();
    if let Some(text) = &yes_text {
        let role = if on_yes { Role::Accent } else { Role::Text };
        let taken = canvas.put(x, area.y, end.saturating_sub(x), text, role);
        canvas.hit(Rect::new(x, area.y, taken, 1), Click::Act(Action::Yes));
        x += taken;
        let pointer = if on_yes { "<" } else { " " };
        x += canvas.put(x, area.y, end.saturating_sub(x), pointer, Role::Accent) + gap;
    }
    let role = if on_yes { Role::Text } else { Role::Accent };
    let taken = canvas.put(x, area.y, end.saturating_sub(x), &no_text, role);
    canvas.hit(Rect::new(x, area.y, taken, 1), Click::Act(Action::No));
    if !on_yes {
        canvas.put(
            x + taken,
            area.y,
            end.saturating_sub(x + taken),
            "<",
            Role::Accent,
        );
    }
}
