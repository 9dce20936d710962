//! Buses.

use super::{Context, Effect};
use crate::entities::{Bus, BusGroup};
use crate::error::{Error, ErrorKind, Result};
use crate::pending::Pending;
use crate::queries::parse_range;
use crate::requests::*;
use crate::values::CalculationRate;
use crate::wire::Arguments;

fn control_only(rate: CalculationRate, what: &str) -> Result<()> {
    match rate {
        CalculationRate::Control => Ok(()),
        CalculationRate::Audio => Err(Error::new(
            ErrorKind::InvalidCalculationRate,
            format!("an audio bus has no value to {what}; only control buses do"),
        )),
    }
}

impl Context {
    /// A bus of this client's own.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if none is left.
    pub fn add_bus(&self, rate: CalculationRate) -> Result<Bus> {
        let id = self.shared().lock().buses(rate).allocate(1)?;
        self.effect_if_dropped(Effect::Buses(rate, id, 1))?;
        Ok(Bus::new(self.immediate(), rate, id))
    }

    /// Neighbouring buses of this client's own.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if no such hole is left.
    pub fn add_bus_group(&self, rate: CalculationRate, count: u32) -> Result<BusGroup> {
        let id = self.shared().lock().buses(rate).allocate(count)?;
        self.effect_if_dropped(Effect::Buses(rate, id, count))?;
        Ok(BusGroup::new(self.immediate(), rate, id, count))
    }

    /// Gives a bus back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free_bus(&self, bus: &Bus) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        self.effect_if_sent(Effect::Buses(bus.calculation_rate(), bus.id(), 1))
    }

    /// Gives neighbouring buses back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free_bus_group(&self, group: &BusGroup) -> Result<()> {
        self.check_own(group.context(), "bus group")?;
        self.effect_if_sent(Effect::Buses(group.calculation_rate(), group.id(), group.len()))
    }

    /// Sets a control bus. `/c_set`
    ///
    /// # Errors
    /// [`ErrorKind::InvalidCalculationRate`] for an audio bus, and as [`Context::submit`].
    pub fn set_bus(&self, bus: &Bus, value: f32) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        control_only(bus.calculation_rate(), "set")?;
        self.submit(SetControlBuses { values: vec![(bus.id(), value)] })
    }

    /// Sets a control bus at once through the server's memory, or as [`Context::set_bus`]
    /// where that cannot be reached. Not part of a moment, even if called on one.
    ///
    /// # Errors
    /// As [`Context::set_bus`].
    pub fn set_bus_now(&self, bus: &Bus, value: f32) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        control_only(bus.calculation_rate(), "set")?;
        if let Some(memory) = self.shared().host()?.shared_memory()
            && memory.set_control_bus(bus.id(), value).is_ok()
        {
            return Ok(());
        }
        self.immediate().set_bus(bus, value)
    }

    /// Sets control buses from `bus` on; more values than this client has buses there are
    /// allowed, as the server allows them. `/c_setn`
    ///
    /// # Errors
    /// As [`Context::set_bus`].
    pub fn set_bus_range(&self, bus: &Bus, values: &[f32]) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        control_only(bus.calculation_rate(), "set")?;
        self.submit(SetControlBusRange { ranges: vec![(bus.id(), values.to_vec())] })
    }

    /// Sets `count` control buses from `bus` on to one value. `/c_fill`
    ///
    /// # Errors
    /// As [`Context::set_bus`].
    pub fn fill_bus_range(&self, bus: &Bus, count: u32, value: f32) -> Result<()> {
        self.check_own(bus.context(), "bus")?;
        control_only(bus.calculation_rate(), "set")?;
        self.submit(FillControlBuses { ranges: vec![(bus.id(), count, value)] })
    }

    /// The value of a control bus. `/c_get`
    ///
    /// # Errors
    /// As [`Context::set_bus`]; the future's are those of [`Pending`].
    pub fn ask_bus(&self, bus: &Bus) -> Result<Pending<f32>> {
        self.check_own(bus.context(), "bus")?;
        control_only(bus.calculation_rate(), "get")?;
        self.ask_for(GetControlBuses { ids: vec![bus.id()] }, |message| message.float(1))
    }

    /// The values of `count` control buses from `bus` on. `/c_getn`
    ///
    /// # Errors
    /// As [`Context::set_bus`]; the future's are those of [`Pending`].
    pub fn ask_bus_range(&self, bus: &Bus, count: u32) -> Result<Pending<Vec<f32>>> {
        self.check_own(bus.context(), "bus")?;
        control_only(bus.calculation_rate(), "get")?;
        if count > GetBufferRange::LIMIT {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "{count} buses were asked for in one request; ask for at most {}",
                    GetBufferRange::LIMIT
                ),
            ));
        }
        self.ask_for(GetControlBusRange { start: bus.id(), count }, |message| {
            parse_range(message, 1)
        })
    }
}
