//! Reading and changing attributes.
//!
//! Values may be any Python object, and what is asked of one may run Python code, which may look
//! at the event again or let another thread do so. So an event is never kept borrowed here while
//! that can happen: values are taken out first, and what is replaced goes afterwards.

use pyo3::prelude::*;

use super::{Event, Value};

impl Event {
    /// Places of the common attributes, in the order of [`value`](Self::value).
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
    /// Place of the first of the class's own attributes.
    pub(super) const OWN: usize = 10;
    /// Number of places.
    pub(super) const COUNT: usize = 15;

    /// The attribute at a place.
    pub(super) fn value(&self, at: usize) -> &Value {
        match at {
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
            own => &self.fields[own - Self::OWN],
        }
    }

    pub(super) fn value_mut(&mut self, at: usize) -> &mut Value {
        match at {
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
            own => &mut self.fields[own - Self::OWN],
        }
    }

    /// An attribute as Python sees it.
    #[inline]
    pub(super) fn get<'py>(slf: &Bound<'py, Self>, at: usize) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let value = slf.try_borrow()?.value(at).share(py);
        let is_time = matches!(value, Value::Time(..));
        let object = value.show(py)?;
        // A `RealTime` can be changed, so that the event keeps the one that it has shown.
        if is_time && let Ok(mut event) = slf.try_borrow_mut() {
            *event.value_mut(at) = Value::Object(object.clone().unbind());
        }
        Ok(object)
    }

    /// Changes an attribute.
    #[inline]
    pub(super) fn set(slf: &Bound<'_, Self>, at: usize, value: Value) -> PyResult<()> {
        let old = std::mem::replace(slf.try_borrow_mut()?.value_mut(at), value);
        drop(old);
        Ok(())
    }

    /// What a constructor does: `body` sets up an event with nothing set, which then takes the
    /// place of this one's values.
    #[inline]
    pub(super) fn initialise(
        slf: &Bound<'_, Self>,
        body: impl FnOnce(&mut Self) -> PyResult<()>,
    ) -> PyResult<()> {
        let (layout, class_kind) = {
            let event = slf.try_borrow()?;
            (event.layout, event.class_kind)
        };
        let mut fresh = Self { layout, ..Self::bare(class_kind) };
        body(&mut fresh)?;
        let old = std::mem::replace(&mut *slf.try_borrow_mut()?, fresh);
        drop(old);
        Ok(())
    }
}
