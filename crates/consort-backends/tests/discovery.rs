//! Services of the local network: instances that announce themselves, destinations that are found,
//! and the list of what is there. Beside a foreign program, PyPI's zeroconf.

#![cfg(all(feature = "discovery", feature = "osc"))]
#![allow(clippy::print_stdout)]

mod network_support;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use consort_backends::discovery::{Discovered, Protocol, Search, discover};
use consort_backends::sacn::codec::{DISCOVERY_UNIVERSE, PORT, encode_discovery, group};
use consort_backends::{artnet, osc};
use consort_router::testing::{Performance, TestShow};
use network_support::{is_in_namespace, step};

/// The address of this computer in the network of the tests.
const HOST: &str = "10.77.0.1";

/// Searches while a show runs.
fn discover_beside(show: &mut Performance, seconds: u64) -> Discovered {
    let search = Search { interface: Some("d0".into()), duration: Duration::from_secs(seconds) };
    let searching = std::thread::spawn(move || discover(&search));
    while !searching.is_finished() {
        step(show);
    }
    searching.join().expect("no panic").expect("the interface exists")
}

#[test]
fn instances_nodes_and_sources_are_listed() {
    if !is_in_namespace("instances_nodes_and_sources_are_listed") {
        return;
    }
    let mut show = TestShow::new();
    show.backend(&osc::DESCRIPTOR, &[("mdns-name", "desk"), ("mdns-interface", "d0")]);
    show.instance(&osc::DESCRIPTOR, "tablet", &[("bind", &format!("{HOST} 9000"))]);
    let options = [("bind", "0.0.0.0 9001"), ("transport", "tcp")];
    show.instance(&osc::DESCRIPTOR, "qlab", &options);
    // Nobody else reaches it.
    show.instance(&osc::DESCRIPTOR, "local", &[("bind", "127.0.0.1 9002")]);
    show.instance(&artnet::DESCRIPTOR, "rack", &[("universe", "5")]);
    show.map("tablet./a", "probe.b");
    show.map("qlab./a", "probe.c");
    show.map("local./a", "probe.d");
    show.map("rack.1", "probe.e");
    let mut show = show.start();
    let source = std::net::UdpSocket::bind((HOST, 0)).expect("a port");
    let is_done = AtomicBool::new(false);
    let discovered = std::thread::scope(|scope| {
        // Another program of this computer, because a show does not send to itself.
        scope.spawn(|| {
            while !is_done.load(Relaxed) {
                encode_discovery([7; 16], b"Light desk", &[7], |page| {
                    let group = (group(DISCOVERY_UNIVERSE), PORT);
                    source.send_to(page, group).expect("sent");
                });
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let discovered = discover_beside(&mut show, 3);
        is_done.store(true, Relaxed);
        discovered
    });
    let found: Vec<(Protocol, &str, String, Vec<u16>)> = discovered
        .found
        .iter()
        .map(|found| {
            let address = found.addresses.first().expect("an address");
            let universes = found.universes.iter().copied().collect();
            (found.protocol, found.name.as_str(), address.to_string(), universes)
        })
        .collect();
    println!("{found:#?} {:?}", discovered.notes);
    let expected = [
        (Protocol::Osc, "tablet", "9000", vec![]),
        (Protocol::OscTcp, "qlab", "9001", vec![]),
        (Protocol::ArtNet, "rack", "6454", vec![5]),
        (Protocol::Sacn, "Light desk", "0", vec![7]),
    ];
    for (protocol, name, port, universes) in expected {
        let address = format!("{HOST}:{port}");
        let is_listed = found.iter().any(|found| {
            found.0 == protocol
                && found.1.contains(name)
                && found.2 == address
                && found.3 == universes
        });
        assert!(is_listed, "{protocol:?} {name} {address}");
    }
    assert!(!found.iter().any(|found| found.1 == "local"));
    // The port belongs to the show, which keeps it.
    assert!(discovered.notes.iter().any(|note| note.contains("6454 is in use")));
}

#[test]
fn an_interface_that_does_not_exist_is_an_error_with_those_that_do() {
    let search = Search { interface: Some("none0".into()), duration: Duration::ZERO };
    let error = discover(&search).expect_err("no interface");
    assert!(error.contains("no network interface `none0`") && error.contains("lo"), "{error}");
}

#[test]
fn a_destination_is_found_by_name_and_followed_when_it_moves() {
    if !is_in_namespace("a_destination_is_found_by_name_and_followed_when_it_moves") {
        return;
    }
    let mut west = TestShow::new();
    west.backend(&osc::DESCRIPTOR, &[("mdns-interface", "d0")]);
    west.instance(&osc::DESCRIPTOR, "out", &[("destination", "mdns:Main desk")]);
    west.map("probe.level", "out./level");
    let mut west = west.start();
    step(&mut west);
    let state = format!("{:?}", west.state("out"));
    assert!(state.contains("searching for the OSC service `Main desk`"), "{state}");
    // The second time, the service is on another port.
    for port in ["9100", "9200"] {
        let mut east = TestShow::new();
        east.backend(&osc::DESCRIPTOR, &[("mdns-name", "east"), ("mdns-interface", "d0")]);
        east.instance(&osc::DESCRIPTOR, "Main desk", &[("bind", &format!("{HOST} {port}"))]);
        east.map("Main desk./level", "probe.level");
        let mut east = east.start();
        let mut value = 0.0;
        west.until("values at the destination", |west| {
            step(&mut east);
            value = if value == 0.25 { 0.75 } else { 0.25 };
            west.send("level", value);
            !east.received().is_empty()
        });
        west.until_state("out", "up");
        east.finish();
    }
}

/// Announces a service, receives a packet, and prints who announces what.
const ZEROCONF: &str = "
import socket, sys
from zeroconf import ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

class Listener(ServiceListener):
    def add_service(self, network, kind, name):
        info = network.get_service_info(kind, name)
        if info:
            print('found', name, info.port, flush=True)
    def update_service(self, network, kind, name):
        pass
    def remove_service(self, network, kind, name):
        print('gone', name, flush=True)

receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind((sys.argv[1], 9300))
network = Zeroconf(interfaces=[sys.argv[1]])
browser = ServiceBrowser(network, '_osc._udp.local.', Listener())
network.register_service(ServiceInfo(
    '_osc._udp.local.', 'Foreign desk._osc._udp.local.',
    addresses=[socket.inet_aton(sys.argv[1])], port=9300, server='foreign.local.'))
packet, peer = receiver.recvfrom(1024)
print('received', packet[:packet.index(0)].decode(), flush=True)
sys.stdin.read()
network.close()
";

/// The interpreter with zeroconf, if it is installed.
fn python() -> Option<PathBuf> {
    let folder = match std::env::var_os("CONSORT_VENV") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv"),
    };
    let python = folder.join("bin/python");
    let has = Command::new(&python).args(["-c", "import zeroconf"]).stderr(Stdio::null()).status();
    has.is_ok_and(|status| status.success()).then_some(python)
}

/// A process that ends with its owner.
struct Foreign(Child);

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn zeroconf_finds_an_instance_and_is_found() {
    let Some(python) = python() else {
        let message = "no zeroconf (pip install -r tests/packages.pypi)";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "missing peer: {message}");
        return println!("SKIPPED: {message}");
    };
    if !is_in_namespace("zeroconf_finds_an_instance_and_is_found") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("output");
    let file = std::fs::File::create(&output).expect("a file");
    let mut command = Command::new(python);
    command.args(["-c", ZEROCONF, HOST]).stdin(Stdio::piped()).stdout(file);
    let _foreign = Foreign(command.spawn().expect("a process"));
    let printed = || std::fs::read_to_string(&output).unwrap_or_default();
    let mut show = TestShow::new();
    show.backend(&osc::DESCRIPTOR, &[("mdns-name", "desk"), ("mdns-interface", "d0")]);
    let options = [("bind", "10.77.0.1 9301"), ("destination", "mdns:Foreign desk")];
    show.instance(&osc::DESCRIPTOR, "Stage [left]", &options);
    show.map("probe.level", "Stage [left]./level");
    let mut show = show.start();
    let mut value = 0.0;
    show.until("a packet at the foreign program, and its list", |show| {
        value = if value == 0.25 { 0.75 } else { 0.25 };
        show.send("level", value);
        let printed = printed();
        printed.contains("received /level")
            && printed.contains("found Stage [left]._osc._udp.local. 9301")
    });
    let discovered = discover_beside(&mut show, 2);
    let foreign = discovered.found.iter().find(|found| found.name == "Foreign desk");
    let address: SocketAddr = (Ipv4Addr::new(10, 77, 0, 1), 9300).into();
    assert_eq!(foreign.expect("listed").addresses, [address]);
    show.finish();
    drop(show);
    let mut turns = TestShow::new().start();
    turns.until("the announcement to be withdrawn", |_| {
        printed().contains("gone Stage [left]._osc._udp.local.")
    });
    println!("{}", printed());
}
