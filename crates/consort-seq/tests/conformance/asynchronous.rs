//! The asynchronous client.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use consort_seq::client::{READ_PORT, WRITE_PORT};
use consort_seq::{Announcement, ErrorKind, Event, PortOptions, QueueTempo};
use futures_lite::StreamExt;
use futures_lite::future::{block_on, poll_once, race, zip};

use crate::support::{Rig, note, notes};

/// Runs a future while time passes.
fn drive<T: Send>(rig: &Rig, future: impl Future<Output = T> + Send) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let task = scope.spawn(|| {
            let value = block_on(future);
            done.store(true, Ordering::Release);
            value
        });
        rig.wait_until("the future", || done.load(Ordering::Acquire) || task.is_finished());
        task.join().unwrap()
    })
}

cases! {
    fn input_and_output(rig) {
        let client = rig.asynchronous("async");
        let out = client.create_port(PortOptions::new("out").caps(READ_PORT)).unwrap();
        let into = client.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        out.connect_to(&into).unwrap();
        drive(rig, async {
            client.event_output(&note(60), &out).await.unwrap();
            assert_eq!(client.event_input(Some(Duration::ZERO)).await.unwrap(), None);
            assert_eq!(client.drain_output().await.unwrap(), 0);
            let event = client.event_input(None).await.unwrap().unwrap();
            assert_eq!(notes(&[event]), [60]);
            client.event_output(&note(1), &out).await.unwrap();
            client.event_output_direct(&note(61), &out).await.unwrap();
            let event = client.event_input(None).await.unwrap().unwrap();
            assert_eq!(notes(&[event]), [61], "direct output overtakes the buffer");
            client.drain_output().await.unwrap();
            client.event_input(None).await.unwrap();
            client.midi_bytes_output(&[0x90, 62, 1], &Event::default(), &out).await.unwrap();
            client.drain_output().await.unwrap();
            let received = client.event_input_prefer_bytes(None).await.unwrap().unwrap();
            assert_eq!(received.midi_bytes.as_deref(), Some(&[0x90, 62, 1][..]));
            client.sync_output_queue().await.unwrap();
        });
    }

    fn an_event_wakes_waiting_input(rig) {
        let client = rig.asynchronous("async");
        let port = client.create_port("port").unwrap();
        let sender = rig.client("sender");
        let out = sender.create_port("out").unwrap();
        drive(rig, async {
            let mut waiting = pin!(client.event_input(None));
            assert!(poll_once(waiting.as_mut()).await.is_none(), "no event has arrived yet");
            sender.event_output_direct(&note(60).to(&port), &out).unwrap();
            assert_eq!(notes(&[waiting.await.unwrap().unwrap()]), [60]);
        });
    }

    fn input_waits_as_long_as_the_timeout(rig) {
        let client = rig.asynchronous("async");
        block_on(async {
            for milliseconds in [1, 30] {
                let timeout = Duration::from_millis(milliseconds);
                let before = Instant::now();
                assert_eq!(client.event_input(Some(timeout)).await.unwrap(), None);
                assert!(before.elapsed() >= timeout && before.elapsed() < rig.timeout());
            }
        });
    }

    fn two_waiting_tasks_both_get_an_event(rig) {
        let client = rig.asynchronous("async");
        let port = client.create_port("port").unwrap();
        let sender = rig.client("sender");
        let out = sender.create_port("out").unwrap();
        drive(rig, async {
            let mut both = pin!(zip(client.event_input(None), client.event_input(None)));
            assert!(poll_once(both.as_mut()).await.is_none());
            sender.event_output_direct(&note(1).to(&port), &out).unwrap();
            sender.event_output_direct(&note(2).to(&port), &out).unwrap();
            let (first, second) = both.await;
            let mut received = notes(&[first.unwrap().unwrap(), second.unwrap().unwrap()]);
            received.sort_unstable();
            assert_eq!(received, [1, 2]);
        });
    }

    fn a_dropped_wait_loses_no_event(rig) {
        let client = rig.asynchronous("async");
        let port = client.create_port("port").unwrap();
        drive(rig, async {
            for number in 0..20 {
                let cancelled = race(
                    async { client.event_input(None).await.unwrap() },
                    async { None },
                );
                assert_eq!(cancelled.await, None);
                client.event_output_direct(&note(number).to(&port), &port).await.unwrap();
                let received = client.event_input(None).await.unwrap().unwrap();
                assert_eq!(notes(&[received]), [number]);
            }
        });
    }

    fn output_waits_for_room(rig) {
        let client = rig.asynchronous("async");
        let receiver = rig.client("receiver");
        receiver.set_client_pool_input(2000).unwrap();
        let out = client.create_port("out").unwrap();
        let into = receiver.create_port("in").unwrap();
        into.connect_from(&out).unwrap();
        let queue = client.create_queue("q").unwrap();
        queue.set_tempo(&QueueTempo::new(1_000_000, 1000)).unwrap();
        queue.start_now().unwrap();
        let start = queue.get_status().unwrap().tick_time + 60;
        let (queue, out, client) = (&queue, &out, &client);
        // Two tasks at once write more events than the pool and the buffer can hold.
        let write = |first: u32| async move {
            for number in first..first + 700 {
                let event = note(1).on_queue(queue).at_tick(start + number / 50);
                if number % 7 == 0 {
                    client.event_output_direct(&event, out).await.unwrap();
                } else {
                    client.event_output(&event, out).await.unwrap();
                }
            }
            client.drain_output().await.unwrap();
        };
        drive(rig, zip(write(0), write(700)));
        rig.wait_until("the queue", || queue.get_status().unwrap().events == 0);
        let mut events = Vec::new();
        assert_eq!(receiver.event_input_batch(&mut events, 2000).unwrap(), 1400);
        let drained = block_on(client.drain_output_timeout(Some(Duration::ZERO))).unwrap();
        assert_eq!(drained, 0);
    }

    fn closing_ends_a_wait(rig) {
        let client = rig.asynchronous("async");
        drive(rig, async {
            let mut waiting = pin!(client.event_input(None));
            assert!(poll_once(waiting.as_mut()).await.is_none());
            client.close();
            assert_eq!(waiting.await.unwrap_err().kind(), ErrorKind::Closed);
            let error = client.event_output(&note(1), ()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
        });
    }

    fn a_watch_is_a_stream(rig) {
        let client = rig.asynchronous("async");
        let mut watch = client.watch().unwrap();
        let port = client.create_port("new").unwrap();
        let address = port.address();
        assert!(watch.list_ports().unwrap().iter().any(|info| info.address() == address));
        drive(rig, async {
            let first = StreamExt::next(&mut watch).await.unwrap().unwrap();
            assert_eq!(first, Announcement::PortStarted(address));
            drop(port);
            assert_eq!(watch.next().await.unwrap(), Announcement::PortExited(address));
            assert!(watch.client().client_id() >= 128);
        });
    }

    fn tokio_drives_the_client(rig) {
        #[cfg(feature = "tokio")]
        {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let sender = rig.client("sender");
            let out = sender.create_port("out").unwrap();
            runtime.block_on(async {
                let client = consort_seq::AsyncSequencerClient::builder("tokio")
                    .engine(rig.engine())
                    .open_tokio()
                    .unwrap();
                let port = client.create_port("port").unwrap();
                assert_eq!(client.event_input(Some(Duration::from_millis(5))).await.unwrap(), None);
                for round in 0..3 {
                    let mut both = pin!(zip(client.event_input(None), client.event_input(None)));
                    assert!(poll_once(both.as_mut()).await.is_none());
                    sender.event_output_direct(&note(round).to(&port), &out).unwrap();
                    sender.event_output_direct(&note(round).to(&port), &out).unwrap();
                    let (first, second) = both.await;
                    let received = notes(&[first.unwrap().unwrap(), second.unwrap().unwrap()]);
                    assert_eq!(received, [round, round]);
                }
                client.event_output(&note(9).to(&port), &port).await.unwrap();
                client.drain_output().await.unwrap();
                assert_eq!(notes(&[client.event_input(None).await.unwrap().unwrap()]), [9]);
                let mut waiting = pin!(client.event_input(None));
                assert!(poll_once(waiting.as_mut()).await.is_none());
                client.close();
                assert_eq!(waiting.await.unwrap_err().kind(), ErrorKind::Closed);
            });
        }
        #[cfg(not(feature = "tokio"))]
        {
            let _ = rig;
            eprintln!("SKIPPED: tokio_drives_the_client: built without the feature `tokio`");
        }
    }
}
