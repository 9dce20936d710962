//! Preparations of inputs that UGens of several families share.

use crate::signal::Signal;
use crate::spec::UGenDraft;

/// A parameter that is not given has the value of the parameter before it.
pub(super) fn copy_previous(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    for index in 1..draft.inputs.len() {
        draft.inputs[index] = draft.inputs[index].or(draft.inputs[index - 1]);
    }
    Ok(())
}

/// A done action that is a number must be one of the server's.
pub(super) fn integer_done_action(draft: &mut UGenDraft<'_>) -> Result<(), String> {
    let position = draft.spec.position("done_action").unwrap_or(0);
    if let Some(action) = draft.number(position) {
        if !(0.0..15.0).contains(&action) {
            return Err(format!("invalid done action {action}: expected 0 to 14"));
        }
        draft.inputs[position] = Some(Signal::number(action.trunc()));
    }
    Ok(())
}
