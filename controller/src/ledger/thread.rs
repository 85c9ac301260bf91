//! The ledger's thread: takes all letters that wait, works, sleeps until the next.

use std::sync::atomic::Ordering;

use super::Shared;

pub(super) fn run(shared: &Shared) {
    loop {
        let deadline = shared.lock_owner().next_deadline();
        let Some(letters) = shared.mailbox.take(deadline) else {
            break;
        };
        let mut owner = shared.lock_owner();
        owner.work(letters, &shared.outside);
        owner.tidy(&shared.outside);
    }
    shared.outside.ended.store(true, Ordering::Relaxed);
    let mut owner = shared.lock_owner();
    owner.work(Vec::new(), &shared.outside);
}
