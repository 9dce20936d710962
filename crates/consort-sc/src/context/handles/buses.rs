//! Handles of buses.

use std::fmt;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::values::{CalculationRate, ControlValue, MapSymbol};

/// A bus. `Display` writes its map symbol: `c0`, `a16`.
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

    /// The bus's index, from 0; each rate counts for itself.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The bus's rate.
    pub fn calculation_rate(&self) -> CalculationRate {
        self.rate
    }

    /// The server or score that the bus belongs to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The value that makes a control follow this bus.
    pub fn map_symbol(&self) -> MapSymbol {
        MapSymbol { rate: self.rate, id: self.id }
    }

    /// Sets a control bus. `/c_set`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`].
    pub fn set(&self, value: f32) -> Result<()> {
        self.context.set_bus(self, value)
    }

    /// Frees the bus's index. Nothing is sent.
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

/// Buses of one rate with consecutive indices. `Display` writes the first bus's map symbol.
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

    /// The number of buses.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether the group has no buses.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The buses' rate.
    pub fn calculation_rate(&self) -> CalculationRate {
        self.rate
    }

    /// The server or score that the buses belong to.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The value that makes a control follow the first bus.
    pub fn map_symbol(&self) -> MapSymbol {
        MapSymbol { rate: self.rate, id: self.id }
    }

    /// The buses in the order of their indices.
    pub fn iter(&self) -> impl Iterator<Item = Bus> + '_ {
        (self.id..self.id + self.count).map(|id| Bus::new(self.context.clone(), self.rate, id))
    }

    /// The bus at `index`, from 0.
    pub fn get(&self, index: u32) -> Option<Bus> {
        (index < self.count).then(|| Bus::new(self.context.clone(), self.rate, self.id + index))
    }

    /// Whether `bus` is in the group.
    pub fn contains(&self, bus: &Bus) -> bool {
        self.context.is_same(&bus.context)
            && self.rate == bus.rate
            && (self.id..self.id + self.count).contains(&bus.id)
    }

    /// Sets control buses of the group, from the first on. `/c_setn`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`]; [`ErrorKind::InvalidArgument`] for more values than buses.
    pub fn set(&self, values: &[f32]) -> Result<()> {
        if values.len() > self.count as usize {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "expected at most {} values, one per bus, not {}",
                    self.count,
                    values.len()
                ),
            ));
        }
        let first = Bus::new(self.context.clone(), self.rate, self.id);
        self.context.set_bus_range(&first, values)
    }

    /// Frees the indices of all buses. Nothing is sent.
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
