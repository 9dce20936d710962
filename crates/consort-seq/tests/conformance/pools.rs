//! The output and input pools: sizes, room, and behaviour when they are full.

use std::time::Duration;

use consort_seq::engine::Connection;
use consort_seq::{ClientPool, Errno, ErrorKind, Event};

use crate::support::{assert_no_event, errno, note};

/// Writes one event past the client's buffer, without waiting.
fn write(connection: &dyn Connection, event: &Event) -> Result<usize, Errno> {
    let mut bytes = Vec::new();
    consort_seq::raw::write_cells(&mut bytes, &event.to_raw(), event.variable());
    connection.write(&bytes)
}

fn later() -> Event {
    note(60).at_tick(1_000_000)
}

cases! {
    fn sizes_of_a_new_client(rig) {
        let client = rig.client("pool");
        let pool = client.get_client_pool().unwrap();
        assert_eq!((pool.output_pool, pool.input_pool, pool.output_room), (500, 200, 0));
        let port = client.create_port("port").unwrap();
        client.event_output_direct(&note(60), &port).unwrap();
        let pool = client.get_client_pool().unwrap();
        assert_eq!((pool.output_room, pool.output_free), (250, 500));
        assert_eq!(pool.client_id, client.client_id());
    }

    fn sizes_can_be_set_up_to_2000(rig) {
        let client = rig.client("pool");
        client.set_client_pool_output(2000).unwrap();
        client.set_client_pool_input(2000).unwrap();
        client.set_client_pool_output_room(7).unwrap();
        let pool = client.get_client_pool().unwrap();
        assert_eq!((pool.output_pool, pool.input_pool, pool.output_room), (2000, 2000, 7));
        client.set_client_pool(&ClientPool { output_pool: 100, output_room: 9, ..pool }).unwrap();
        let pool = client.get_client_pool().unwrap();
        assert_eq!((pool.output_pool, pool.output_room), (100, 9));
    }

    fn variable_data_costs_a_cell_for_each_28_bytes(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("q").unwrap();
        for (length, cells) in [(1, 2), (28, 2), (29, 3), (280, 11)] {
            pair.sender.drop_output().unwrap();
            pair.send(&[later().on_queue(&queue)]);
            let before = pair.sender.get_client_pool().unwrap().output_free;
            let data = vec![1; length];
            pair.send(&[Event::system_exclusive(&data).on_queue(&queue).at_tick(1_000_000)]);
            let after = pair.sender.get_client_pool().unwrap().output_free;
            assert_eq!(before - after, cells, "{length} bytes");
        }
    }

    fn a_full_output_pool_would_block(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("q").unwrap();
        let connection = pair.sender.connection().unwrap();
        let event = later().on_queue(&queue).from_port(pair.out.port_id());
        for written in 0..500 {
            assert_eq!(write(&*connection, &event), Ok(28), "event {written}");
        }
        assert_eq!(write(&*connection, &event), Err(Errno::WOULD_BLOCK));
        assert_eq!(errno(pair.sender.set_client_pool_output(600)), Errno::BUSY);
        pair.sender.event_output(&event, ()).unwrap();
        assert_eq!(pair.sender.try_drain_output().unwrap(), 28);
        let left = pair.sender.drain_output_timeout(Some(Duration::from_millis(5))).unwrap();
        assert_eq!(left, 28);
        pair.sender.drop_output().unwrap();
        assert_eq!(pair.sender.get_client_pool().unwrap().output_free, 500);
    }

    fn an_event_larger_than_the_pool_is_rejected(rig) {
        let pair = rig.pair();
        let data = vec![1; 501 * 28];
        let error = pair
            .sender
            .event_output_direct(&Event::system_exclusive(&data), &pair.out)
            .unwrap_err();
        assert_eq!(error.errno(), Some(Errno::NO_MEMORY));
        assert!(error.to_string().contains("set_client_pool_output"), "{error}");
    }

    fn a_client_is_writable_when_its_room_is_free(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("q").unwrap();
        let event = later().on_queue(&queue).from_port(pair.out.port_id());
        let connection = pair.sender.connection().unwrap();
        let writable = || {
            use rustix::event::{PollFd, PollFlags, Timespec};
            let mut polled = [PollFd::from_borrowed_fd(connection.descriptor(), PollFlags::OUT)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            rustix::event::poll(&mut polled, Some(&now)).unwrap();
            polled[0].revents().contains(PollFlags::OUT)
        };
        for _ in 0..250 {
            write(&*connection, &event).unwrap();
        }
        assert!(writable(), "250 cells are free, and the room is 250");
        write(&*connection, &event).unwrap();
        assert!(!writable(), "249 cells are free");
        pair.sender.set_client_pool_output_room(249).unwrap();
        assert!(writable(), "the room is 249");
        pair.sender.drop_output().unwrap();
        assert!(writable());
    }

    fn a_full_receiver_stops_the_sender_and_loses_its_input(rig) {
        let pair = rig.pair();
        let connection = pair.sender.connection().unwrap();
        let event = note(60).from_port(pair.out.port_id());
        for written in 0..200 {
            assert_eq!(write(&*connection, &event), Ok(28), "event {written}");
        }
        assert_eq!(write(&*connection, &event), Err(Errno::WOULD_BLOCK));
        let error = pair.receiver.event_input(Some(Duration::ZERO)).unwrap_err();
        assert_eq!((error.kind(), error.errno()), (ErrorKind::Overrun, Some(Errno::OVERRUN)));
        assert!(error.to_string().contains("set_client_pool_input"), "{error}");
        // The loss is reported once, and all input is discarded; later events arrive again.
        assert_no_event(&pair.receiver);
        pair.send(&[note(61)]);
        assert_eq!(crate::support::notes(&[rig.receive(&pair.receiver)]), [61]);
    }

    fn an_overrun_comes_after_the_events_before_it(rig) {
        let pair = rig.pair();
        let connection = pair.sender.connection().unwrap();
        let event = note(60).from_port(pair.out.port_id());
        for _ in 0..10 {
            write(&*connection, &event).unwrap();
        }
        // These 10 events are in the client's own buffer when later ones are lost.
        assert_eq!(pair.receiver.event_input_pending(true).unwrap(), 10);
        while write(&*connection, &event).is_ok() {}
        let mut events = Vec::new();
        assert_eq!(pair.receiver.event_input_batch(&mut events, 1000).unwrap(), 10);
        let error = pair.receiver.event_input_batch(&mut events, 1000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overrun);
        assert_eq!(pair.receiver.event_input_batch(&mut events, 1000).unwrap(), 0);
    }
}
