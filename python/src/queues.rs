//! Queues: what keeps one alive.

use std::sync::{Mutex, OnceLock, PoisonError};

use consort_seq::{QueueInfo, QueueTempo, QueueTimer, QueueTimerType, TimerId};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::client::Client;
use crate::errors::{self, IntoPyResult};
use crate::integers::{I32, U8, U32, integer};

/// Owns a queue, or the use of another client's: freed or released when this object goes, or
/// by `_close`.
#[pyclass(module = "alsa_midi._core", subclass, frozen)]
pub(crate) struct QueueHandle {
    queue: Mutex<Option<consort_seq::Queue>>,
    number: OnceLock<u8>,
}

type TimerTuple = (i32, (i32, i32, i32, i32, i32), u32, i32);

impl QueueHandle {
    fn own(&self, queue: consort_seq::Queue) -> (u8, bool) {
        let number = *self.number.get_or_init(|| queue.queue_id());
        let own = queue.is_own();
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = Some(queue);
        (number, own)
    }

    fn open(&self, py: Python<'_>) -> PyResult<consort_seq::Queue> {
        // Not locked any more while the error is made, which runs Python code.
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        queue.ok_or_else(|| errors::state_error(py, "Already closed: the queue"))
    }

    /// The queue's number, if it is open.
    pub(crate) fn number(&self, py: Python<'_>) -> PyResult<u8> {
        self.open(py).map(|queue| queue.queue_id())
    }
}

#[pymethods]
impl QueueHandle {
    #[new]
    #[pyo3(signature = (*_arguments, **_keywords))]
    fn __new__(_arguments: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self { queue: Mutex::default(), number: OnceLock::new() }
    }

    /// Creates a queue and owns it; returns its number and whether it is the client's own.
    fn _create(
        &self,
        py: Python<'_>,
        client: &Client,
        name: String,
        locked: bool,
        flags: U32,
    ) -> PyResult<(u8, bool)> {
        let info = QueueInfo { name, locked, flags: flags.0, ..QueueInfo::default() };
        Ok(self.own(client.sequencer(py)?.create_queue_from(&info).py(py)?))
    }

    /// Uses a queue that exists.
    fn _use(&self, py: Python<'_>, client: &Client, queue_id: U8) -> PyResult<(u8, bool)> {
        Ok(self.own(client.sequencer(py)?.get_queue(queue_id.0).py(py)?))
    }

    /// Frees or releases the queue. Closing twice does nothing.
    fn _close(&self, py: Python<'_>) -> PyResult<()> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        match queue.map(|queue| queue.close()) {
            Some(Err(error)) if error.kind() == consort_seq::ErrorKind::Closed => Ok(()),
            Some(result) => result.py(py),
            None => Ok(()),
        }
    }

    /// Lets go of the queue, which other objects may still use. Doing so twice does nothing.
    fn _leave(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// tempo, ppq, skew, skew_base.
    fn _tempo(&self, py: Python<'_>) -> PyResult<(u32, u32, u32, u32)> {
        let tempo = self.open(py)?.get_tempo().py(py)?;
        Ok((tempo.tempo, tempo.ppq, tempo.skew, tempo.skew_base))
    }

    /// Sets the tempo; a skew of `None` stays as it is.
    fn _set_tempo(
        &self,
        py: Python<'_>,
        tempo: &Bound<'_, PyAny>,
        ppq: &Bound<'_, PyAny>,
        skew: Option<&Bound<'_, PyAny>>,
        skew_base: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let queue = self.open(py)?;
        let unsigned = |value: &Bound<'_, PyAny>, name| integer(value, name, 0, u32::MAX.into());
        let mut new = QueueTempo::new(
            unsigned(tempo, "tempo")? as u32,
            integer(ppq, "ppq", i32::MIN.into(), i32::MAX.into())? as u32,
        );
        if let Some(skew) = skew {
            new.skew = unsigned(skew, "skew")? as u32;
            new.skew_base = 0x10000;
        }
        if let Some(base) = skew_base {
            new.skew_base = unsigned(base, "skew_base")? as u32;
        }
        queue.set_tempo(&new).py(py)
    }

    /// type, (class, slave class, card, device, subdevice), resolution, queue.
    fn _timer(&self, py: Python<'_>) -> PyResult<TimerTuple> {
        let timer = self.open(py)?.get_timer().py(py)?;
        let TimerId { dev_class, dev_sclass, card, device, subdevice } = timer.id;
        Ok((
            timer.timer_type.raw(),
            (dev_class, dev_sclass, card, device, subdevice),
            timer.resolution,
            timer.queue_id.into(),
        ))
    }

    /// Sets what drives the queue.
    fn _set_timer(
        &self,
        py: Python<'_>,
        kind: I32,
        id: (I32, I32, I32, I32, I32),
        resolution: U32,
    ) -> PyResult<()> {
        let queue = self.open(py)?;
        let timer = QueueTimer {
            queue_id: queue.queue_id(),
            timer_type: QueueTimerType::from_raw(kind.0),
            id: TimerId {
                dev_class: id.0.0,
                dev_sclass: id.1.0,
                card: id.2.0,
                device: id.3.0,
                subdevice: id.4.0,
            },
            resolution: resolution.0,
        };
        queue.set_timer(&timer).py(py)
    }

    /// Whether the client uses the queue.
    fn _usage(&self, py: Python<'_>) -> PyResult<bool> {
        self.open(py)?.get_usage().py(py)
    }

    /// Sets whether the client uses the queue.
    fn _set_usage(&self, py: Python<'_>, usage: bool) -> PyResult<()> {
        self.open(py)?.set_usage(usage).py(py)
    }
}
