//! What each key and each hint under the mouse does.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent};

use super::steps::{Step, step};
use super::{acts, changed, in_table, remake, typing};
use crate::dashboard::keys::{self, Action};
use crate::dashboard::layout;
use crate::dashboard::msg::{Deal, Effect};
use crate::dashboard::state::{Changed, Fold, Line, Link, Overlay, Prompt, State, Tab};

/// A key was pressed.
pub(crate) fn key(state: &mut State, key: &KeyEvent) -> Vec<Effect> {
    if key.kind == crossterm::event::KeyEventKind::Release {
        return Vec::new();
    }
    if state.prompt.is_some() {
        return typing::key(state, key);
    }
    if matches!(state.overlay, Some(Overlay::Raise(_))) && typing::raise_key(state, key) {
        return Vec::new();
    }
    if matches!(state.link, Link::OtherVersion(_)) && key.code == KeyCode::Char('r') {
        return vec![Effect::Reconnect(Duration::ZERO)];
    }
    match keys::action(state.mode(), key, state.start.read_only) {
        Some(action) => act(state, action),
        None => Vec::new(),
    }
}

/// Does what an action says, in the mode there is.
pub(crate) fn act(state: &mut State, action: Action) -> Vec<Effect> {
    if action != Action::Urgent {
        state.table.urgent_steps = 0;
    }
    match action {
        Action::Cutoff => return acts::ask(state, Deal::Cutoff),
        Action::Restore => return acts::ask(state, Deal::Restore),
        Action::Stop => return acts::ask(state, Deal::Stop),
        Action::Raise => acts::ask_raise(state),
        Action::Yes => return acts::confirm(state),
        Action::No => state.overlay = None,
        Action::Press => return press_button(state),
        Action::NextButton => {
            if let Some(Overlay::Dialog(dialog)) = &mut state.overlay {
                dialog.on_yes = !dialog.on_yes;
            }
        }
        Action::Down => return step(state, Step::By(1)),
        Action::Up => return step(state, Step::By(-1)),
        Action::First => return step(state, Step::First),
        Action::Last => return step(state, Step::Last),
        Action::HalfDown => return step(state, Step::HalfPage(1)),
        Action::HalfUp => return step(state, Step::HalfPage(-1)),
        Action::Fold => fold(state),
        Action::Unfold => unfold(state),
        Action::TreeOrFlat => {
            state.table.shape.flat = !state.table.shape.flat;
            remake(state);
        }
        Action::FoldAll => fold_all(state),
        Action::Urgent => urgent(state),
        Action::Details => details(state),
        Action::FirstTab => tab(state, Tab::Budgets),
        Action::SecondTab => tab(state, Tab::Calls),
        Action::ThirdTab => tab(state, Tab::Audit),
        Action::NextTab => tab(state, state.pane.tab.beside(true)),
        Action::PrevTab => tab(state, state.pane.tab.beside(false)),
        Action::Focus => {
            state.pane.focused = !state.pane.focused && layout::regions(state).pane.height > 1;
        }
        Action::Filter => {
            let text = match &state.log.matching {
                Some(pattern) if state.log.open => pattern.clone(),
                _ if state.log.open => String::new(),
                _ => state.filter_text.clone(),
            };
            state.prompt = Some(Prompt::new(&text));
        }
        Action::Events => state.log.open = !state.log.open,
        Action::Theme => state.start.look.theme = state.start.look.theme.other(),
        Action::Mouse => {
            state.start.mouse = !state.start.mouse;
            return vec![Effect::Mouse(state.start.mouse)];
        }
        Action::Reconnect => {
            if !matches!(state.link, Link::Up) {
                return vec![Effect::Reconnect(Duration::ZERO)];
            }
        }
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Help => {
            state.overlay = match state.overlay {
                Some(Overlay::Help { .. }) => None,
                _ => Some(Overlay::Help { scroll: 0 }),
            };
        }
        Action::Back => back(state),
        Action::Quit => return vec![Effect::Quit],
    }
    Vec::new()
}

fn press_button(state: &mut State) -> Vec<Effect> {
    match &state.overlay {
        Some(Overlay::Dialog(dialog)) if !dialog.on_yes => {
            state.overlay = None;
            Vec::new()
        }
        _ => acts::confirm(state),
    }
}

fn line(state: &State) -> Option<&Line> {
    state.table.lines().get(state.table.at())
}

fn fold(state: &mut State) {
    let Some(line) = line(state) else {
        return;
    };
    let (name, open) = (line.name.clone(), line.fold.is_some_and(|fold| fold.open));
    if open {
        state.table.shape.folded.insert(name);
        remake(state);
    } else if line.depth > 0 {
        let parent = state
            .fleet
            .bottle(&name)
            .and_then(|bottle| bottle.told.parents.last().cloned());
        let height = layout::table_height(state);
        if let Some(parent) = parent {
            state.table.go_to(&parent, height);
        }
    }
}

fn unfold(state: &mut State) {
    if let Some(name) = line(state).map(|line| line.name.clone())
        && state.table.shape.folded.remove(&name)
    {
        remake(state);
    }
}

fn fold_all(state: &mut State) {
    if state.table.shape.folded.is_empty() {
        let heads: Vec<_> = state
            .table
            .lines()
            .iter()
            .filter(|line| matches!(line.fold, Some(Fold { open: true, .. })))
            .map(|line| line.name.clone())
            .collect();
        state.table.shape.folded.extend(heads);
    } else {
        state.table.shape.folded.clear();
    }
    remake(state);
}

/// To the most urgent bottle; pressed again, to the next one.
fn urgent(state: &mut State) {
    if state.log.open {
        state.log.open = false;
    }
    let names = state.table.order.names();
    let steps = state.table.urgent_steps;
    let Some(name) = names.get(steps % names.len().max(1)).cloned() else {
        return;
    };
    let mut above = name.clone();
    let mut opened = false;
    for _ in 0..64 {
        let parent = state
            .fleet
            .bottle(&above)
            .and_then(|b| b.told.parents.last());
        let Some(parent) = parent.cloned() else {
            break;
        };
        opened |= state.table.shape.folded.remove(&parent);
        above = parent;
    }
    if opened {
        remake(state);
    }
    let height = layout::table_height(state);
    if state.table.go_to(&name, height) {
        state.table.urgent_steps = steps + 1;
    }
}

fn details(state: &mut State) {
    if state.log.open {
        let bottle = state
            .log
            .rows
            .get(state.log.cursor)
            .and_then(|row| row.bottle.as_ref().map(|(name, _)| name.clone()));
        if let Some(name) = bottle {
            state.log.open = false;
            let height = layout::table_height(state);
            state.table.go_to(&name, height);
        }
        return;
    }
    state.pane.zoomed = !state.pane.zoomed;
    state.pane.focused = false;
    rescroll(state);
}

fn tab(state: &mut State, tab: Tab) {
    if state.pane.tab != tab {
        state.pane.tab = tab;
        state.pane.scroll = 0;
    }
}

/// One step back; never out.
fn back(state: &mut State) {
    if state.overlay.take().is_some() {
        return;
    }
    if state.log.open {
        state.log.open = false;
    } else if state.pane.zoomed || state.pane.focused {
        state.pane.zoomed = false;
        state.pane.focused = false;
    } else if in_table(state) && !state.table.filter.is_empty() {
        state.filter_text.clear();
        state.table.filter = crate::dashboard::state::Filter::default();
        remake(state);
    }
    rescroll(state);
}

/// The table has another height: its cursor stays in sight.
pub(crate) fn rescroll(state: &mut State) {
    let height = layout::table_height(state);
    state.table.scroll_to_cursor(height);
    changed(state, Changed::Input);
}
