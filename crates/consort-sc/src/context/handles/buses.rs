//! Handles of buses.

use std::fmt;

use futures_lite::future::block_on;

use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::pending::Pending;
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

    /// The same bus, with its requests going into a moment or completion.
    #[must_use]
    pub fn within(&self, moment: &Context) -> Self {
        Self { context: moment.clone(), ..self.clone() }
    }

    /// Sets a control bus. `/c_set`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`].
    pub fn set(&self, value: f32) -> Result<()> {
        self.context.set_bus(self, value)
    }

    /// Sets a control bus through the server's shared memory if possible. It takes effect at once.
    ///
    /// # Errors
    /// Same as [`Context::set_bus`].
    pub fn set_now(&self, value: f32) -> Result<()> {
        self.context.set_bus_now(self, value)
    }

    /// Sets this control bus and those that follow it. `/c_setn`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`].
    pub fn set_range(&self, values: &[f32]) -> Result<()> {
        self.context.set_bus_range(self, values)
    }

    /// Sets `count` control buses, from this one on, to one value. `/c_fill`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`].
    pub fn fill(&self, count: u32, value: f32) -> Result<()> {
        self.context.fill_bus_range(self, count, value)
    }

    /// Asks for the value of a control bus. `/c_get`
    ///
    /// # Errors
    /// Same as [`Context::ask_bus`].
    pub fn ask(&self) -> Result<Pending<f32>> {
        self.context.ask_bus(self)
    }

    /// The value of a control bus. Blocks the calling thread. `/c_get`
    ///
    /// # Errors
    /// Same as [`Context::ask_bus`].
    pub fn get(&self) -> Result<f32> {
        self.context.immediate().ask_bus(self)?.wait()
    }

    /// Asks for the values of `count` control buses, from this one on. `/c_getn`
    ///
    /// # Errors
    /// Same as [`Context::ask_bus_range`].
    pub fn ask_range(&self, count: u32) -> Result<Pending<Vec<f32>>> {
        self.context.ask_bus_range(self, count)
    }

    /// The values of any number of control buses, from this one on. Blocks the calling thread.
    /// `/c_getn`
    ///
    /// # Errors
    /// Same as [`Context::ask_bus`].
    pub fn get_range(&self, count: u32) -> Result<Vec<f32>> {
        block_on(self.context.bus_range(self, count))
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

    /// The same buses, with their requests going into a moment or completion.
    #[must_use]
    pub fn within(&self, moment: &Context) -> Self {
        Self { context: moment.clone(), ..self.clone() }
    }

    /// The first bus, from which ranges are counted.
    fn first(&self) -> Bus {
        Bus::new(self.context.clone(), self.rate, self.id)
    }

    /// Sets all control buses of the group to one value. `/c_fill`
    ///
    /// # Errors
    /// Same as [`Context::set_bus`].
    pub fn fill(&self, value: f32) -> Result<()> {
        self.context.fill_bus_range(&self.first(), self.count, value)
    }

    /// Asks for the values of all control buses of the group. `/c_getn`
    ///
    /// # Errors
    /// Same as [`Context::ask_bus_range`].
    pub fn ask_values(&self) -> Result<Pending<Vec<f32>>> {
        self.context.ask_bus_range(&self.first(), self.count)
    }

    /// The values of all control buses of the group. Blocks the calling thread. `/c_getn`
    ///
    /// # Errors
    /// Same as [`Context::ask_bus`].
    pub fn values(&self) -> Result<Vec<f32>> {
        block_on(self.context.bus_range(&self.first(), self.count))
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
        self.context.set_bus_range(&self.first(), values)
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
