//! Reading and changing the attributes of an event.
//!
//! Values may be any Python object, and using an object may run Python code, which may access the
//! same event or let another thread do so. Therefore an event is never borrowed while Python code
//! can run: a value is taken out before it is used, and a replaced value is dropped after the
//! borrow has ended.

use pyo3::prelude::*;

use super::{Event, Value};

impl Event {
    /// The indices of the attributes that all events have, for [`value`](Self::value).
    pub(super) const KIND: usize = 0;
    pub(super) const FLAGS: usize = 1;
    pub(super) const TAG: usize = 2;
    pub(super) const QUEUE_ID: usize = 3;
    pub(super) const TIME: usize = 4;
    pub(super) const TICK: usize = 5;
    pub(super) const RELATIVE: usize = 6;
    pub(super) const SOURCE: usize = 7;
    pub(super) const DEST: usize = 8;
    pub(super) const RAW_DATA: usize = 9;
    /// The index of the first attribute that belongs to the event's class.
    pub(super) const FIRST_FIELD: usize = 10;
    /// The number of attributes.
    pub(super) const COUNT: usize = 15;

    /// The attribute at an index.
    pub(super) fn value(&self, index: usize) -> &Value {
        match index {
            Self::KIND => &self.kind,
            Self::FLAGS => &self.flags,
            Self::TAG => &self.tag,
            Self::QUEUE_ID => &self.queue_id,
            Self::TIME => &self.time,
            Self::TICK => &self.tick,
            Self::RELATIVE => &self.relative,
            Self::SOURCE => &self.source,
            Self::DEST => &self.dest,
            Self::RAW_DATA => &self.raw_data,
            field => &self.fields[field - Self::FIRST_FIELD],
        }
    }

    /// The attribute at an index, to change it.
    pub(super) fn value_mut(&mut self, index: usize) -> &mut Value {
        match index {
            Self::KIND => &mut self.kind,
            Self::FLAGS => &mut self.flags,
            Self::TAG => &mut self.tag,
            Self::QUEUE_ID => &mut self.queue_id,
            Self::TIME => &mut self.time,
            Self::TICK => &mut self.tick,
            Self::RELATIVE => &mut self.relative,
            Self::SOURCE => &mut self.source,
            Self::DEST => &mut self.dest,
            Self::RAW_DATA => &mut self.raw_data,
            field => &mut self.fields[field - Self::FIRST_FIELD],
        }
    }

    /// An attribute as a Python object.
    #[inline]
    pub(super) fn get<'py>(slf: &Bound<'py, Self>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let value = slf.try_borrow()?.value(index).clone_ref(py);
        let is_time = matches!(value, Value::Time(..));
        let object = value.into_python(py)?;
        // A `RealTime` is mutable, so the event keeps the object that it has returned.
        if is_time && let Ok(mut event) = slf.try_borrow_mut() {
            *event.value_mut(index) = Value::Object(object.clone().unbind());
        }
        Ok(object)
    }

    /// Changes an attribute.
    #[inline]
    pub(super) fn set(slf: &Bound<'_, Self>, index: usize, value: Value) -> PyResult<()> {
        let previous = std::mem::replace(slf.try_borrow_mut()?.value_mut(index), value);
        drop(previous);
        Ok(())
    }

    /// Runs a constructor: `body` fills in an event without values, which then replaces the values
    /// of this event.
    #[inline]
    pub(super) fn initialise(
        slf: &Bound<'_, Self>,
        body: impl FnOnce(&mut Self) -> PyResult<()>,
    ) -> PyResult<()> {
        let (layout, class_kind) = {
            let event = slf.try_borrow()?;
            (event.layout, event.class_kind)
        };
        let mut new = Self { layout, ..Self::bare(class_kind) };
        body(&mut new)?;
        let previous = std::mem::replace(&mut *slf.try_borrow_mut()?, new);
        drop(previous);
        Ok(())
    }
}
