//! What is reported about the sources of a universe: a lost source, and too many of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use consort_router::WarnOnce;

use super::merge::{Acceptance, MAX_SOURCES, Merger};

/// The least time between two log lines about sources that come and go.
const SOURCE_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What was reported about the sources of one universe.
#[derive(Debug, Default)]
pub(super) struct SourceReport {
    /// Whether frames have arrived since all sources were silent.
    is_receiving: bool,
    /// Whether the universe was received and is not any more.
    is_lost: bool,
    /// Whether further sources are ignored or have replaced others.
    is_full: bool,
    full: WarnOnce,
    logged: Option<Instant>,
    /// Whether the note has changed since it was last set.
    pub(super) has_news: bool,
}

impl SourceReport {
    /// Whether a line about sources may be logged now.
    fn may_log(&mut self, now: Instant) -> bool {
        let is_due = self
            .logged
            .is_none_or(|time| now.saturating_duration_since(time) >= SOURCE_LOG_INTERVAL);
        if is_due {
            self.logged = Some(now);
        }
        is_due
    }

    /// Takes note of a frame.
    pub(super) fn after_frame(
        &mut self,
        instance: &str,
        acceptance: Acceptance,
        priority: u8,
        from: SocketAddr,
        now: Instant,
    ) {
        match acceptance {
            Acceptance::OutOfOrder => return,
            Acceptance::Accepted => {}
            Acceptance::Replaced | Acceptance::TooManySources => {
                self.has_news |= !self.is_full;
                self.is_full = true;
                if self.full.is_first() {
                    let action = match acceptance {
                        Acceptance::Replaced => "replaces one of lower priority",
                        _ => "is ignored",
                    };
                    tracing::warn!(
                        instance,
                        "more than {MAX_SOURCES} sources send this universe: the one at {from} \
                         (priority {priority}) {action}; further ones are only counted"
                    );
                }
            }
        }
        if !self.is_receiving {
            self.is_receiving = true;
            if std::mem::take(&mut self.is_lost) {
                self.has_news = true;
                if self.may_log(now) {
                    tracing::info!(instance, "the universe is received again, from {from}");
                }
            }
        }
    }

    /// Takes note of the sources that were found silent: `lost` of several were removed, and
    /// `is_silent` tells whether no source is left.
    pub(super) fn after_sweep(
        &mut self,
        instance: &str,
        merger: &Merger,
        lost: usize,
        is_silent: bool,
        now: Instant,
    ) {
        if self.is_full && merger.source_count() < MAX_SOURCES {
            self.is_full = false;
            self.full.reset();
            self.has_news = true;
        }
        if is_silent && self.is_receiving {
            self.is_receiving = false;
            self.is_lost = true;
            self.has_news = true;
            if self.may_log(now) {
                tracing::warn!(
                    instance,
                    "the universe is not received any more; its last values are kept"
                );
            }
        } else if lost > 0 && !is_silent && self.may_log(now) {
            let count = merger.source_count();
            let plural = if count == 1 { "source sends" } else { "sources send" };
            tracing::warn!(instance, "a source was lost; {count} {plural} this universe");
        }
    }

    /// What views show beside the state.
    pub(super) fn note(&self) -> Option<String> {
        match (self.is_lost, self.is_full) {
            (true, _) => Some("not received any more; the last values are kept".to_owned()),
            (false, true) => Some(format!(
                "more than {MAX_SOURCES} sources; those of the lowest priority are ignored"
            )),
            (false, false) => None,
        }
    }
}
