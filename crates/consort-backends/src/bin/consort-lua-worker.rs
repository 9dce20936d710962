//! The worker of Lua instances as a program of its own: for programs that embed the library and
//! cannot call [`serve_if_worker`](consort_backends::worker::serve_if_worker) themselves, and for
//! the tests.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    consort_backends::worker::serve_if_worker();
    let _ = std::io::stderr().write_all(b"this program is started by a running show\n");
    ExitCode::from(2)
}
