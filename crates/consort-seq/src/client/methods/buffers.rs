//! The client's own buffers: their sizes, and discarding what is in them.

use super::ClientBase;
use crate::client::error::{Failure, OperationName, Outcome, Result, Subject};
use crate::client::info::{RemoveCondition, RemoveEvents};
use crate::raw;

impl ClientBase {
    /// The size of the output buffer in bytes; initially 16 KiB.
    #[must_use]
    pub fn get_output_buffer_size(&self) -> usize {
        self.core.output().capacity()
    }

    /// Sets the size of the output buffer in bytes. Events in the buffer are kept.
    ///
    /// # Errors
    /// `EINVAL` if the size is less than one event (28 bytes) or less than what is waiting, or if
    /// there is not enough memory.
    pub fn set_output_buffer_size(&self, size: usize) -> Result<()> {
        self.resize_output_buffer(size).during("set_output_buffer_size")
    }

    fn resize_output_buffer(&self, size: usize) -> Outcome<()> {
        self.core.check_open()?;
        check_size(size)?;
        let mut output = self.core.output();
        if output.set_capacity(size) {
            return Ok(());
        }
        let used = output.used();
        let note = if used > size {
            format!("{used} bytes are waiting in the buffer, more than {size}; drain it first")
        } else {
            format!("there is not enough memory for {size} bytes")
        };
        Err(Failure::invalid(Subject::None, note))
    }

    /// The size of the input buffer in bytes; initially 14000 (500 cells). The buffer grows
    /// automatically for an event that is longer.
    #[must_use]
    pub fn get_input_buffer_size(&self) -> usize {
        self.core.input().size()
    }

    /// Sets the size of the input buffer in bytes, rounded up to whole cells of 28 bytes. Events
    /// in the buffer are kept.
    ///
    /// # Errors
    /// `EINVAL` if the size is less than one event (28 bytes).
    pub fn set_input_buffer_size(&self, size: usize) -> Result<()> {
        self.core.check_open().and_then(|()| check_size(size)).during("set_input_buffer_size")?;
        let cell = raw::Event::SIZE;
        self.core.input().set_size(size.checked_next_multiple_of(cell).unwrap_or(size));
        Ok(())
    }

    /// Discards the events in the output buffer.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn drop_output_buffer(&self) -> Result<()> {
        self.core.check_open().during("drop_output_buffer")?;
        self.core.output().clear();
        Ok(())
    }

    /// Discards the events in the output buffer, and those of this client that wait in queues.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn drop_output(&self) -> Result<()> {
        self.drop_output_buffer()?;
        self.core.remove_events(&RemoveEvents::output()).during("drop_output")
    }

    /// Discards the events in the input buffer.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn drop_input_buffer(&self) -> Result<()> {
        self.core.check_open().during("drop_input_buffer")?;
        self.core.input().clear();
        Ok(())
    }

    /// Discards all input, in the input buffer and in the sequencer.
    ///
    /// # Errors
    /// If the client is closed.
    pub fn drop_input(&self) -> Result<()> {
        self.drop_input_buffer()?;
        self.core.remove_events(&RemoveEvents::input()).during("drop_input")
    }

    /// Removes selected events from the output buffer and the queues; with
    /// [`RemoveCondition::INPUT`], also removes all input (`SNDRV_SEQ_IOCTL_REMOVE_EVENTS`).
    ///
    /// # Errors
    /// If the client is closed.
    pub fn remove_events(&self, remove: &RemoveEvents) -> Result<()> {
        let operation = "remove_events";
        self.core.check_open().during(operation)?;
        if remove.condition.contains(RemoveCondition::INPUT) {
            self.core.input().clear();
        }
        if remove.condition.contains(RemoveCondition::OUTPUT) {
            self.core.output().remove_if(|event| remove.matches(event));
        }
        self.core.remove_events(remove).during(operation)
    }
}

/// Fails if a buffer of `size` bytes is too small for one event.
fn check_size(size: usize) -> Outcome<()> {
    if size >= raw::Event::SIZE {
        return Ok(());
    }
    let note = format!("{size} bytes are less than one event ({} bytes)", raw::Event::SIZE);
    Err(Failure::invalid(Subject::None, note))
}
