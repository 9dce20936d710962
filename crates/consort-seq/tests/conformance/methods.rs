//! The table of python-alsa-midi's methods: for each, the corresponding method of this library,
//! the request behind it, and the case that tests it on both engines.
//! `docs/sequencer-methods.md` is generated from it.

use std::path::{Path, PathBuf};

use crate::CASES;

/// A method of python-alsa-midi and what corresponds to it.
struct Row {
    /// Method of python-alsa-midi.
    peer: &'static str,
    /// Type and method of this library.
    own: &'static str,
    /// The ioctl or system call behind it.
    request: &'static str,
    /// The case that tests it: module and name.
    case: &'static str,
}

const fn row(
    peer: &'static str,
    own: &'static str,
    request: &'static str,
    case: &'static str,
) -> Row {
    Row { peer, own, request, case }
}

const CLIENT: &[Row] = &[
    row(
        "SequencerClient()",
        "ClientBuilder::open",
        "open, PVERSION, USER_PVERSION, CLIENT_ID, SET_CLIENT_INFO",
        "clients::a_new_client",
    ),
    row(
        "AsyncSequencerClient()",
        "ClientBuilder::open_async",
        "open, PVERSION, USER_PVERSION, CLIENT_ID, SET_CLIENT_INFO",
        "asynchronous::input_and_output",
    ),
    row("close", "ClientBase::close", "close", "buffers::closing_ends_a_wait"),
    row("create_port", "ClientBase::create_port", "CREATE_PORT", "connections::a_new_port"),
    row("create_queue", "ClientBase::create_queue", "CREATE_QUEUE", "queues::a_new_queue"),
    row(
        "create_queue(info=…)",
        "ClientBase::create_queue_from",
        "CREATE_QUEUE",
        "queues::queue_info_can_be_set",
    ),
    row(
        "drain_output",
        "SequencerClient::drain_output",
        "write, poll",
        "buffers::output_is_buffered_until_drained",
    ),
    row(
        "drop_input",
        "ClientBase::drop_input",
        "REMOVE_EVENTS",
        "remove::dropping_input_and_output",
    ),
    row(
        "drop_input_buffer",
        "ClientBase::drop_input_buffer",
        "none",
        "remove::dropping_input_and_output",
    ),
    row(
        "drop_output",
        "ClientBase::drop_output",
        "REMOVE_EVENTS",
        "remove::dropping_input_and_output",
    ),
    row(
        "drop_output_buffer",
        "ClientBase::drop_output_buffer",
        "none",
        "remove::dropping_input_and_output",
    ),
    row(
        "event_input",
        "SequencerClient::event_input",
        "read, poll",
        "buffers::a_wait_uses_no_processor_time",
    ),
    row(
        "event_input(prefer_bytes=True)",
        "SequencerClient::event_input_prefer_bytes",
        "read, poll",
        "buffers::midi_bytes_are_encoded_and_decoded",
    ),
    row(
        "event_input_pending",
        "ClientBase::event_input_pending",
        "read",
        "buffers::event_input_pending_may_read_from_the_sequencer_first",
    ),
    row(
        "event_output",
        "SequencerClient::event_output",
        "write when the buffer is full",
        "delivery::routing_overrides_the_events_own_addresses",
    ),
    row(
        "event_output(MidiBytesEvent)",
        "SequencerClient::midi_bytes_output",
        "write when the buffer is full",
        "buffers::midi_bytes_are_encoded_and_decoded",
    ),
    row(
        "event_output_buffer",
        "ClientBase::event_output_buffer",
        "none",
        "buffers::the_output_buffer_has_16_kib",
    ),
    row(
        "event_output_direct",
        "SequencerClient::event_output_direct",
        "write, poll",
        "delivery::direct_output_overtakes_the_buffer",
    ),
    row(
        "event_output_pending",
        "ClientBase::event_output_pending",
        "none",
        "buffers::output_is_buffered_until_drained",
    ),
    row(
        "extract_output",
        "ClientBase::extract_output",
        "none",
        "delivery::a_failing_event_stays_at_the_head",
    ),
    row(
        "get_client_info",
        "ClientBase::get_client_info",
        "GET_CLIENT_INFO",
        "clients::a_new_client",
    ),
    row(
        "get_client_info(client_id)",
        "ClientBase::get_any_client_info",
        "GET_CLIENT_INFO",
        "numbers::system_and_midi_through_exist",
    ),
    row(
        "get_client_pool",
        "ClientBase::get_client_pool",
        "GET_CLIENT_POOL",
        "pools::sizes_of_a_new_client",
    ),
    row(
        "get_input_buffer_size",
        "ClientBase::get_input_buffer_size",
        "none",
        "buffers::buffer_sizes_can_be_set",
    ),
    row(
        "get_named_queue",
        "ClientBase::get_named_queue",
        "GET_NAMED_QUEUE, SET_QUEUE_CLIENT",
        "queues::names_owners_and_usage",
    ),
    row(
        "get_output_buffer_size",
        "ClientBase::get_output_buffer_size",
        "none",
        "buffers::the_output_buffer_has_16_kib",
    ),
    row("get_port_info", "ClientBase::get_port_info", "GET_PORT_INFO", "connections::a_new_port"),
    row(
        "get_queue",
        "ClientBase::get_queue",
        "GET_QUEUE_INFO, SET_QUEUE_CLIENT",
        "queues::names_owners_and_usage",
    ),
    row(
        "get_queue_info",
        "ClientBase::get_queue_info",
        "GET_QUEUE_INFO",
        "queues::queue_info_can_be_set",
    ),
    row(
        "get_queue_status",
        "ClientBase::get_queue_status",
        "GET_QUEUE_STATUS",
        "queues::start_stop_continue_and_position",
    ),
    row(
        "get_sequencer_name",
        "ClientBase::get_sequencer_name",
        "none",
        "clients::the_sequencer_reports_its_name_and_type",
    ),
    row(
        "get_sequencer_type",
        "ClientBase::get_sequencer_type",
        "none",
        "clients::the_sequencer_reports_its_name_and_type",
    ),
    row(
        "get_system_info",
        "ClientBase::get_system_info",
        "SYSTEM_INFO",
        "numbers::system_info_counts",
    ),
    row(
        "list_port_subscribers",
        "ClientBase::list_port_subscribers",
        "QUERY_SUBS",
        "connections::subscribers_are_listed",
    ),
    row(
        "list_ports",
        "ClientBase::list_ports",
        "QUERY_NEXT_CLIENT, QUERY_NEXT_PORT",
        "discovery::ports_are_listed_by_direction_and_type",
    ),
    row(
        "list_ports(sort=True)",
        "ClientBase::list_ports",
        "QUERY_NEXT_CLIENT, QUERY_NEXT_PORT",
        "discovery::the_most_useful_port_comes_first",
    ),
    row(
        "query_named_queue",
        "ClientBase::query_named_queue",
        "GET_NAMED_QUEUE",
        "queues::names_owners_and_usage",
    ),
    row(
        "query_next_client",
        "ClientBase::query_next_client",
        "QUERY_NEXT_CLIENT",
        "clients::clients_can_be_enumerated",
    ),
    row(
        "query_next_port",
        "ClientBase::query_next_port",
        "QUERY_NEXT_PORT",
        "connections::ports_can_be_enumerated",
    ),
    row(
        "query_port_subscribers",
        "ClientBase::query_port_subscribers",
        "QUERY_SUBS",
        "connections::subscribers_are_listed",
    ),
    row(
        "remove_events",
        "ClientBase::remove_events",
        "REMOVE_EVENTS",
        "remove::removal_by_type_tag_and_channel",
    ),
    row(
        "set_client_event_filter",
        "ClientBase::set_client_event_filter",
        "GET_CLIENT_INFO, SET_CLIENT_INFO",
        "clients::an_event_filter_accepts_the_types_it_names",
    ),
    row(
        "set_client_info",
        "ClientBase::set_client_info",
        "SET_CLIENT_INFO",
        "clients::client_info_can_be_set",
    ),
    row(
        "set_client_pool",
        "ClientBase::set_client_pool",
        "SET_CLIENT_POOL",
        "pools::sizes_can_be_set_up_to_2000",
    ),
    row(
        "set_client_pool_input",
        "ClientBase::set_client_pool_input",
        "GET_CLIENT_POOL, SET_CLIENT_POOL",
        "pools::sizes_can_be_set_up_to_2000",
    ),
    row(
        "set_client_pool_output",
        "ClientBase::set_client_pool_output",
        "GET_CLIENT_POOL, SET_CLIENT_POOL",
        "pools::sizes_can_be_set_up_to_2000",
    ),
    row(
        "set_client_pool_output_room",
        "ClientBase::set_client_pool_output_room",
        "GET_CLIENT_POOL, SET_CLIENT_POOL",
        "pools::sizes_can_be_set_up_to_2000",
    ),
    row(
        "set_input_buffer_size",
        "ClientBase::set_input_buffer_size",
        "none",
        "buffers::buffer_sizes_can_be_set",
    ),
    row(
        "set_output_buffer_size",
        "ClientBase::set_output_buffer_size",
        "none",
        "buffers::buffer_sizes_can_be_set",
    ),
    row(
        "set_port_info",
        "ClientBase::set_port_info",
        "SET_PORT_INFO",
        "connections::port_info_can_be_set",
    ),
    row(
        "set_queue_info",
        "ClientBase::set_queue_info",
        "SET_QUEUE_INFO",
        "queues::queue_info_can_be_set",
    ),
    row(
        "subscribe_port",
        "ClientBase::subscribe_port",
        "SUBSCRIBE_PORT",
        "connections::foreign_ports_can_be_connected",
    ),
    row(
        "sync_output_queue",
        "SequencerClient::sync_output_queue",
        "GET_CLIENT_POOL, SET_CLIENT_POOL, poll",
        "buffers::syncing_waits_for_delivery",
    ),
    row(
        "unsubscribe_port",
        "ClientBase::unsubscribe_port",
        "UNSUBSCRIBE_PORT",
        "connections::foreign_ports_can_be_connected",
    ),
];

const ASYNCHRONOUS: &[Row] = &[
    row(
        "AsyncSequencerClient.aclose",
        "AsyncSequencerClient::close",
        "close",
        "asynchronous::closing_ends_a_wait",
    ),
    row(
        "AsyncSequencerClient.event_input",
        "AsyncSequencerClient::event_input",
        "read, poll",
        "asynchronous::two_waiting_tasks_both_get_an_event",
    ),
    row(
        "AsyncSequencerClient.event_output",
        "AsyncSequencerClient::event_output",
        "write, poll",
        "asynchronous::output_waits_for_room",
    ),
    row(
        "AsyncSequencerClient.event_output_direct",
        "AsyncSequencerClient::event_output_direct",
        "write, poll",
        "asynchronous::output_waits_for_room",
    ),
    row(
        "AsyncSequencerClient.drain_output",
        "AsyncSequencerClient::drain_output",
        "write, poll",
        "asynchronous::output_waits_for_room",
    ),
];

const PORT_AND_QUEUE: &[Row] = &[
    row("Port.get_info", "Port::get_info", "GET_PORT_INFO", "connections::a_new_port"),
    row("Port.set_info", "Port::set_info", "SET_PORT_INFO", "connections::port_info_can_be_set"),
    row(
        "Port.list_subscribers",
        "Port::list_subscribers",
        "QUERY_SUBS",
        "connections::subscribers_are_listed",
    ),
    row(
        "Port.connect_to",
        "Port::connect_to",
        "SUBSCRIBE_PORT",
        "connections::connecting_and_disconnecting",
    ),
    row(
        "Port.connect_from",
        "Port::connect_from",
        "SUBSCRIBE_PORT",
        "connections::connecting_and_disconnecting",
    ),
    row(
        "Port.disconnect_to",
        "Port::disconnect_to",
        "UNSUBSCRIBE_PORT",
        "connections::connecting_and_disconnecting",
    ),
    row(
        "Port.disconnect_from",
        "Port::disconnect_from",
        "UNSUBSCRIBE_PORT",
        "connections::connecting_and_disconnecting",
    ),
    row("Port.close", "Port::close", "DELETE_PORT", "lifetimes::a_closed_port_is_deleted_once"),
    row(
        "Queue.start",
        "Queue::start",
        "write of START",
        "queues::start_stop_continue_and_position",
    ),
    row("Queue.stop", "Queue::stop", "write of STOP", "queues::start_stop_continue_and_position"),
    row(
        "Queue.continue_",
        "Queue::continue_",
        "write of CONTINUE",
        "queues::start_stop_continue_and_position",
    ),
    row(
        "Queue.control",
        "Queue::control",
        "write of a control event",
        "queues::subscribers_of_the_timer_get_control_events",
    ),
    row(
        "Queue.get_tempo",
        "Queue::get_tempo",
        "GET_QUEUE_TEMPO",
        "queues::tempo_resolution_and_skew_can_be_set",
    ),
    row(
        "Queue.set_tempo",
        "Queue::set_tempo",
        "SET_QUEUE_TEMPO",
        "queues::tempo_resolution_and_skew_can_be_set",
    ),
    row(
        "Queue.set_tempo(bpm=…)",
        "Queue::set_bpm",
        "SET_QUEUE_TEMPO",
        "queues::tempo_resolution_and_skew_can_be_set",
    ),
    row("Queue.get_timer", "Queue::get_timer", "GET_QUEUE_TIMER", "queues::the_timer_can_be_set"),
    row("Queue.set_timer", "Queue::set_timer", "SET_QUEUE_TIMER", "queues::the_timer_can_be_set"),
    row("Queue.get_status", "Queue::get_status", "GET_QUEUE_STATUS", "queues::a_new_queue"),
    row("Queue.get_info", "Queue::get_info", "GET_QUEUE_INFO", "queues::a_new_queue"),
    row("Queue.set_info", "Queue::set_info", "SET_QUEUE_INFO", "errors::another_clients_queue"),
    row(
        "Queue.get_usage",
        "Queue::get_usage",
        "GET_QUEUE_CLIENT",
        "queues::names_owners_and_usage",
    ),
    row("Queue.set_usage", "Queue::set_usage", "SET_QUEUE_CLIENT", "queues::usage_can_be_set"),
    row(
        "Queue.close",
        "Queue::close",
        "DELETE_QUEUE or SET_QUEUE_CLIENT",
        "lifetimes::an_own_queue_is_deleted_and_a_foreign_one_released",
    ),
];

const CLASSES: &[Row] = &[
    row("Address", "Address", "none", "discovery::ports_are_found_by_number_and_name"),
    row("RealTime", "RealTime", "none", "events::stamps_are_preserved_in_both_units"),
    row(
        "Event and its classes",
        "Event, Payload",
        "none",
        "events::every_type_arrives_as_it_was_sent",
    ),
    row("MidiBytesEvent", "BytesOrEvent", "none", "buffers::midi_bytes_are_encoded_and_decoded"),
    row("ClientInfo", "ClientInfo", "GET_CLIENT_INFO", "clients::client_info_can_be_set"),
    row("ClientPool", "ClientPool", "GET_CLIENT_POOL", "pools::sizes_can_be_set_up_to_2000"),
    row("PortInfo", "PortInfo", "GET_PORT_INFO", "connections::port_info_can_be_set"),
    row("QueueInfo", "QueueInfo", "GET_QUEUE_INFO", "queues::queue_info_can_be_set"),
    row("QueueStatus", "QueueStatus", "GET_QUEUE_STATUS", "queues::a_new_queue"),
    row(
        "QueueTempo",
        "QueueTempo",
        "GET_QUEUE_TEMPO",
        "queues::tempo_resolution_and_skew_can_be_set",
    ),
    row("QueueTimer", "QueueTimer", "GET_QUEUE_TIMER", "queues::the_timer_can_be_set"),
    row("SystemInfo", "SystemInfo", "SYSTEM_INFO", "numbers::system_info_counts"),
    row(
        "SubscriptionQuery",
        "SubscriptionQuery",
        "QUERY_SUBS",
        "connections::subscribers_are_listed",
    ),
    row("RemoveEvents", "RemoveEvents", "REMOVE_EVENTS", "remove::removal_by_tick"),
    row(
        "Error, StateError, ALSAError",
        "Error, ErrorKind",
        "none",
        "errors::missing_clients_and_ports",
    ),
];

/// The methods of the class `SequencerClient` of python-alsa-midi, sorted.
const PEER_METHODS: &[&str] = &[
    "close",
    "create_port",
    "create_queue",
    "drain_output",
    "drop_input",
    "drop_input_buffer",
    "drop_output",
    "drop_output_buffer",
    "event_input",
    "event_input_pending",
    "event_output",
    "event_output_buffer",
    "event_output_direct",
    "event_output_pending",
    "extract_output",
    "get_client_info",
    "get_client_pool",
    "get_input_buffer_size",
    "get_named_queue",
    "get_output_buffer_size",
    "get_port_info",
    "get_queue",
    "get_queue_info",
    "get_queue_status",
    "get_sequencer_name",
    "get_sequencer_type",
    "get_system_info",
    "list_port_subscribers",
    "list_ports",
    "query_named_queue",
    "query_next_client",
    "query_next_port",
    "query_port_subscribers",
    "remove_events",
    "set_client_event_filter",
    "set_client_info",
    "set_client_pool",
    "set_client_pool_input",
    "set_client_pool_output",
    "set_client_pool_output_room",
    "set_input_buffer_size",
    "set_output_buffer_size",
    "set_port_info",
    "set_queue_info",
    "subscribe_port",
    "sync_output_queue",
    "unsubscribe_port",
];

const TABLES: &[(&str, &[Row])] = &[
    ("The client", CLIENT),
    ("The asynchronous client", ASYNCHRONOUS),
    ("Ports and queues", PORT_AND_QUEUE),
    ("Classes", CLASSES),
];

fn page() -> String {
    let mut page = String::from(
        "# Sequencer methods\n\n\
         <!-- Generated by the test `methods` of crates/consort-seq/tests/conformance; to update it:\n\
         CONSORT_REGENERATE=1 cargo test -p consort-seq --test conformance methods -->\n\n\
         The methods and classes of python-alsa-midi with their counterparts in this library, the\n\
         request to the sequencer (`SNDRV_SEQ_IOCTL_…` or a system call) behind each, and the case\n\
         of the conformance suite that tests it on both engines.\n",
    );
    for (title, rows) in TABLES {
        page += &format!(
            "\n## {title}\n\n| python-alsa-midi | consort-seq | request | test |\n|---|---|---|---|\n"
        );
        for Row { peer, own, request, case } in *rows {
            page += &format!("| `{peer}` | `{own}` | {request} | `{case}` |\n");
        }
    }
    page
}

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_generated_page_is_up_to_date() {
    let path: PathBuf = crate_folder().join("../../docs/sequencer-methods.md");
    if std::env::var_os("CONSORT_REGENERATE").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page(),
        "docs/sequencer-methods.md is out of date; run CONSORT_REGENERATE=1 cargo test -p \
         consort-seq --test conformance methods"
    );
}

#[test]
fn every_method_of_python_alsa_midi_has_a_row() {
    for method in PEER_METHODS {
        let named = |row: &&Row| row.peer == *method || row.peer.starts_with(&format!("{method}("));
        assert!(CLIENT.iter().any(|row| named(&row)), "{method} has no row");
    }
}

#[test]
fn every_row_names_a_method_and_a_test() {
    let mut source = String::new();
    for name in [
        "asynchronous",
        "blocking",
        "methods/buffers",
        "methods/clients",
        "methods/discovery",
        "methods/input",
        "methods/mod",
        "methods/output",
        "methods/pools",
        "methods/ports",
        "methods/queues",
        "methods/subscriptions",
        "port",
        "queue/handle",
    ] {
        source +=
            &std::fs::read_to_string(crate_folder().join(format!("src/client/{name}.rs"))).unwrap();
    }
    for (_, rows) in TABLES {
        for Row { peer, own, request, case } in *rows {
            assert!(![peer, own, request, case].iter().any(|cell| cell.is_empty()), "{peer}");
            let (module, name) = case.split_once("::").unwrap();
            let cases = CASES.iter().find(|(other, _)| *other == module).map(|(_, cases)| cases);
            let exists = cases.is_some_and(|cases| cases.iter().any(|(other, _)| *other == name));
            assert!(exists, "{peer}: there is no case {case}");
            if let Some((_, method)) = own.split_once("::") {
                let exists = ["pub fn ", "pub async fn "]
                    .iter()
                    .any(|prefix| source.contains(&format!("{prefix}{method}(")));
                assert!(exists, "{peer}: there is no method {own}");
            }
        }
    }
}
