//! The recovery journal: what a stream has changed since a packet that the receiver has certainly
//! got, so that the next packet repairs the loss of any before it (RFC 6295, sections 4 and 5, and
//! appendices A and B).
//!
//! | module | content |
//! |---|---|
//! | `state` | the state of a stream, which senders and receivers record alike |
//! | `parameters` | registered and non-registered parameters within it |
//! | `write` | the journal of a state |
//! | `read` | the entries of a journal |
//! | `repair` | the messages that bring a receiver's state to that of a journal |

pub(super) mod parameters;
pub(super) mod read;
pub(super) mod repair;
pub(super) mod state;
pub(super) mod write;
