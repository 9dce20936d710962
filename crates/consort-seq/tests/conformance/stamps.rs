//! Time stamps on arriving events.

use std::time::Duration;

use consort_seq::client::WRITE_PORT;
use consort_seq::{PortOptions, QUEUE_DIRECT, SubscribeOptions};

use crate::support::note;

cases! {
    fn a_port_stamps_events_with_ticks(rig) {
        let pair = rig.pair();
        let queue = rig.running_queue(&pair.receiver);
        let options = PortOptions::new("stamped").caps(WRITE_PORT).stamp_ticks(&queue);
        let stamped = pair.receiver.create_port(options).unwrap();
        let info = stamped.get_info().unwrap();
        assert!(info.timestamping && !info.timestamp_real);
        assert_eq!(info.timestamp_queue_id, queue.queue_id());
        rig.wait_until("30 ticks", || queue.get_status().unwrap().tick_time >= 30);
        pair.sender.event_output_direct(&note(60).to(&stamped), &pair.out).unwrap();
        let event = rig.receive(&pair.receiver);
        assert_eq!(event.queue(), queue.queue_id());
        assert!(event.tick().unwrap() >= 30, "{event}");
        assert!(!event.is_relative());
    }

    fn a_port_stamps_events_with_real_time(rig) {
        let pair = rig.pair();
        let queue = rig.running_queue(&pair.receiver);
        let options = PortOptions::new("stamped").caps(WRITE_PORT).stamp_real_time(&queue);
        let stamped = pair.receiver.create_port(options).unwrap();
        assert!(stamped.get_info().unwrap().timestamp_real);
        rig.let_time_pass(Duration::from_millis(20));
        pair.sender.event_output_direct(&note(60).to(&stamped), &pair.out).unwrap();
        let event = rig.receive(&pair.receiver);
        assert_eq!(event.queue(), queue.queue_id());
        assert!(event.real_time().unwrap().as_nanoseconds() >= 19_000_000, "{event}");
    }

    fn a_port_without_stamping_does_not_change_events(rig) {
        let pair = rig.pair();
        pair.send(&[note(60)]);
        let event = rig.receive(&pair.receiver);
        assert_eq!((event.queue(), event.tick()), (QUEUE_DIRECT, Some(0)));
    }

    fn a_subscription_stamps_events(rig) {
        let pair = rig.pair();
        let queue = rig.running_queue(&pair.receiver);
        pair.into.disconnect_from(&pair.out).unwrap();
        let options = SubscribeOptions::new().stamp_real_time(&queue);
        pair.into.connect_from_with(&pair.out, options).unwrap();
        let kept = pair.receiver.get_subscription(&pair.out, &pair.into).unwrap().unwrap();
        assert_eq!(kept, options);
        rig.let_time_pass(Duration::from_millis(20));
        pair.send(&[note(60)]);
        let event = rig.receive(&pair.receiver);
        assert_eq!(event.queue(), queue.queue_id());
        assert!(event.real_time().unwrap().as_nanoseconds() >= 19_000_000, "{event}");

        pair.into.disconnect_from(&pair.out).unwrap();
        pair.into.connect_from_with(&pair.out, SubscribeOptions::new().stamp_ticks(&queue)).unwrap();
        pair.send(&[note(60)]);
        assert!(rig.receive(&pair.receiver).tick().unwrap() >= 19);
    }

    fn a_stopped_queue_stamps_zero(rig) {
        let pair = rig.pair();
        let queue = pair.receiver.create_queue("stopped").unwrap();
        let options = PortOptions::new("stamped").caps(WRITE_PORT).stamp_ticks(&queue);
        let stamped = pair.receiver.create_port(options).unwrap();
        // The queue does not start before the output buffer is drained.
        queue.start().unwrap();
        rig.let_time_pass(Duration::from_millis(5));
        pair.sender.event_output_direct(&note(60).to(&stamped), &pair.out).unwrap();
        assert_eq!(rig.receive(&pair.receiver).tick(), Some(0));
        assert!(!queue.get_status().unwrap().is_running());
        pair.receiver.drain_output().unwrap();
        assert!(queue.get_status().unwrap().is_running());
    }
}
