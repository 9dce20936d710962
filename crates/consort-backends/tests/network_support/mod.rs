//! A network of one computer, in which names are announced and found.
#![allow(clippy::print_stdout)]

use std::process::Command;

use consort_router::testing::Performance;

/// Runs a test of this program in a network namespace, because multicast leaves the computer
/// otherwise. Returns whether this is the run in the namespace.
pub(crate) fn is_in_namespace(test: &str) -> bool {
    if std::env::var_os("CONSORT_TEST_NAMESPACE").is_some() {
        return true;
    }
    let set_up = "ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d1 up \
                  && ip link set d0 multicast on up \
                  && ip address add 10.77.0.1/24 dev d0 && exec \"$0\" \"$@\"; exit 77";
    let program = std::env::current_exe().expect("a path");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", set_up]).arg(program);
    command.args(["--exact", test, "--nocapture"]).env("CONSORT_TEST_NAMESPACE", "1");
    match command.status() {
        // The kernel, or the container, does not allow it.
        Err(_) => println!("SKIPPED: no unshare"),
        Ok(status) if matches!(status.code(), Some(1 | 77)) => {
            println!("SKIPPED: no network namespaces");
        }
        Ok(status) => assert!(status.success(), "{status}"),
    }
    false
}

/// One turn of a show.
pub(crate) fn step(show: &mut Performance) {
    let mut turns = 0;
    show.until("a turn", |_| {
        turns += 1;
        turns > 1
    });
}
