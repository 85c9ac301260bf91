//! Faults that are planted in the simulated shell, so that the laws are seen to find them.

/// What the shell does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A charge is not sent, and the end of the answer is shown.
    LostSettle,
    /// A group that is written again after an error is applied again.
    DoubleApply,
    /// A client that leaves while it waits takes nothing back.
    LeakedReservation,
    /// The clock is read wrongly now and then, ahead by more than an hour.
    EarlyWindow,
    /// A call whose client leaves while the answer flows is taken back.
    VoidAfterBytes,
}
