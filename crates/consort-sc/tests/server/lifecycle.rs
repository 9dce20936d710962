//! The nine cases of a server's lifecycle as lists of events, compared with Supriya's.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use consort_sc::*;

use crate::rig::*;

pub(crate) const CASES: &[(&str, fn())] = &[
    ("lifecycle::nine_cases", nine_cases),
    ("lifecycle::stopped_process_is_killed", stopped_process_is_killed),
    ("lifecycle::callbacks_and_futures", callbacks_and_futures),
    ("lifecycle::no_orphans_no_zombies", no_orphans_no_zombies),
    ("lifecycle::dropping_quits_or_logs_out", dropping_quits_or_logs_out),
    ("lifecycle::a_failed_boot_reports_the_cause", a_failed_boot_reports_the_cause),
    ("lifecycle::health_lost_as_owner_then_boot", health_lost_as_owner_then_boot),
];

/// Short deadlines, to detect a lost server quickly.
pub(crate) fn quick() -> Timeouts {
    let health = HealthCheck {
        interval: Duration::from_millis(50),
        timeout: Duration::from_millis(100),
        ..HealthCheck::default()
    };
    Timeouts {
        quit: Duration::from_millis(500),
        exit: Duration::from_millis(300),
        health,
        ..Timeouts::default()
    }
}

fn lifecycle_events(server: &Server) -> EventReceiver {
    server.events(EventFilter::default())
}

/// The lifecycle events that have arrived.
fn taken(events: &EventReceiver) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(event) = events.try_next() {
        if let Event::Lifecycle(event) = event {
            names.push(event.to_string());
        }
    }
    names
}

/// Lifecycle events up to and including `last`.
fn until(events: &EventReceiver, last: LifecycleEvent) -> Vec<String> {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    let mut names = Vec::new();
    while Instant::now() < deadline {
        match events.next_timeout(Duration::from_millis(100)) {
            Some(Event::Lifecycle(event)) => {
                names.push(event.to_string());
                if event == last {
                    return names;
                }
            }
            _ => continue,
        }
    }
    panic!("{last} did not arrive: {names:?}");
}

/// The events of this crate in the nine cases.
fn ours() -> Vec<(&'static str, Vec<String>)> {
    let mut lists = Vec::new();
    let server = Server::new(options()).unwrap();
    let events = lifecycle_events(&server);
    server.boot().unwrap();
    lists.push(("boot", taken(&events)));
    server.quit().unwrap();
    lists.push(("quit", taken(&events)));

    let owner = booted_with(Options { maximum_logins: 8, ..options() });
    let client = Server::new(owner.options()).unwrap();
    let events = lifecycle_events(&client);
    client.connect().unwrap();
    lists.push(("connect", taken(&events)));
    client.disconnect().unwrap();
    lists.push(("disconnect", taken(&events)));
    let client = connected(&owner);
    let events = lifecycle_events(&client);
    client.force_quit().unwrap();
    lists.push(("forced_quit", taken(&events)));

    let server = booted();
    let events = lifecycle_events(&server);
    kill(server.process_id().unwrap());
    lists.push(("process_exits", until(&events, LifecycleEvent::Quit)));

    let unbootable = Options { executable: Some(PathBuf::from("/bin/false")), ..options() };
    let server = Server::new(unbootable).unwrap();
    let events = lifecycle_events(&server);
    assert_eq!(server.boot().unwrap_err().kind(), ErrorKind::ServerCannotBoot);
    lists.push(("cannot_boot", taken(&events)));

    let owner = booted();
    let client = Server::new(owner.options()).unwrap();
    let events = lifecycle_events(&client);
    let error = client.connect().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyClients);
    assert!(error.to_string().contains("maximum_logins"), "{error}");
    lists.push(("too_many_clients", taken(&events)));

    let owner = booted_with(Options { maximum_logins: 2, ..options() });
    let client = connected(&owner);
    client.set_timeouts(quick());
    let events = lifecycle_events(&client);
    stop(owner.process_id().unwrap());
    lists.push(("health_lost", until(&events, LifecycleEvent::Disconnected)));
    owner.set_timeouts(quick());
    lists
}

#[allow(clippy::print_stdout)] // The lists are part of the test's output.
fn nine_cases() {
    let documented = [
        ("boot", "BOOTING PROCESS_BOOTED CONNECTING OSC_CONNECTED CONNECTED BOOTED"),
        ("quit", "QUITTING DISCONNECTING OSC_DISCONNECTED DISCONNECTED PROCESS_QUIT QUIT"),
        ("connect", "CONNECTING OSC_CONNECTED CONNECTED"),
        ("disconnect", "DISCONNECTING OSC_DISCONNECTED DISCONNECTED"),
        ("forced_quit", "QUITTING DISCONNECTING OSC_DISCONNECTED DISCONNECTED QUIT"),
        ("process_exits", "PROCESS_PANICKED OSC_PANICKED DISCONNECTING DISCONNECTED QUIT"),
        ("cannot_boot", "BOOTING PROCESS_PANICKED"),
        ("too_many_clients", "CONNECTING DISCONNECTING DISCONNECTED"),
        ("health_lost", "OSC_PANICKED DISCONNECTING DISCONNECTED"),
    ];
    let ours = ours();
    for ((case, expected), (name, list)) in documented.iter().zip(&ours) {
        assert_eq!(case, name);
        assert_eq!(list.join(" "), *expected, "{case}");
    }
    match crate::supriya::lifecycle() {
        Ok(theirs) => {
            for ((name, list), (case, their_list)) in ours.iter().zip(&theirs) {
                let list = list.join(" ");
                let their_list = their_list.join(" ");
                let mark = if list == their_list { "equal  " } else { "differs" };
                println!("    {mark} {name:17} {list}");
                assert_eq!(name, case);
                assert_eq!(list, their_list, "{name}: this crate's and Supriya's events differ");
            }
        }
        Err(reason) => {
            for (name, list) in &ours {
                println!("    {name:17} {}", list.join(" "));
            }
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{reason}");
            println!("SKIPPED: comparison with Supriya: {reason}");
        }
    }
}

fn stopped_process_is_killed() {
    let server = booted();
    server.set_timeouts(quick());
    let process = server.process_id().unwrap();
    let events = lifecycle_events(&server);
    stop(process);
    let start = Instant::now();
    server.quit().unwrap();
    assert!(start.elapsed() < WAIT_TIMEOUT, "quitting took {:?}", start.elapsed());
    assert!(!exists(process), "the stopped process still exists");
    assert_eq!(taken(&events).last().map(String::as_str), Some("QUIT"));
    server.boot().unwrap();
    server.sync().unwrap();
}

fn callbacks_and_futures() {
    let server = Server::new(options()).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let once_sender = sender.clone();
    let handle = server.register_lifecycle_callback(LifecycleEvent::ALL, false, move |event| {
        // The receiver is gone when the test ends.
        let _ = sender.send(("all", event));
    });
    server.register_lifecycle_callback_async([LifecycleEvent::Booted], true, move |event| {
        let once_sender = once_sender.clone();
        async move { once_sender.send(("once", event)).unwrap() }
    });
    server.register_lifecycle_callback([LifecycleEvent::Booting], false, |_| {
        panic!("expected in this test");
    });
    server.boot().unwrap();
    assert!(futures_lite::future::block_on(server.boot_future()).unwrap());
    let exit = server.exit_future();
    server.quit().unwrap();
    assert!(futures_lite::future::block_on(exit).unwrap());
    server.boot().unwrap();
    let exit = server.exit_future();
    kill(server.process_id().unwrap());
    assert!(!futures_lite::future::block_on(exit).unwrap());
    let mut received = Vec::new();
    while !received.iter().any(|(_, event)| *event == LifecycleEvent::ProcessPanicked) {
        received.push(receiver.recv_timeout(WAIT_TIMEOUT).unwrap());
    }
    let count = |callback: &str, event: LifecycleEvent| {
        received.iter().filter(|entry| **entry == (callback, event)).count()
    };
    assert_eq!(count("all", LifecycleEvent::Booted), 2);
    assert_eq!(count("once", LifecycleEvent::Booted), 1);
    handle.unregister();
}

fn no_orphans_no_zombies() {
    // A program that boots a server and is then killed: this program as its own child.
    if let Some(port) = std::env::var_os("CONSORT_TEST_ORPHAN") {
        let options = Options { port: port.to_str().unwrap().parse().unwrap(), ..options() };
        let server = booted_with(options);
        std::fs::write(
            std::env::var_os("CONSORT_TEST_ORPHAN_FILE").unwrap(),
            server.process_id().unwrap().to_string(),
        )
        .unwrap();
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("process");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("lifecycle::no_orphans_no_zombies")
        .env(JACK_VARIABLE, jack_name())
        .env("CONSORT_TEST_ORPHAN", free_port().to_string())
        .env("CONSORT_TEST_ORPHAN_FILE", &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut process = 0;
    eventually("the child boots a server", || {
        process =
            std::fs::read_to_string(&file).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        process != 0
    });
    assert!(is_running(process));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the server exits with its owner", || !is_running(process));

    let server = booted();
    let process = server.process_id().unwrap();
    kill(process);
    eventually("the killed process is reaped", || !exists(process));
    eventually("the server is offline", || server.boot_status() == BootStatus::Offline);
}

fn dropping_quits_or_logs_out() {
    let owner = booted_with(Options { maximum_logins: 2, ..options() });
    let process = owner.process_id().unwrap();
    let client = connected(&owner);
    drop(client);
    owner.sync().unwrap();
    let client = connected(&owner);
    assert_eq!(client.client_id(), 1, "a dropped client kept its login");
    drop(owner);
    assert!(!exists(process), "the server outlived its dropped owner");
    eventually("the client notices", || client.boot_status() == BootStatus::Offline);
}

fn a_failed_boot_reports_the_cause() {
    let server = booted();
    let port = server.options().port;
    let error = Server::new(Options { port, ..options() }).unwrap().boot().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerCannotBoot);
    let text = error.to_string();
    assert!(
        text.contains(&format!("port {port} is in use")) && text.contains("it printed"),
        "{text}"
    );
    let missing = Options { executable: Some("no-such-synth".into()), ..options() };
    let start = Instant::now();
    let error = Server::new(missing).unwrap().boot().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ServerCannotBoot);
    assert!(error.to_string().contains("apt install"), "{error}");
    assert!(start.elapsed() < WAIT_TIMEOUT);
    let invalid = Options { verbosity: 77, ..options() };
    assert_eq!(Server::new(invalid).unwrap_err().kind(), ErrorKind::InvalidOptions);
    // Without a JACK server, the error contains the output of the process.
    let mut without_jack = options();
    without_jack.environment[0].1 = "consort-no-such-jack".into();
    let error = Server::new(without_jack).unwrap().boot().unwrap_err();
    assert!(error.to_string().contains("it printed"), "{error}");
    // A process that never becomes ready is killed after the deadline.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sleeper");
    std::fs::write(&path, "#!/bin/sh\necho waiting for nothing\nexec sleep 1000\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let timeouts = Timeouts { boot: Duration::from_secs(2), ..Timeouts::default() };
    let slow = Options { executable: Some(path), ..options() };
    let server = Server::with_timeouts(slow, None, timeouts).unwrap();
    let error = server.boot().unwrap_err();
    assert!(error.to_string().contains("waiting for nothing"), "{error}");
    assert_eq!(server.process_id(), None);
}

fn health_lost_as_owner_then_boot() {
    let server = booted();
    server.set_timeouts(quick());
    let process = server.process_id().unwrap();
    let events = lifecycle_events(&server);
    stop(process);
    assert_eq!(
        until(&events, LifecycleEvent::Quit).join(" "),
        "OSC_PANICKED DISCONNECTING DISCONNECTED QUIT"
    );
    assert!(!exists(process), "the stopped process still exists");
    server.boot().unwrap();
    server.sync().unwrap();
}
