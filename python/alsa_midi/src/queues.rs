//! The methods of a queue's handle.

use consort_seq::{ErrorKind, QueueInfo, QueueTempo, QueueTimer, QueueTimerType, TimerId};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::client::Client;
use crate::errors::OrRaise;
use crate::handles::QueueHandle;
use crate::integers::integer;

/// Type, identifier (class, slave class, card, device, subdevice), resolution and queue number.
type TimerTuple = (i32, (i32, i32, i32, i32, i32), u32, i32);

/// The base of a skew when only the skew is given; the kernel accepts no other.
const DEFAULT_SKEW_BASE: u32 = 0x10000;

#[pymethods]
impl QueueHandle {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    /// Creates a queue and takes ownership of it; returns its number and whether it belongs to the
    /// client.
    fn _create(
        &self,
        py: Python<'_>,
        client: &Client,
        name: String,
        locked: bool,
        flags: &Bound<'_, PyAny>,
    ) -> PyResult<(u8, bool)> {
        let flags = integer(flags, "flags", 0, u32::MAX.into())? as u32;
        let info = QueueInfo { name, locked, flags, ..QueueInfo::default() };
        Ok(self.own(client.sequencer(py)?.create_queue_from(&info).or_raise(py)?))
    }

    /// Uses an existing queue; returns its number and whether it belongs to the client.
    fn _use(
        &self,
        py: Python<'_>,
        client: &Client,
        queue_id: &Bound<'_, PyAny>,
    ) -> PyResult<(u8, bool)> {
        let number = integer(queue_id, "queue_id", 0, 255)? as u8;
        Ok(self.own(client.sequencer(py)?.get_queue(number).or_raise(py)?))
    }

    /// Frees or releases the queue. Closing twice does nothing.
    fn _close(&self, py: Python<'_>) -> PyResult<()> {
        match self.release().map(|queue| queue.close()) {
            // The client has been closed, and its queues with it.
            Some(Err(error)) if error.kind() == ErrorKind::Closed => Ok(()),
            Some(result) => result.or_raise(py),
            None => Ok(()),
        }
    }

    /// Stops using the queue, which other objects may still use. Leaving twice does nothing.
    fn _leave(&self) {
        drop(self.release());
    }

    /// tempo, ppq, skew and skew_base.
    fn _tempo(&self, py: Python<'_>) -> PyResult<(u32, u32, u32, u32)> {
        let tempo = self.queue(py)?.get_tempo().or_raise(py)?;
        Ok((tempo.tempo, tempo.ppq, tempo.skew, tempo.skew_base))
    }

    /// Sets the tempo; a skew of `None` is left as it is.
    fn _set_tempo(
        &self,
        py: Python<'_>,
        tempo: &Bound<'_, PyAny>,
        ppq: &Bound<'_, PyAny>,
        skew: Option<&Bound<'_, PyAny>>,
        skew_base: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let queue = self.queue(py)?;
        let unsigned = |value: &Bound<'_, PyAny>, name| integer(value, name, 0, u32::MAX.into());
        let mut new = QueueTempo::new(
            unsigned(tempo, "tempo")? as u32,
            integer(ppq, "ppq", i32::MIN.into(), i32::MAX.into())? as u32,
        );
        if let Some(skew) = skew {
            new.skew = unsigned(skew, "skew")? as u32;
            new.skew_base = DEFAULT_SKEW_BASE;
        }
        if let Some(base) = skew_base {
            new.skew_base = unsigned(base, "skew_base")? as u32;
        }
        queue.set_tempo(&new).or_raise(py)
    }

    /// Type, identifier, resolution and queue number of the timer that drives the queue.
    fn _timer(&self, py: Python<'_>) -> PyResult<TimerTuple> {
        let timer = self.queue(py)?.get_timer().or_raise(py)?;
        let TimerId { dev_class, dev_sclass, card, device, subdevice } = timer.id;
        Ok((
            timer.timer_type.raw(),
            (dev_class, dev_sclass, card, device, subdevice),
            timer.resolution,
            timer.queue_id.into(),
        ))
    }

    /// Sets the timer that drives the queue.
    fn _set_timer(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        id: &Bound<'_, PyTuple>,
        resolution: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let queue = self.queue(py)?;
        let signed = |value: &Bound<'_, PyAny>, name: &str| -> PyResult<i32> {
            Ok(integer(value, name, i32::MIN.into(), i32::MAX.into())? as i32)
        };
        let part = |index, name| signed(&id.get_item(index)?, name);
        let timer = QueueTimer {
            queue_id: queue.queue_id(),
            timer_type: QueueTimerType::from_raw(signed(kind, "type")?),
            id: TimerId {
                dev_class: part(0, "dev_class")?,
                dev_sclass: part(1, "dev_sclass")?,
                card: part(2, "card")?,
                device: part(3, "device")?,
                subdevice: part(4, "subdevice")?,
            },
            resolution: integer(resolution, "resolution", 0, u32::MAX.into())? as u32,
        };
        queue.set_timer(&timer).or_raise(py)
    }

    /// Whether the client uses the queue.
    fn _usage(&self, py: Python<'_>) -> PyResult<bool> {
        self.queue(py)?.get_usage().or_raise(py)
    }

    /// Sets whether the client uses the queue.
    fn _set_usage(&self, py: Python<'_>, usage: bool) -> PyResult<()> {
        self.queue(py)?.set_usage(usage).or_raise(py)
    }
}
