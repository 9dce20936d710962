//! The event memory of a client, counted in cells as the kernel does, and its input queue.

use std::collections::VecDeque;

use crate::engine::Errno;
use crate::raw::Event;

/// The maximum number of cells of a pool.
pub(super) const MAX_POOL_CELLS: u32 = 2000;
/// Cells of an output pool until the client changes it.
pub(super) const DEFAULT_OUTPUT_CELLS: u32 = 500;
/// Cells of an input pool until the client changes it.
pub(super) const DEFAULT_INPUT_CELLS: u32 = 200;

/// An event that the sequencer stores, with its variable data.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) event: Event,
    pub(super) data: Option<Box<[u8]>>,
    /// Cells that the event occupies in its pool.
    pub(super) cells: u32,
}

impl Stored {
    pub(super) fn data(&self) -> &[u8] {
        self.data.as_deref().unwrap_or(&[])
    }
}

/// The counters of a pool. The memory itself belongs to the queues that hold the events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    /// Cells of the pool once it is set up.
    pub(super) size: u32,
    /// Cells of the pool at present: none until it is set up.
    pub(super) total: u32,
    /// The client is writable while at least this many cells are free.
    pub(super) room: u32,
    /// Cells in use.
    pub(super) used: u32,
    /// The highest number of cells that were in use, for the listing.
    pub(super) peak: u32,
}

impl Pool {
    pub(super) const fn new(size: u32) -> Self {
        Self { size, total: 0, room: 0, used: 0, peak: 0 }
    }

    /// Sets the pool up, as the first write does.
    pub(super) const fn set_up(&mut self) {
        self.total = self.size;
        self.room = self.size.div_ceil(2);
        self.peak = 0;
    }

    pub(super) const fn is_set_up(&self) -> bool {
        self.total > 0
    }

    pub(super) const fn free_cells(&self) -> u32 {
        self.total.saturating_sub(self.used)
    }

    /// Whether the client is writable.
    pub(super) const fn has_room(&self) -> bool {
        self.free_cells() >= self.room
    }

    /// Allocates the cells of an event, and returns their number.
    pub(super) fn allocate(&mut self, data_cells: u32) -> Result<u32, Errno> {
        if data_cells >= self.total {
            return Err(Errno::NO_MEMORY);
        }
        let cells = data_cells + 1;
        if cells > self.free_cells() {
            return Err(Errno::WOULD_BLOCK);
        }
        self.used += cells;
        self.peak = self.peak.max(self.used);
        Ok(cells)
    }

    pub(super) const fn free(&mut self, cells: u32) {
        self.used = self.used.saturating_sub(cells);
    }
}

/// Cells that variable data occupies in addition to the event's own cell.
pub(super) const fn cells_of_data(length: usize) -> u32 {
    length.div_ceil(Event::SIZE) as u32
}

/// The input queue of a client.
#[derive(Debug)]
pub(super) struct Fifo {
    pub(super) pool: Pool,
    events: VecDeque<Stored>,
    /// Set when the queue was too full for an event; the next read reports it.
    overrun: bool,
}

impl Fifo {
    pub(super) fn new() -> Self {
        let mut pool = Pool::new(DEFAULT_INPUT_CELLS);
        pool.set_up();
        Self { pool, events: VecDeque::with_capacity(pool.size as usize), overrun: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn push(&mut self, event: &Event, data: &[u8], cells: u32) -> Result<(), Errno> {
        match self.pool.allocate(cells) {
            Ok(cells) => {
                let data = event.is_variable().then(|| Box::from(data));
                self.events.push_back(Stored { event: *event, data, cells });
                Ok(())
            }
            Err(errno) => {
                self.overrun = true;
                Err(errno)
            }
        }
    }

    /// Cells of all events in the queue.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn cells(&self) -> u32 {
        self.events.iter().map(|stored| stored.cells).sum()
    }

    pub(super) fn front(&self) -> Option<&Stored> {
        self.events.front()
    }

    pub(super) fn remove_front(&mut self) {
        if let Some(stored) = self.events.pop_front() {
            self.pool.free(stored.cells);
        }
    }

    /// Whether events were lost; if so, clears the queue and the mark.
    pub(super) fn take_overrun(&mut self) -> bool {
        let overrun = self.overrun;
        if overrun {
            self.clear();
        }
        overrun
    }

    pub(super) fn clear(&mut self) {
        self.overrun = false;
        self.events.clear();
        self.pool.used = 0;
    }

    /// Changes the size. This discards all events in the queue, as on the kernel.
    pub(super) fn resize(&mut self, size: u32) {
        self.events.clear();
        self.pool = Pool::new(size);
        self.pool.set_up();
    }
}
