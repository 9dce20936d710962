//! Scripts as processes: what the languages share.
//!
//! Each instance of a script language runs its script in a *worker*, a process of its own that is
//! connected with two pipes:
//!
//! ```text
//!  router ── deliver ──► queue ──► pipe ──► worker ──► handler(value)
//!  router ◄── ready ─────────────── pipe ◄── output(name, value)
//! ```
//!
//! The worker keeps a copy of all state that a script can query, so no function of a script makes
//! a round trip. A script that is slow, crashes or floods the show affects no other instance.
//!
//! | module | content |
//! |---|---|
//! | `language` | what distinguishes the languages |
//! | `plan` | a configured instance |
//! | `instance` | a running instance: the life of its worker, and the connection to it |
//! | `queue` | values that wait for the worker |
//! | `protocol` | the frames on the pipes |
//! | `program` | this program as a worker |
//! | `guard` | ends what scripts leave behind |
//! | `services`, `process`, `output` | starting processes, and forwarding what they print |

mod guard;
mod instance;
mod language;
mod output;
mod plan;
mod process;
pub(crate) mod program;
pub mod protocol;
mod queue;
mod services;

pub(crate) use language::{Language, Scripts, WorkerProgram};
pub(crate) use plan::ScriptPlan;
pub use program::{WorkerCommand, serve_if_worker, set_worker_command};
pub(crate) use services::ScriptDriver;
