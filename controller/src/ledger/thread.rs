//! The ledger's thread: takes all letters that wait, works, sleeps until the next.

use std::sync::atomic::Ordering;

use super::Shared;
use super::rolling::Rolling;

pub(super) fn run(shared: &Shared) {
    let mut rolling = Rolling::default();
    loop {
        let deadline = shared.lock_owner().next_deadline();
        let deadline = deadline.into_iter().chain(rolling.wait()).min();
        let Some(letters) = shared.mailbox.take(deadline) else {
            break;
        };
        let mut owner = shared.lock_owner();
        owner.work(letters, &shared.outside);
        owner.tidy(&shared.outside);
        if let Some(kept) = rolling.due(&shared.outside.keeping, shared.mailbox.is_quiet()) {
            rolling.went(owner.roll_up(kept, &shared.outside));
        }
    }
    shared.outside.ended.store(true, Ordering::Relaxed);
    let mut owner = shared.lock_owner();
    owner.work(Vec::new(), &shared.outside);
}
