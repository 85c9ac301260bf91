//! What follows when the host's clock is put forward or back.

use bb_proto::event::EventKind;
use bb_proto::time::Timestamp;

use super::{Book, Entry};

impl Book {
    /// Takes a jump of the clock by so many milliseconds, forward or back: what lasts a time lasts
    /// as long as it would have, and rates begin anew. Windows go by the latest instant seen.
    pub fn clock_jumped(&mut self, by: i64, now: Timestamp) {
        if by < 0 {
            self.commit(Entry::Seen(self.windows.latest()));
        }
        self.queue.move_deadlines(by);
        self.sidecars.move_times(by);
        self.refused.clear();
        self.forget_rates(now);
        for open in self.open.iter_mut() {
            open.marked_at = None;
        }
        self.touch_all();
        let seconds = by.checked_div(1_000).unwrap_or(0);
        let (way, seconds) = if seconds < 0 {
            ("back", seconds.unsigned_abs())
        } else {
            ("forward", seconds.unsigned_abs())
        };
        let text = format!("the host's clock went {way} by {seconds} s");
        self.note(now, EventKind::Clock, text);
        self.turn(now);
    }
}
