//! SuperCollider servers: boot, connect, nodes, buses, buffers, SynthDefs and scores, blocking and async

#[doc(hidden)]
pub mod fuzz;
pub mod score;
pub mod synthdef;
pub mod ugens;
