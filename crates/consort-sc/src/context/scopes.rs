//! Scopes: the UGen `ScopeOut2` writes samples into the server's shared memory, and this process
//! reads them there, without messages.

use super::{Bus, BusGroup, Context, Placement, Release, Synth};
use crate::error::{Error, ErrorKind, Result};
use crate::shared_memory::ScopeFrames;
use crate::synthdef::{Rate, SynthDef, system};
use crate::values::{AddAction, CalculationRate, ControlKey, ControlValue, collect_settings};

/// A buffer in the server's shared memory for the samples of one scope.
#[derive(Clone, Debug)]
pub struct ScopeBuffer {
    context: Context,
    id: u32,
}

impl ScopeBuffer {
    /// The scope buffer's index, for `ScopeOut2`'s input `scopeNum`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Frees the scope buffer's index. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free(&self) -> Result<()> {
        self.context.free_scope_buffer(self)
    }

    /// Reads the newest samples, or `None` if there are none since the last call. Only the frames
    /// that the server has written are copied. A scope buffer has one reader: each frame is returned
    /// once.
    ///
    /// # Errors
    /// [`ErrorKind::SharedMemory`] if the server's memory cannot be reached.
    pub fn read(&self) -> Result<Option<ScopeFrames>> {
        let memory = self.context.shared().host()?.shared_memory().ok_or_else(|| {
            Error::new(
                ErrorKind::SharedMemory,
                "cannot read the scope: the server's shared memory is not accessible",
            )
        })?;
        memory.read_scope_buffer(self.id)
    }
}

impl Context {
    /// Allocates a scope buffer from this client's share.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if all are in use.
    pub fn add_scope_buffer(&self) -> Result<ScopeBuffer> {
        let id = self.shared().lock().scope_buffers.allocate(1)?;
        self.release_if_dropped(Release::ScopeBuffer(id))?;
        Ok(ScopeBuffer { context: self.immediate(), id })
    }

    /// Frees a scope buffer's index. Nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free_scope_buffer(&self, buffer: &ScopeBuffer) -> Result<()> {
        self.check_own(&buffer.context, "scope buffer")?;
        self.release_if_sent(Release::ScopeBuffer(buffer.id))
    }
}

/// Consecutive buses of one rate: a bus, or a group of them.
#[derive(Clone, Copy, Debug)]
pub struct BusRange<'a> {
    context: &'a Context,
    rate: CalculationRate,
    id: u32,
    count: u32,
}

impl<'a> From<&'a Bus> for BusRange<'a> {
    fn from(bus: &'a Bus) -> Self {
        let (context, rate) = (bus.context(), bus.calculation_rate());
        Self { context, rate, id: bus.id(), count: 1 }
    }
}

impl<'a> From<&'a BusGroup> for BusRange<'a> {
    fn from(group: &'a BusGroup) -> Self {
        let (context, rate) = (group.context(), group.calculation_rate());
        Self { context, rate, id: group.id(), count: group.len() }
    }
}

/// A synth that writes buses into a scope buffer, which this process reads.
#[derive(Clone, Debug)]
pub struct Scope {
    buffer: ScopeBuffer,
    synth: Synth,
}

impl Scope {
    /// Reads the newest frames, or `None` if there are none since the last call.
    ///
    /// # Errors
    /// Same as [`ScopeBuffer::read`].
    pub fn read(&self) -> Result<Option<ScopeFrames>> {
        self.buffer.read()
    }

    /// The synth that writes the scope buffer.
    pub fn synth(&self) -> &Synth {
        &self.synth
    }

    /// The scope buffer, whose id is the synth's control `scope_id`.
    pub fn buffer(&self) -> &ScopeBuffer {
        &self.buffer
    }

    /// Frees the synth and the scope buffer.
    ///
    /// # Errors
    /// Same as [`Context::submit`].
    pub fn stop(self) -> Result<()> {
        self.synth.free(true)?;
        self.buffer.free()
    }
}

/// Where scopes are placed unless the caller says otherwise: at the tail of the root group, after
/// all sounds.
fn scope_placement() -> Placement<'static> {
    Placement::new(AddAction::ToTail, 0)
}

impl Context {
    /// Allocates a scope buffer, loads `synthdef` and starts a synth of it. The synth gets the scope
    /// buffer's id as the control `scope_id`, beside `settings`.
    ///
    /// [`add_amplitude_scope`](Self::add_amplitude_scope) and
    /// [`add_frequency_scope`](Self::add_frequency_scope) do this with the SynthDefs of
    /// [`system`]; this method takes any SynthDef that writes with `ScopeOut2`.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`], and as [`Context::add_synth`].
    pub fn add_scope<'a, K: Into<ControlKey>, V: Into<ControlValue>>(
        &self,
        synthdef: &SynthDef,
        placement: impl Into<Placement<'a>>,
        settings: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Scope> {
        let buffer = self.add_scope_buffer()?;
        let mut settings = collect_settings(settings);
        settings.push(("scope_id".into(), buffer.id().into()));
        let placement = placement.into();
        let mut synth = None;
        let added = self.add_synthdefs_then([synthdef.file()], |completion| {
            synth = Some(completion.add_synth(synthdef, placement, settings)?);
            Ok(())
        });
        match (added, synth) {
            (Ok(()), Some(synth)) => Ok(Scope { buffer, synth }),
            (added, _) => {
                buffer.free()?;
                added.and(Err(Error::new(ErrorKind::Protocol, "the scope's synth was not started")))
            }
        }
    }

    /// Starts a scope of the samples of a bus or of up to 16 consecutive buses, at the tail of the
    /// root group.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for another number of buses, [`ErrorKind::Allocation`], and
    /// as [`Context::submit`].
    pub fn add_amplitude_scope<'b>(&self, buses: impl Into<BusRange<'b>>) -> Result<Scope> {
        self.add_amplitude_scope_at(buses, scope_placement())
    }

    /// As [`add_amplitude_scope`](Self::add_amplitude_scope), at another place.
    ///
    /// # Errors
    /// As `add_amplitude_scope` and [`Context::add_synth`].
    pub fn add_amplitude_scope_at<'a, 'b>(
        &self,
        buses: impl Into<BusRange<'b>>,
        placement: impl Into<Placement<'a>>,
    ) -> Result<Scope> {
        let buses = buses.into();
        self.check_own(buses.context, "bus group")?;
        let rate = match buses.rate {
            CalculationRate::Audio => Rate::Audio,
            CalculationRate::Control => Rate::Control,
        };
        let synthdef =
            system::amplitude_scope(rate, buses.count.min(u32::from(u16::MAX)) as u16)
                .map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))?;
        self.add_scope(&synthdef, placement, [("in_", buses.id)])
    }

    /// Starts a scope of the spectrum of an audio bus, at the tail of the root group. `fft_size` is
    /// the window's size in samples, from 256 to 8192; `frames_per_fft`, at least 1, is the number
    /// of spectra per window (Supriya uses 4).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidCalculationRate`] for a control bus, [`ErrorKind::InvalidArgument`]
    /// for another size, and as [`Context::submit`].
    pub fn add_frequency_scope(
        &self,
        bus: &Bus,
        axis: system::FrequencyAxis,
        fft_size: u32,
        frames_per_fft: u32,
    ) -> Result<Scope> {
        self.add_frequency_scope_at(bus, axis, fft_size, frames_per_fft, scope_placement())
    }

    /// As [`add_frequency_scope`](Self::add_frequency_scope), at another place.
    ///
    /// # Errors
    /// As `add_frequency_scope` and [`Context::add_synth`].
    pub fn add_frequency_scope_at<'a>(
        &self,
        bus: &Bus,
        axis: system::FrequencyAxis,
        fft_size: u32,
        frames_per_fft: u32,
        placement: impl Into<Placement<'a>>,
    ) -> Result<Scope> {
        self.check_own(bus.context(), "bus")?;
        if bus.calculation_rate() != CalculationRate::Audio {
            return Err(Error::new(
                ErrorKind::InvalidCalculationRate,
                "expected an audio bus for the frequency scope, not a control bus",
            ));
        }
        if !(256..=8192).contains(&fft_size) || frames_per_fft == 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "expected an FFT size from 256 to 8192 and at least 1 frame per FFT, not \
                     {fft_size} and {frames_per_fft}"
                ),
            ));
        }
        let synthdef = system::frequency_scope(axis, true);
        let settings = [("in_", bus.id()), ("fft_buffer_size", fft_size), ("rate", frames_per_fft)];
        self.add_scope(&synthdef, placement, settings)
    }
}
