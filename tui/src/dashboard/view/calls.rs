//! The calls of a bottle that were resolved, newest first.

use bb_proto::reply::Ending;
use ratatui::layout::Rect;

use super::happenings;
use crate::dashboard::canvas::Canvas;
use crate::dashboard::clean::{Clean, clean};
use crate::dashboard::rows::{Bottle, Call};
use crate::dashboard::state::{State, Tab};
use crate::dashboard::theme::Role;
use crate::format;

/// From this width up there is a column for reasoning, and whole model names.
const WIDE_FROM: u16 = 100;

pub(crate) fn draw(state: &State, bottle: &Bottle, area: Rect, canvas: &mut Canvas<'_>) {
    if area.height == 0 {
        return;
    }
    let wide = area.width >= WIDE_FROM;
    let columns = columns(wide);
    let line = |y: u16| Line {
        x: area.x,
        y,
        width: area.width,
    };
    for column in &columns {
        line(area.y).put(column, &clean!("{}", column.header), Role::Muted, canvas);
    }
    let Some(rows) = state.pane.calls.of(&bottle.told.name) else {
        return;
    };
    let area = Rect::new(area.x, area.y + 1, area.width, area.height - 1);
    if let Some(failure) = &state.pane.calls.failure {
        return happenings::failure(failure, area, canvas);
    }
    if rows.is_empty() && area.height > 0 {
        canvas.put(
            area.x + 1,
            area.y,
            area.width,
            "no call has ended yet",
            Role::Muted,
        );
    }
    let skip = if state.pane.tab == Tab::Calls {
        state.pane.scroll
    } else {
        0
    };
    for (y, call) in (area.top()..area.bottom()).zip(rows.iter().skip(skip)) {
        for column in &columns {
            let (text, role) = text(state, call, column);
            line(y).put(column, &text, role, canvas);
        }
    }
}

#[derive(Clone, Copy)]
enum What {
    Started,
    Model,
    Input,
    CacheRead,
    CacheWrite,
    Output,
    Reasoning,
    Charge,
    Took,
    Ending,
}

struct Column {
    what: What,
    header: &'static str,
    x: u16,
    width: u16,
    is_right: bool,
}

fn columns(wide: bool) -> Vec<Column> {
    let model = if wide { 17 } else { 14 };
    let all = [
        (What::Started, "STARTED", if wide { 9 } else { 8 }, false),
        (What::Model, "MODEL", model, false),
        (What::Input, "INPUT", 6, true),
        (What::CacheRead, "CACHE_R", 7, true),
        (What::CacheWrite, "CACHE_W", 7, true),
        (What::Output, "OUTPUT", 6, true),
        (What::Reasoning, "(REASONING)", 11, false),
        (What::Charge, "CHARGE", if wide { 7 } else { 6 }, true),
        (What::Took, "TOOK", if wide { 8 } else { 6 }, true),
        (What::Ending, "ENDING", u16::MAX / 2, false),
    ];
    let mut x = 1;
    all.into_iter()
        .filter(|(what, ..)| wide || !matches!(what, What::Reasoning))
        .map(|(what, header, width, is_right)| {
            let column = Column {
                what,
                header,
                x,
                width,
                is_right,
            };
            x += width.min(1000) + 1;
            column
        })
        .collect()
}

#[derive(Clone, Copy)]
struct Line {
    x: u16,
    y: u16,
    width: u16,
}

impl Line {
    fn put(self, column: &Column, text: &Clean, role: Role, canvas: &mut Canvas<'_>) {
        let room = self.width.saturating_sub(column.x).min(column.width);
        if column.is_right {
            canvas.put_right(self.x + column.x, self.y, room, text, role);
        } else {
            canvas.put(self.x + column.x, self.y, room, text, role);
        }
    }
}

fn text(state: &State, call: &Call, column: &Column) -> (Clean, Role) {
    let count = |stated: Option<u64>| match stated {
        None => (clean!("-"), Role::Muted),
        Some(tokens) => (clean!("{}", format::tokens(tokens)), Role::Text),
    };
    match column.what {
        What::Started => (state.zone().clock(call.started_at), Role::Muted),
        What::Model => (call.model.shortened(column.width), Role::Text),
        What::Input => count(call.usage.input),
        What::CacheRead => count(call.usage.cache_read),
        What::CacheWrite => count(call.usage.cache_write),
        What::Output => count(call.usage.output),
        What::Reasoning => match call.usage.reasoning {
            None | Some(0) => (Clean::default(), Role::Muted),
            Some(tokens) => (clean!("({})", format::tokens(tokens)), Role::Muted),
        },
        What::Charge => (clean!("{}", format::tokens(call.charge)), Role::Text),
        What::Took => {
            let ms = call.ended_at.since(call.started_at).0;
            let took = match ms {
                0..600_000 => clean!("{}.{}s", ms / 1000, ms % 1000 / 100),
                _ => clean!("{}", format::duration_ms(ms)),
            };
            (took, Role::Muted)
        }
        What::Ending => ending(call),
    }
}

fn ending(call: &Call) -> (Clean, Role) {
    let status = call
        .status
        .map_or_else(Clean::default, |status| clean!(" {status}"));
    let (text, role) = match call.ending {
        Ending::Complete => (clean!("done"), Role::Muted),
        Ending::ProviderError => (clean!("provider's error"), Role::Warn),
        Ending::Refused => (clean!("upstream{status}"), Role::Warn),
        Ending::ClientGone => (clean!("client left"), Role::Muted),
        Ending::UpstreamGone => (clean!("upstream gone"), Role::Warn),
        Ending::Cut => (clean!("cut off"), Role::Crit),
        Ending::Background => (clean!("in the background"), Role::Muted),
        Ending::Crash => (clean!("controller ended"), Role::Warn),
        Ending::Outside => (clean!("outside the proxy"), Role::Muted),
        Ending::Voided => (clean!("upstream{status}, void"), Role::Muted),
        _ => (clean!("?"), Role::Muted),
    };
    if call.estimated {
        (clean!("{text}, est."), role)
    } else {
        (text, role)
    }
}
