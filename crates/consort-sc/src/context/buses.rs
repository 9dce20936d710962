//! Operations on buses. This client allocates the indices; no request is sent for that.

use super::{Bus, BusGroup, Context, Release};
use crate::error::{Error, ErrorKind, Result};
use crate::pending::Pending;
use crate::queries::parse_range;
use crate::requests::*;
use crate::values::CalculationRate;
use crate::wire::Arguments;

/// Rejects audio buses, whose samples cannot be set or read; `verb` is what was attempted.
fn require_control_bus(rate: CalculationRate, verb: &str) -> Result<()> {
    match rate {
        CalculationRate::Control => Ok(()),
        CalculationRate::Audio => Err(Error::new(
            ErrorKind::InvalidCalculationRate,
            format!("cannot {verb} an audio bus; only control buses have a value"),
        )),
    }
}

impl Context {
    /// Allocates a bus from this client's share.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if all are in use.
    pub fn add_bus(&self, rate: CalculationRate) -> Result<Bus> {
        let id = self.shared().lock().buses(rate).allocate(1)?;
        self.release_if_dropped(Release::Buses(rate, id, 1))?;
        Ok(Bus::new(self.immediate(), rate, id))
    }

    /// Allocates `count` buses with consecutive indices from this client's share.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if there is no free block of this size.
    pub fn add_bus_group(&self, rate: CalculationRate, count: u32) -> Result<BusGroup> {
        let id = self.shared().lock().buses(rate).allocate(count)?;
        self.release_if_dropped(Release::Buses(rate, id, count))?;
        Ok(BusGroup::new(self.immediate(), rate, id, count))
    }

    /// Frees a bus's index. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free_bus(&self, bus: &Bus) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        self.release_if_sent(Release::Buses(bus.calculation_rate(), bus.id(), 1))
    }

    /// Frees the indices of all buses of a group. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free_bus_group(&self, group: &BusGroup) -> Result<()> {
        self.check_own(group.context(), "bus group")?;
        self.release_if_sent(Release::Buses(group.calculation_rate(), group.id(), group.len()))
    }

    /// Sets a control bus. `/c_set`
    ///
    /// # Errors
    /// [`ErrorKind::InvalidCalculationRate`] for an audio bus, and as [`Context::submit`].
    pub fn set_bus(&self, bus: &Bus, value: f32) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        require_control_bus(bus.calculation_rate(), "set")?;
        self.submit(SetControlBuses { values: vec![(bus.id(), value)] })
    }

    /// Sets a control bus through the server's shared memory, or like [`Context::set_bus`] if
    /// that is not available. It takes effect at once, even when called on a moment.
    ///
    /// # Errors
    /// Same as [`Context::set_bus`].
    pub fn set_bus_now(&self, bus: &Bus, value: f32) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        require_control_bus(bus.calculation_rate(), "set")?;
        if let Some(memory) = self.shared().host()?.shared_memory()
            && memory.set_control_bus(bus.id(), value).is_ok()
        {
            return Ok(());
        }
        self.immediate().set_bus(bus, value)
    }

    /// Sets consecutive control buses, starting at `bus`. As on the server, the range may exceed
    /// this client's own buses. `/c_setn`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`].
    pub fn set_bus_range(&self, bus: &Bus, values: &[f32]) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        require_control_bus(bus.calculation_rate(), "set")?;
        self.submit(SetControlBusRange { ranges: vec![(bus.id(), values.to_vec())] })
    }

    /// Sets `count` consecutive control buses, starting at `bus`, to one value. `/c_fill`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`].
    pub fn fill_bus_range(&self, bus: &Bus, count: u32, value: f32) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        require_control_bus(bus.calculation_rate(), "set")?;
        self.submit(FillControlBuses { ranges: vec![(bus.id(), count, value)] })
    }

    /// Asks for the value of a control bus. `/c_get`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`]; the future's errors are those of [`Pending`].
    pub fn ask_bus(&self, bus: &Bus) -> Result<Pending<f32>> {
        self.check_own(bus.context(), "bus")?;
        require_control_bus(bus.calculation_rate(), "get")?;
        self.ask_for(GetControlBuses { ids: vec![bus.id()] }, |message| message.float(1))
    }

    /// Asks for the values of `count` consecutive control buses, starting at `bus`. `/c_getn`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`]; [`ErrorKind::TooLarge`] for more than
    /// [`GetControlBusRange::MAX_BUSES`]; the future's errors are those of [`Pending`].
    pub fn ask_bus_range(&self, bus: &Bus, count: u32) -> Result<Pending<Vec<f32>>> {
        self.check_own(bus.context(), "bus")?;
        require_control_bus(bus.calculation_rate(), "get")?;
        if count > GetControlBusRange::MAX_BUSES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "cannot get {count} buses with one request; the limit is {}",
                    GetControlBusRange::MAX_BUSES
                ),
            ));
        }
        self.ask_for(GetControlBusRange { start: bus.id(), count }, |message| {
            parse_range(message, 1)
        })
    }

    /// The values of any number of consecutive control buses, requested in parts that fit into a
    /// reply. The requests are sent at once, even on a moment.
    pub(crate) async fn bus_range(&self, bus: &Bus, count: u32) -> Result<Vec<f32>> {
        let context = self.immediate();
        let mut values = Vec::new();
        let mut offset = 0;
        while offset < count {
            let part = (count - offset).min(GetControlBusRange::MAX_BUSES);
            let first = Bus::new(bus.context().clone(), bus.calculation_rate(), bus.id() + offset);
            values.extend(context.ask_bus_range(&first, part)?.await?);
            offset += part;
        }
        Ok(values)
    }
}
