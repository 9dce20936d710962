//! Buses.

use std::fmt;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::values::{CalculationRate, ControlValue, MapSymbol};

/// A bus. Prints as its map symbol: `c0`, `a16`.
#[derive(Clone, Debug)]
pub struct Bus {
    context: Context,
    rate: CalculationRate,
    id: u32,
}

impl Bus {
    pub(crate) fn new(context: Context, rate: CalculationRate, id: u32) -> Self {
        Self { context, rate, id }
    }

    /// Its index.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its rate.
    pub fn calculation_rate(&self) -> CalculationRate {
        self.rate
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What to set a control to so that it follows this bus.
    pub fn map_symbol(&self) -> MapSymbol {
        MapSymbol { rate: self.rate, id: self.id }
    }

    /// Sets a control bus. `/c_set`
    ///
    /// # Errors
    /// As [`Context::set_bus`].
    pub fn set(&self, value: f32) -> Result<()> {
        self.context.set_bus(self, value)
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free(&self) -> Result<()> {
        self.context.free_bus(self)
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map_symbol().fmt(formatter)
    }
}

impl From<&Bus> for ControlValue {
    fn from(bus: &Bus) -> Self {
        ControlValue::Map(bus.map_symbol())
    }
}

/// Neighbouring buses.
#[derive(Clone, Debug)]
pub struct BusGroup {
    context: Context,
    rate: CalculationRate,
    id: u32,
    count: u32,
}

impl BusGroup {
    pub(crate) fn new(context: Context, rate: CalculationRate, id: u32, count: u32) -> Self {
        Self { context, rate, id, count }
    }

    /// The first bus's index.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How many buses.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their rate.
    pub fn calculation_rate(&self) -> CalculationRate {
        self.rate
    }

    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What to set a control to so that it follows the first of them.
    pub fn map_symbol(&self) -> MapSymbol {
        MapSymbol { rate: self.rate, id: self.id }
    }

    /// Its buses in order.
    pub fn iter(&self) -> impl Iterator<Item = Bus> + '_ {
        (self.id..self.id + self.count).map(|id| Bus::new(self.context.clone(), self.rate, id))
    }

    /// The bus at `index`.
    pub fn get(&self, index: u32) -> Option<Bus> {
        (index < self.count).then(|| Bus::new(self.context.clone(), self.rate, self.id + index))
    }

    /// Whether `bus` is one of them.
    pub fn contains(&self, bus: &Bus) -> bool {
        self.context.is_same(&bus.context)
            && self.rate == bus.rate
            && (self.id..self.id + self.count).contains(&bus.id)
    }

    /// Sets all of them from the first on. `/c_setn`
    ///
    /// # Errors
    /// As [`Context::set_bus`]; [`ErrorKind::InvalidArgument`] for more values than buses.
    pub fn set(&self, values: &[f32]) -> Result<()> {
        if values.len() > self.count as usize {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("{} values for {} buses", values.len(), self.count),
            ));
        }
        let first = Bus::new(self.context.clone(), self.rate, self.id);
        self.context.set_bus_range(&first, values)
    }

    /// Gives all of them back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free(&self) -> Result<()> {
        self.context.free_bus_group(self)
    }
}

impl fmt::Display for BusGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.map_symbol().fmt(formatter)
    }
}

impl From<&BusGroup> for ControlValue {
    fn from(group: &BusGroup) -> Self {
        ControlValue::Array(
            (group.id..group.id + group.count)
                .map(|id| ControlValue::Map(MapSymbol { rate: group.rate, id }))
                .collect(),
        )
    }
}
