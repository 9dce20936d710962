//! How requests are written where a server accepts several forms.

use std::sync::Arc;

use consort_osc::OscMessage;

use super::Context;
use crate::SynthDefInfo;
use crate::pending::Slot;
use crate::requests::Request;
use crate::values::{ControlKey, ControlValue, Settings};

/// How requests are written where a server accepts several forms. The effect on the server is the
/// same; the bytes differ.
///
/// The default writes what the caller gives, in the caller's order. [`Conventions::supriya`] makes
/// the same calls send the same datagrams as Supriya's contexts, for programs that compare them, and
/// for a front that promises this.
///
/// ```
/// use consort_sc::score::Nonrealtime;
/// use consort_sc::{Conventions, Options};
///
/// let score = Nonrealtime::new(Options::default())?;
/// score.set_conventions(Conventions { sort_settings: true, ..Conventions::default() });
/// # Ok::<(), consort_sc::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conventions {
    /// Settings of a new synth are sent in the order of the SynthDef's controls, as far as they are
    /// known; those of other requests by index, then by name. Of several settings of one control,
    /// the order remains.
    pub sort_settings: bool,
    /// Settings of a new synth that equal the SynthDef's defaults are left out.
    pub omit_defaults: bool,
    /// Consecutive `/b_set`, `/b_setn` or `/b_fill` of a moment are merged into one for each
    /// buffer, in the order of the buffers' ids. By default only those of the same buffer that
    /// directly follow each other are merged.
    pub merge_by_buffer: bool,
    /// `query_tree` sends `/g_queryTree` alone. A tree that does not fit into the server's reply
    /// then ends with a timeout. By default a `/sync` is bundled with it, which shows that the
    /// server did not answer, and the tree is assembled from several replies.
    pub plain_tree_queries: bool,
}

impl Conventions {
    /// The forms that Supriya 26 sends.
    pub const fn supriya() -> Self {
        Self {
            sort_settings: true,
            omit_defaults: true,
            merge_by_buffer: true,
            plain_tree_queries: true,
        }
    }

    /// The settings of a new synth.
    pub(super) fn apply_to_new_synth(
        self,
        mut settings: Settings,
        info: Option<&Arc<SynthDefInfo>>,
    ) -> Settings {
        if self.omit_defaults
            && let Some(info) = info
        {
            settings.retain(|(key, value)| !is_default(info, key, value));
        }
        if self.sort_settings {
            match info {
                Some(info) => settings.sort_by_key(|(key, _)| match key {
                    ControlKey::Index(index) => *index,
                    ControlKey::Name(name) => info
                        .controls
                        .iter()
                        .find(|control| control.name == *name)
                        .map_or(u32::MAX, |control| control.index),
                }),
                None => sort(&mut settings),
            }
        }
        settings
    }

    /// The entries of another request about controls.
    pub(super) fn apply_to_entries<T>(self, entries: &mut [T])
    where
        T: Keyed,
    {
        if self.sort_settings {
            sort(entries);
        }
    }

    /// The requests of a moment or completion, and those of them that wait for replies.
    pub(super) fn apply_to_requests(
        self,
        requests: Vec<Request>,
        waiting: &mut [(usize, Arc<Slot<OscMessage>>)],
    ) -> Vec<Request> {
        if !self.merge_by_buffer || !requests.iter().any(|request| buffer_of(request).is_some()) {
            return requests;
        }
        // The new index of each request.
        let mut indices = Vec::with_capacity(requests.len());
        let mut result: Vec<Request> = Vec::with_capacity(requests.len());
        let mut rest = requests.into_iter().peekable();
        while let Some(first) = rest.next() {
            if buffer_of(&first).is_none() {
                indices.push(result.len());
                result.push(first);
                continue;
            }
            let kind = std::mem::discriminant(&first);
            let mut run = vec![first];
            while let Some(next) = rest.next_if(|next| std::mem::discriminant(next) == kind) {
                run.push(next);
            }
            // None of these requests has a reply, so that their indices need not be exact.
            indices.extend(std::iter::repeat_n(result.len(), run.len()));
            run.sort_by_key(buffer_of);
            let start = result.len();
            for request in run {
                let is_merged = result.len() > start
                    && result.last_mut().is_some_and(|last| last.merge(&request));
                if !is_merged {
                    result.push(request);
                }
            }
        }
        for (index, _) in waiting {
            *index = indices.get(*index).copied().unwrap_or(*index);
        }
        result
    }
}

/// The buffer of a request that can be merged by buffer.
fn buffer_of(request: &Request) -> Option<u32> {
    match request {
        Request::SetBuffer(request) => Some(request.id),
        Request::SetBufferRange(request) => Some(request.id),
        Request::FillBuffer(request) => Some(request.id),
        _ => None,
    }
}

/// An entry of a request with the control that it is about.
pub(super) trait Keyed {
    fn key(&self) -> &ControlKey;
}

impl<A> Keyed for (ControlKey, A) {
    fn key(&self) -> &ControlKey {
        &self.0
    }
}

impl<A, B> Keyed for (ControlKey, A, B) {
    fn key(&self) -> &ControlKey {
        &self.0
    }
}

/// Sorts entries by index, then by name.
fn sort<T: Keyed>(entries: &mut [T]) {
    entries.sort_by(|one, other| match (one.key(), other.key()) {
        (ControlKey::Index(one), ControlKey::Index(other)) => one.cmp(other),
        (ControlKey::Name(one), ControlKey::Name(other)) => one.cmp(other),
        (ControlKey::Index(_), ControlKey::Name(_)) => std::cmp::Ordering::Less,
        (ControlKey::Name(_), ControlKey::Index(_)) => std::cmp::Ordering::Greater,
    });
}

/// Whether a setting equals the default of its control.
fn is_default(info: &SynthDefInfo, key: &ControlKey, value: &ControlValue) -> bool {
    let control = info.controls.iter().find(|control| match key {
        ControlKey::Index(index) => control.index == *index,
        ControlKey::Name(name) => control.name == *name,
    });
    let Some(control) = control else { return false };
    match value {
        ControlValue::Float(value) => control.values == [*value],
        ControlValue::Array(values) => {
            values.len() == control.values.len()
                && values
                    .iter()
                    .zip(&control.values)
                    .all(|(value, default)| *value == ControlValue::Float(*default))
        }
        ControlValue::Map(_) => false,
    }
}

impl Context {
    /// How requests are written.
    pub fn conventions(&self) -> Conventions {
        self.shared().lock().conventions
    }

    /// Sets how the requests of all clones of this context are written from now on.
    pub fn set_conventions(&self, conventions: Conventions) {
        self.shared().lock().conventions = conventions;
    }
}
