//! Scope buffers: places in the server's memory that `ScopeOut2` writes and this crate reads.

use super::{Context, Effect, Placement};
use crate::entities::{Bus, BusGroup, Synth};
use crate::error::{Error, ErrorKind, Result};
use crate::shared_memory::ScopeFrames;
use crate::synthdef::{Rate, SynthDef, system};
use crate::values::{AddAction, CalculationRate};

/// A place in the server's memory for the samples of a scope.
#[derive(Clone, Debug)]
pub struct ScopeBuffer {
    context: Context,
    id: u32,
}

impl ScopeBuffer {
    /// Its index, for the `scopeNum` of `ScopeOut2`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free(&self) -> Result<()> {
        self.context.free_scope_buffer(self)
    }

    /// The newest samples, if there are newer ones than at the last call. Only the frames that
    /// were written are copied. One reader only.
    ///
    /// # Errors
    /// [`ErrorKind::SharedMemory`] if the server's memory cannot be reached.
    pub fn read(&self) -> Result<Option<ScopeFrames>> {
        let memory = self.context.shared().host()?.shared_memory().ok_or_else(|| {
            Error::new(
                ErrorKind::SharedMemory,
                "the server's shared memory cannot be reached from here; scopes need it",
            )
        })?;
        memory.read_scope_buffer(self.id)
    }
}

impl Context {
    /// A scope buffer of this client's own.
    ///
    /// # Errors
    /// [`ErrorKind::Allocation`] if none is left.
    pub fn add_scope_buffer(&self) -> Result<ScopeBuffer> {
        let id = self.shared().lock().scope_buffers.allocate(1)?;
        self.effect_if_dropped(Effect::ScopeBuffer(id))?;
        Ok(ScopeBuffer { context: self.immediate(), id })
    }

    /// Gives a scope buffer back.
    ///
    /// # Errors
    /// [`ErrorKind::MomentClosed`].
    pub fn free_scope_buffer(&self, buffer: &ScopeBuffer) -> Result<()> {
        self.check_own(&buffer.context, "scope buffer")?;
        self.effect_if_sent(Effect::ScopeBuffer(buffer.id))
    }
}

/// A synth that writes a bus into a scope buffer, to be read from here.
#[derive(Clone, Debug)]
pub struct Scope {
    buffer: ScopeBuffer,
    synth: Synth,
}

impl Scope {
    /// The newest frames, if there are newer ones than at the last call.
    ///
    /// # Errors
    /// As [`ScopeBuffer::read`].
    pub fn read(&self) -> Result<Option<ScopeFrames>> {
        self.buffer.read()
    }

    /// The synth that writes.
    pub fn synth(&self) -> &Synth {
        &self.synth
    }

    /// Frees the synth and gives the scope buffer back.
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn stop(self) -> Result<()> {
        self.synth.free(true)?;
        self.buffer.free()
    }
}

impl Context {
    fn add_scope(
        &self,
        synthdef: &SynthDef,
        settings: &[(&str, f32)],
        placement: Placement<'_>,
    ) -> Result<Scope> {
        let buffer = self.add_scope_buffer()?;
        let mut settings = settings.to_vec();
        settings.push(("scope_id", buffer.id() as f32));
        let synth = std::cell::RefCell::new(None);
        let added = self.add_synthdefs_then([synthdef.file()], |completion| {
            *synth.borrow_mut() = Some(completion.add_synth(synthdef, placement, settings)?);
            Ok(())
        });
        match (added, synth.into_inner()) {
            (Ok(()), Some(synth)) => Ok(Scope { buffer, synth }),
            (added, _) => {
                buffer.free()?;
                added.and(Err(Error::new(ErrorKind::Protocol, "the scope got no synth")))
            }
        }
    }

    /// A scope of the samples of 1 to 16 neighbouring buses, placed last in the tree.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for another count of buses, [`ErrorKind::Allocation`], and
    /// as [`Context::submit`].
    pub fn add_amplitude_scope(&self, buses: &BusGroup) -> Result<Scope> {
        self.check_own(buses.context(), "bus group")?;
        let rate = match buses.calculation_rate() {
            CalculationRate::Audio => Rate::Audio,
            CalculationRate::Control => Rate::Control,
        };
        let synthdef =
            system::amplitude_scope(rate, buses.len().min(u32::from(u16::MAX)) as u16)
                .map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))?;
        let placement = Placement::new(AddAction::ToTail, 0);
        self.add_scope(&synthdef, &[("in_", buses.id() as f32)], placement)
    }

    /// A scope of the spectrum of an audio bus, placed last in the tree. `fft_size` is 256 to
    /// 8192; `frames_per_fft` (4 in Supriya) is how often a frame is computed.
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
        self.check_own(bus.context(), "bus")?;
        if bus.calculation_rate() != CalculationRate::Audio {
            return Err(Error::new(
                ErrorKind::InvalidCalculationRate,
                "a spectrum is computed of an audio bus, not of a control bus",
            ));
        }
        if !(256..=8192).contains(&fft_size) || frames_per_fft == 0 {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!("an FFT of {fft_size} at rate {frames_per_fft}; 256 to 8192 and 1 or more"),
            ));
        }
        let synthdef = system::frequency_scope(axis, true);
        let settings = [
            ("in_", bus.id() as f32),
            ("fft_buffer_size", fft_size as f32),
            ("rate", frames_per_fft as f32),
        ];
        self.add_scope(&synthdef, &settings, Placement::new(AddAction::ToTail, 0))
    }
}
