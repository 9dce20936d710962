//! Reporting a condition the first time and counting it afterwards.

/// Lets one report of a recurring condition through, and counts how often it occurred.
///
/// What can happen thousands of times a second (a full queue, an invalid packet) must not fill
/// the log. One `WarnOnce` belongs to one condition of one instance.
///
/// ```
/// # use consort_router::WarnOnce;
/// let mut full = WarnOnce::default();
/// for _ in 0..3 {
///     if full.is_first() {
///         // tracing::warn!("the queue is full; further events are dropped and counted");
///     }
/// }
/// assert_eq!(full.count(), 3);
/// full.reset();
/// assert!(full.is_first());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct WarnOnce {
    count: u64,
}

impl WarnOnce {
    /// Counts an occurrence. True for the first one since the start or the last
    /// [`reset`](Self::reset): the caller reports that one. Does not allocate.
    #[inline]
    pub fn is_first(&mut self) -> bool {
        self.count = self.count.saturating_add(1);
        self.count == 1
    }

    /// How often the condition occurred since the start or the last reset.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Starts again: the condition has ended, and its next occurrence is reported.
    pub fn reset(&mut self) {
        self.count = 0;
    }
}
