//! SynthDefs that the server refuses.
//!
//! A server answers `/done /d_recv` for a SynthDef that it refuses, and prints the cause without the
//! name. Which SynthDefs it has is found out by a probe of the connection; the causes are in the
//! output of a server that this client started.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use consort_osc::OscMessage;
use parking_lot::Mutex;

use super::{ConsoleTap, Shared};
use crate::SynthDefInfo;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Event;
use crate::output::{RefusalCause, SynthDefRefusal};
use crate::pending::{Slot, SlotFuture};
use crate::requests::Sync;
use crate::wire::PRINT_MARKER_PREFIX;

/// How many SynthDefs a probe asks for.
const MAX_PROBES: usize = 32;
/// The wire buffers of a server with default options.
const DEFAULT_WIRE_BUFFERS: u32 = 64;
/// How many causes are kept until they are assigned to SynthDefs.
const MAX_CAUSES: usize = 4_096;
/// How long the server may take to load SynthDefs. There may be hundreds, on a slow disk.
const LOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the server may take to print everything.
const PRINT_TIMEOUT: Duration = Duration::from_secs(10);

/// The causes of refusals that the server printed and that are not assigned to a SynthDef yet.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    causes: Mutex<Vec<RefusalCause>>,
    /// How many callers wait for SynthDefs and report refusals themselves.
    waiting: AtomicU64,
}

/// Counts a caller that reports refusals itself, until it is dropped.
pub(crate) struct Waiting<'a>(&'a Refusals);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Refusals {
    /// The caller will look for refusals itself.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Waiting(self)
    }

    /// Keeps a cause. Returns whether nobody waits for it.
    fn add(&self, cause: RefusalCause) -> bool {
        let mut causes = self.causes.lock();
        if causes.len() < MAX_CAUSES {
            causes.push(cause);
        }
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Forgets what an earlier server printed.
    pub(crate) fn clear(&self) {
        self.causes.lock().clear();
    }
}

/// Gives each refused SynthDef its cause. Causes that belong to none of them remain in `causes`.
fn assign(refused: &[Arc<SynthDefInfo>], causes: &mut Vec<RefusalCause>) -> Vec<SynthDefRefusal> {
    let mut found: Vec<Option<RefusalCause>> = refused
        .iter()
        .map(|info| {
            let is_missing = |cause: &&RefusalCause| match cause {
                RefusalCause::MissingUGen(name) => info.ugens.binary_search(name).is_ok(),
                _ => false,
            };
            causes.iter().find(is_missing).cloned()
        })
        .collect();
    let assigned: Vec<RefusalCause> = found.iter().flatten().cloned().collect();
    causes.retain(|cause| !assigned.contains(cause));
    // The server prints the other causes in the order of the SynthDefs; one from a file twice.
    let mut others: Vec<RefusalCause> = Vec::new();
    let is_other = |cause: &RefusalCause| !matches!(cause, RefusalCause::MissingUGen(_));
    for cause in causes.iter().filter(|cause| is_other(cause)) {
        others.push(cause.clone());
    }
    let open: Vec<usize> = (0..found.len()).filter(|index| found[*index].is_none()).collect();
    if !open.is_empty() {
        if others.len() != open.len() {
            others.dedup();
        }
        if others.len() == 1 {
            open.iter().for_each(|index| found[*index] = others.first().cloned());
            causes.retain(|cause| !is_other(cause));
        } else if others.len() == open.len() {
            open.iter().zip(others).for_each(|(index, cause)| found[*index] = Some(cause));
            causes.retain(|cause| !is_other(cause));
        }
    }
    refused
        .iter()
        .zip(found)
        .map(|(info, cause)| SynthDefRefusal {
            name: Some(info.name.clone()),
            cause: cause.unwrap_or(RefusalCause::Unknown),
        })
        .collect()
}

/// Whether a server with the default options and without further plugins may refuse the SynthDef.
///
/// A probe makes the server print a line for each SynthDef that it has. Where another program started
/// the server, people read this output, so that only these SynthDefs are probed there.
fn may_be_refused(info: &SynthDefInfo) -> bool {
    info.wire_buffers.1 > DEFAULT_WIRE_BUFFERS
        || info.ugens.iter().any(|name| consort_synthdef::ugens::find(name).is_none())
}

/// Whether the server is supernova. One that does not know its version is an old scsynth.
async fn is_supernova(context: &Context) -> Result<bool> {
    match context.ask_version()?.await {
        Ok(version) => Ok(version.program == "supernova"),
        Err(error) if error.kind() == ErrorKind::RequestFailed => Ok(false),
        Err(error) => Err(error),
    }
}

impl Shared {
    /// The server printed that it refused a SynthDef. If nobody waits for it, a thread of the
    /// callbacks finds out which.
    pub(super) fn refusal_printed(self: &Arc<Self>, refusal: SynthDefRefusal) {
        if refusal.name.is_some() || !self.context.is_online() {
            return self.report_refusal(refusal);
        }
        if self.refusals.add(refusal.cause) {
            let shared = Arc::downgrade(self);
            self.callbacks.run(move || {
                if let Some(shared) = shared.upgrade() {
                    futures_lite::future::block_on(shared.report_refusals());
                }
            });
        }
    }

    /// Reports the SynthDefs that were sent since the last check and that the server refused.
    async fn report_refusals(&self) {
        // If there are no causes, an earlier call has reported them.
        while !self.refusals.causes.lock().is_empty() {
            let infos = self.context.lock().take_unchecked_synthdefs();
            let refused = self.find_refused(&infos).await;
            for refusal in refused.unwrap_or_default() {
                self.report_refusal(refusal);
            }
            // Causes that are left belong to SynthDefs that were sent in the meantime, or to none
            // that this client has sent.
            if infos.is_empty() {
                let causes = std::mem::take(&mut *self.refusals.causes.lock());
                for cause in causes {
                    self.report_refusal(SynthDefRefusal { name: None, cause });
                }
            }
        }
    }

    /// Passes a refusal to receivers of events and to the log.
    pub(crate) fn report_refusal(&self, refusal: SynthDefRefusal) {
        tracing::warn!("{refusal}");
        self.print_unheard(&refusal);
        self.publish(&Event::SynthDefRefused(refusal));
    }

    /// Waits until the server has loaded what was sent, and returns those of `infos` that it does not
    /// have, with the causes.
    ///
    /// supernova prints the names, and does not answer a probe; if another program started it, nothing
    /// is found.
    pub(crate) async fn find_refused(
        &self,
        infos: &[Arc<SynthDefInfo>],
    ) -> Result<Vec<SynthDefRefusal>> {
        let context = Context::new(self.context.clone());
        self.wait_until_loaded(&context).await?;
        let mut refused = Vec::new();
        let is_owner = self.connection().is_owner();
        let suspicious: Vec<&Arc<SynthDefInfo>> =
            infos.iter().filter(|info| is_owner || may_be_refused(info)).collect();
        if !suspicious.is_empty() && !is_supernova(&context).await? {
            for part in suspicious.chunks(MAX_PROBES) {
                let names: Vec<String> = part.iter().map(|info| info.name.clone()).collect();
                let slot = Slot::new();
                self.probe(&names, &slot)?;
                let found = SlotFuture(slot).await?;
                let missing = part.iter().zip(found).filter(|(_, found)| !found);
                refused.extend(missing.map(|(info, _)| Arc::clone(info)));
            }
        }
        self.wait_for_output(&context).await;
        let mut causes = self.refusals.causes.lock();
        let refusals = assign(&refused, &mut causes);
        Ok(refusals)
    }

    /// Waits until the server has loaded what was sent.
    async fn wait_until_loaded(&self, context: &Context) -> Result<()> {
        let request = Sync { id: context.shared().next_sync_id() }.into();
        let slot = Slot::new();
        self.wait_for(&request, &slot, LOAD_TIMEOUT)?;
        context.submit(request)?;
        SlotFuture(slot).await.map(drop)
    }

    /// Waits until everything that the server has printed so far was read. Without the output of the
    /// server it returns at once.
    async fn wait_for_output(&self, context: &Context) {
        if self.process_id().is_none() {
            return;
        }
        let (marker, slot) = self.add_console_tap();
        if context.send_message(OscMessage::new(marker, [])).is_ok() {
            // If the server prints nothing in time, the causes are unknown.
            let _ = SlotFuture(slot).await;
        }
    }

    /// Collects what the server prints until it prints the returned marker, which it does when it
    /// gets a message with this address, because it does not know such a command.
    pub(crate) fn add_console_tap(&self) -> (String, Arc<Slot<Vec<String>>>) {
        static NEXT_MARKER: AtomicU64 = AtomicU64::new(0);
        let number = NEXT_MARKER.fetch_add(1, Ordering::Relaxed);
        let marker = format!("{PRINT_MARKER_PREFIX}{number}_");
        let slot = Slot::new();
        self.console.lock().push(ConsoleTap {
            marker: marker.clone(),
            lines: Vec::new(),
            slot: slot.clone(),
            deadline: self.now() + PRINT_TIMEOUT,
        });
        self.wake_up();
        (marker, slot)
    }
}

/// The error for SynthDefs that the server refused.
pub(crate) fn refused(refusals: Vec<SynthDefRefusal>) -> Error {
    let texts: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    Error::new(ErrorKind::SynthDefRefused, texts.join("; ")).with_refusals(refusals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, ugens: &[&str]) -> Arc<SynthDefInfo> {
        Arc::new(SynthDefInfo {
            name: name.into(),
            controls: Vec::new(),
            value_count: 0,
            wire_buffers: (0, 0),
            ugens: ugens.iter().map(|name| (*name).to_owned()).collect(),
        })
    }

    fn causes(refusals: &[SynthDefRefusal]) -> Vec<(&str, RefusalCause)> {
        refusals
            .iter()
            .map(|refusal| (refusal.name.as_deref().unwrap(), refusal.cause.clone()))
            .collect()
    }

    #[test]
    fn causes_are_assigned_by_the_missing_ugen_and_then_in_order() {
        let missing = |name: &str| RefusalCause::MissingUGen(name.into());
        let wires = RefusalCause::TooFewWireBuffers;
        let other = RefusalCause::Other("name too long".into());
        let refused = [
            info("wide", &["Out", "SinOsc"]),
            info("odd", &["NoSuchUGen", "Out"]),
            info("long", &["Out"]),
        ];
        let mut all = vec![wires.clone(), missing("NoSuchUGen"), other.clone()];
        assert_eq!(
            causes(&assign(&refused, &mut all)),
            [("wide", wires.clone()), ("odd", missing("NoSuchUGen")), ("long", other.clone())]
        );
        assert_eq!(all, []);
        // From a file, the server prints the cause twice; both SynthDefs have the same one.
        let two = [info("a", &[]), info("b", &[])];
        let mut all = vec![wires.clone(), wires.clone(), wires.clone(), wires.clone()];
        assert_eq!(causes(&assign(&two, &mut all)), [("a", wires.clone()), ("b", wires.clone())]);
        // Causes that belong to other SynthDefs are left, and not guessed.
        let mut all = vec![missing("Elsewhere"), wires.clone(), other.clone()];
        let one = [info("a", &["Out"])];
        assert_eq!(causes(&assign(&one, &mut all)), [("a", RefusalCause::Unknown)]);
        assert_eq!(all, [missing("Elsewhere"), wires, other]);
    }
}
