//! SuperCollider servers: boot, connect, nodes, buses, buffers, SynthDefs and scores, blocking and async

pub mod synthdef;
pub mod ugens;
