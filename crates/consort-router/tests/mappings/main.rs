//! Mappings that transform: stages, layers, takeover, feedback, held presses, echoes and merging.
//! Time is the test's: nothing sleeps.

mod layers;
mod properties;
mod stages;
mod support;
mod takeover;
