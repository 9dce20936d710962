//! Timers, statistics and reports of the workspace's benchmarks.
//!
//! A benchmark measures its *subjects* (this project's code, a *floor* that does the least work
//! possible, and a *peer* that does the same task) in turns ([`interleave`], [`Timed`]), so that
//! other load on the machine affects all of them alike, and takes medians ([`Samples`]). It then
//! prints a line for each figure with [`report`]:
//!
//! ```
//! use consort_bench::{Budget, report};
//!
//! let is_met = report("decode /x/y ,f", "ns")
//!     .floor(20.0)
//!     .peer("rosc", 80.0)
//!     .ours(21.0)
//!     .budget(Budget::AtMostFloor(1.1))
//!     .print();
//! assert_eq!(is_met, Some(true));
//! ```
//!
//! If the environment variable `CONSORT_BENCH_RESULTS` names a file, each report also appends a
//! line of JSON to it. `tests/bench/run` sets the variable, and `tests/bench/table` prints the file
//! as a table.

mod allocations;
mod processes;
mod report;
mod statistics;
mod timers;

pub use allocations::{CountingAllocator, allocations, thread_allocations};
pub use processes::{
    child_processes, peak_memory, pin_thread, process_time, resident_memory, thread_time,
    time_of_main_thread, time_of_process, wake_ups,
};
pub use report::{Budget, Report, report};
pub use statistics::{Histogram, Interval, Samples, median, median_difference, median_ratio};
pub use timers::{Timed, interleave, interleave_calls, milliseconds, nanoseconds_per_call};
