//! The life of a server: whether its last start succeeded, and how its last connection ended.
//!
//! A life begins when a start is accepted and ends when the connection is offline again. A start
//! that is rejected, because the server is online for example, does not touch the life that runs.

use std::collections::VecDeque;

use super::{Connection, Event};
use crate::error::{Error, ErrorKind};
use crate::lifecycle::LifecycleEvent;

/// What is known of the current life.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// How many lives have begun.
    count: u64,
    /// Whether the start succeeded, once it has finished.
    started: Option<bool>,
    /// Whether the connection was closed in good order, once it has ended.
    ended: Option<bool>,
    /// The server or the connection was lost, or the start failed.
    was_lost: bool,
    /// Results, which are reported after the events that led to them.
    results: VecDeque<Event>,
}

impl Life {
    /// A start was accepted.
    pub(super) fn begin(&mut self) {
        let results = std::mem::take(&mut self.results);
        *self = Self { count: self.count + 1, results, ..Self::default() };
    }

    /// Notes the events that end a life in disorder.
    pub(super) fn note(&mut self, event: LifecycleEvent) {
        if matches!(event, LifecycleEvent::OscPanicked | LifecycleEvent::ProcessPanicked) {
            self.was_lost = true;
        }
    }

    /// The start failed without such an event.
    pub(super) fn note_failure(&mut self) {
        self.was_lost = true;
    }

    /// The next result to report.
    pub(super) fn next_result(&mut self) -> Option<Event> {
        self.results.pop_front()
    }

    /// Whether there is a result to report.
    pub(super) fn has_results(&self) -> bool {
        !self.results.is_empty()
    }

    /// The number of the current life, from 1. Before the first start it is that of the first.
    fn number(&self) -> u64 {
        self.count.max(1)
    }
}

impl Connection {
    /// The number of the current life, and whether its start succeeded, once it has finished.
    /// [`Event::Started`] reports it.
    pub fn start_result(&self) -> (u64, Option<bool>) {
        (self.life.number(), self.life.started)
    }

    /// The number of the current life, and whether it was closed in good order, once it has ended.
    /// [`Event::Ended`] reports it.
    pub fn end_result(&self) -> (u64, Option<bool>) {
        (self.life.number(), self.life.ended)
    }

    /// The start has finished. Only the first call in a life has an effect.
    pub(super) fn finish_start(&mut self, success: bool) {
        if self.life.started.is_none() {
            self.life.started = Some(success);
            self.life.results.push_back(Event::Started(self.life.number(), success));
        }
    }

    /// The connection is offline. Only the first call in a life has an effect.
    pub(super) fn end_life(&mut self) {
        self.finish_start(false);
        if self.life.ended.is_none() {
            let in_order = !self.life.was_lost;
            self.life.ended = Some(in_order);
            self.life.results.push_back(Event::Ended(self.life.number(), in_order));
        }
    }

    /// The driver ends, in whatever phase: everything that waits gets its last event.
    pub fn abandon(&mut self) {
        let error = Error::new(ErrorKind::ServerOffline, "the server object was dropped");
        self.fail_start(error.clone());
        let commands = [self.start_command.take(), self.end_command.take()];
        for command in commands.into_iter().flatten() {
            self.events.push_back(Event::Completed(command, Err(error.clone())));
        }
        self.end_waits(&error);
        self.life.note_failure();
        self.end_life();
    }
}
