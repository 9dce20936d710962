//! Queues: initial values, time, order and control.

use std::time::Duration;

use consort_seq::client::WRITE_PORT;
use consort_seq::{
    Address, Event, EventFlags, EventTime, EventType, Payload, PortOptions, QUEUE_DIRECT,
    QueueInfo, QueueTempo, QueueTimer, QueueTimerType, RealTime,
};

use crate::support::{assert_no_event, note, notes};

cases! {
    fn a_new_queue(rig) {
        let client = rig.client("queues");
        let queue = client.create_queue("new").unwrap();
        assert!(queue.is_own());
        let tempo = queue.get_tempo().unwrap();
        assert_eq!((tempo.tempo, tempo.ppq), (500_000, 96));
        assert!((tempo.bpm() - 120.0).abs() < 1e-9);
        let info = queue.get_info().unwrap();
        assert_eq!((info.name.as_str(), info.owner, info.locked), ("new", client.client_id(), true));
        let status = queue.get_status().unwrap();
        assert!(!status.is_running());
        assert_eq!((status.events, status.tick_time, status.real_time), (0, 0, RealTime::ZERO));
        assert!(queue.get_usage().unwrap());
        assert_eq!(queue.get_timer().unwrap().timer_type, QueueTimerType::Alsa);
    }

    fn names_owners_and_usage(rig) {
        let (owner, other) = (rig.client("owner"), rig.client("other"));
        let queue = owner.create_queue("by name").unwrap();
        assert_eq!(other.query_named_queue("by name").unwrap(), queue.queue_id());
        assert!(!other.get_queue_usage(queue.queue_id()).unwrap());
        let used = other.get_named_queue("by name").unwrap();
        assert!(used.get_usage().unwrap());
        // The last handle of a queue releases it.
        let again = other.get_queue(queue.queue_id()).unwrap();
        drop(used);
        assert!(again.get_usage().unwrap());
        drop(again);
        assert!(!other.get_queue_usage(queue.queue_id()).unwrap());
        other.set_queue_usage(queue.queue_id(), true).unwrap();
        assert!(other.get_queue_usage(queue.queue_id()).unwrap());
        // For the owner, a lookup gives another handle of the same queue. Dropping it does not
        // delete the queue while the first handle exists.
        drop(owner.get_queue(queue.queue_id()).unwrap());
        assert_eq!(queue.get_info().unwrap().name, "by name");
    }

    fn usage_can_be_set(rig) {
        let client = rig.client("queues");
        let queue = client.create_queue("q").unwrap();
        queue.set_usage(false).unwrap();
        assert!(!queue.get_usage().unwrap());
        queue.set_usage(true).unwrap();
        assert!(queue.get_usage().unwrap());
    }

    fn repeating_the_usage_of_a_sole_user_resets_the_timer(rig) {
        let client = rig.client("queues");
        let queue = client.create_queue("q").unwrap();
        let tempo = || queue.get_tempo().unwrap().tempo;
        let set = || queue.set_tempo(&QueueTempo::new(300_000, 24)).unwrap();
        set();
        queue.start_now().unwrap();
        queue.set_usage(true).unwrap();
        assert_eq!((tempo(), queue.get_tempo().unwrap().ppq), (500_000, 96));
        assert!(!queue.get_status().unwrap().is_running());
        // Locking resets the timer, too.
        set();
        let info = queue.get_info().unwrap();
        queue.set_info(&QueueInfo { locked: false, ..info.clone() }).unwrap();
        assert_eq!(tempo(), 300_000);
        queue.set_info(&QueueInfo { locked: true, ..info }).unwrap();
        assert_eq!(tempo(), 500_000);
        // One of several users does not reset it.
        let other = rig.client("other");
        let _used = other.get_queue(queue.queue_id()).unwrap();
        set();
        queue.set_usage(true).unwrap();
        assert_eq!(tempo(), 300_000);
    }

    fn queue_info_can_be_set(rig) {
        let client = rig.client("queues");
        let queue = client.create_queue_from(&QueueInfo::named("set")).unwrap();
        let mut info = client.get_queue_info(queue.queue_id()).unwrap();
        info.locked = false;
        client.set_queue_info(queue.queue_id(), &info).unwrap();
        assert!(!queue.get_info().unwrap().locked);
        assert!(client.list_queues().unwrap().contains(&queue.get_info().unwrap()));
    }

    fn tempo_resolution_and_skew_can_be_set(rig) {
        let client = rig.client("queues");
        let queue = client.create_queue("q").unwrap();
        queue.set_tempo(&QueueTempo::new(250_000, 480).with_skew(0x8000)).unwrap();
        let tempo = client.get_queue_tempo(queue.queue_id()).unwrap();
        assert_eq!((tempo.tempo, tempo.ppq, tempo.skew, tempo.skew_base), (250_000, 480, 0x8000, 0x10000));
        queue.set_bpm(60.0).unwrap();
        assert_eq!(queue.get_tempo().unwrap().tempo, 1_000_000);
        client.set_queue_tempo(queue.queue_id(), &QueueTempo::from_bpm(120.0, 96)).unwrap();
        assert_eq!(queue.get_tempo().unwrap().tempo, 500_000);
    }

    fn the_timer_can_be_set(rig) {
        let client = rig.client("queues");
        let queue = client.create_queue("q").unwrap();
        let timer = queue.get_timer().unwrap();
        queue.set_timer(&QueueTimer { resolution: 500, ..timer }).unwrap();
        let set = client.get_queue_timer(queue.queue_id()).unwrap();
        assert_eq!((set.resolution, set.timer_type), (500, QueueTimerType::Alsa));
        client.set_queue_timer(queue.queue_id(), &timer).unwrap();
        let clock = QueueTimer { timer_type: QueueTimerType::MidiClock, ..timer };
        assert!(queue.set_timer(&clock).is_err(), "only ALSA's timers drive queues");
    }

    fn start_stop_continue_and_position(rig) {
        let client = rig.client("queues");
        let queue = rig.running_queue(&client);
        assert!(queue.get_status().unwrap().is_running());
        rig.wait_until("50 ticks", || queue.get_status().unwrap().tick_time >= 50);
        queue.stop().unwrap();
        client.drain_output().unwrap();
        let stopped = queue.get_status().unwrap();
        assert!(!stopped.is_running());
        rig.let_time_pass(Duration::from_millis(20));
        assert_eq!(client.get_queue_status(queue.queue_id()).unwrap().tick_time, stopped.tick_time);
        queue.continue_().unwrap();
        client.drain_output().unwrap();
        rig.wait_until("ticks again", || queue.get_status().unwrap().tick_time > stopped.tick_time);
        queue.stop_now().unwrap();
        queue.set_position_tick(5000).unwrap();
        assert_eq!(queue.get_status().unwrap().tick_time, 5000);
        queue.set_position_time(RealTime::new(9, 0)).unwrap();
        assert_eq!(queue.get_status().unwrap().real_time, RealTime::new(9, 0));
        queue.continue_now().unwrap();
        rig.wait_until("more ticks", || queue.get_status().unwrap().tick_time > 5000);
        queue.start_now().unwrap();
        assert!(queue.get_status().unwrap().tick_time < 5000, "start resets the time");
    }

    fn events_arrive_when_they_are_due(rig) {
        let pair = rig.pair();
        let queue = rig.running_queue(&pair.sender);
        pair.send(&[note(60).on_queue(&queue).at_tick(40)]);
        assert_no_event(&pair.receiver);
        assert_eq!(queue.get_status().unwrap().events, 1);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [60]);
        assert!(queue.get_status().unwrap().tick_time >= 40);
        pair.send(&[note(61).on_queue(&queue).at_time(RealTime::new(0, 90_000_000))]);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [61]);
        assert!(queue.get_status().unwrap().real_time.as_nanoseconds() >= 89_000_000);
    }

    fn a_stopped_queue_delivers_due_events_immediately(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("stopped").unwrap();
        pair.send(&[note(60).on_queue(&queue).at_tick(0), note(61).on_queue(&queue).at_tick(1)]);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [60]);
        rig.let_time_pass(Duration::from_millis(20));
        assert_no_event(&pair.receiver);
        assert_eq!(queue.get_status().unwrap().events, 1);
    }

    fn start_discards_waiting_events_and_continue_keeps_them(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("q").unwrap();
        pair.send(&[note(60).on_queue(&queue).at_tick(3)]);
        queue.start_now().unwrap();
        assert_eq!(queue.get_status().unwrap().events, 0);
        rig.let_time_pass(Duration::from_millis(30));
        assert_no_event(&pair.receiver);
        queue.stop_now().unwrap();
        let later = queue.get_status().unwrap().tick_time + 3;
        pair.send(&[note(61).on_queue(&queue).at_tick(later)]);
        queue.continue_now().unwrap();
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [61]);
    }

    fn equal_stamps_keep_their_order(rig) {
        let pair = rig.pair();
        let queue = rig.running_queue(&pair.sender);
        let events: Vec<Event> =
            (0..20).map(|number| note(number).on_queue(&queue).at_tick(100)).collect();
        pair.send(&events);
        assert!(notes(&rig.receive_count(&pair.receiver, 20)).into_iter().eq(0..20));
    }

    fn high_priority_precedes_equal_stamps(rig) {
        let pair = rig.pair();
        let queue = rig.running_queue(&pair.sender);
        let at = |number: u8, tick| note(number).on_queue(&queue).at_tick(tick);
        pair.send(&[at(1, 100), at(2, 100), at(3, 100).high_priority(), at(4, 99), at(5, 100)]);
        let order = notes(&rig.receive_count(&pair.receiver, 5));
        assert_eq!(order, [4, 3, 1, 2, 5]);
    }

    fn ticks_precede_real_time(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("stopped").unwrap();
        queue.set_tempo(&QueueTempo::new(1_000_000, 1000)).unwrap();
        queue.start_now().unwrap();
        queue.stop_now().unwrap();
        queue.set_position_tick(0).unwrap();
        queue.set_position_time(RealTime::ZERO).unwrap();
        pair.send(&[
            note(1).on_queue(&queue).at_time(RealTime::new(0, 500_000)),
            note(2).on_queue(&queue).at_tick(1),
        ]);
        assert_no_event(&pair.receiver);
        // Both are due in the same step of the timer.
        queue.set_position_tick(50).unwrap();
        queue.set_position_time(RealTime::new(0, 50_000_000)).unwrap();
        queue.continue_now().unwrap();
        assert_eq!(notes(&rig.receive_count(&pair.receiver, 2)), [2, 1]);
    }

    fn relative_stamps_become_absolute_when_queued(rig) {
        let pair = rig.pair();
        let queue = rig.running_queue(&pair.sender);
        rig.wait_until("50 ticks", || queue.get_status().unwrap().tick_time >= 50);
        pair.send(&[note(60).on_queue(&queue).after_ticks(30)]);
        assert_no_event(&pair.receiver);
        let event = rig.receive(&pair.receiver);
        assert!(event.tick().unwrap() >= 80, "{event}");
        assert!(!event.is_relative(), "{event}");
        let half = RealTime::new(0, 30_000_000);
        let before = queue.get_status().unwrap().real_time;
        pair.send(&[note(61).on_queue(&queue).after_time(half)]);
        let event = rig.receive(&pair.receiver);
        // A relative stamp counts from the timer's last step, but the status is exact.
        let step = RealTime::new(0, 10_000_000);
        assert!(event.real_time().unwrap() + step >= before + half, "{event}");
    }

    fn a_note_becomes_note_on_and_note_off(rig) {
        let pair = rig.pair();
        let queue = rig.running_queue(&pair.sender);
        let note = |duration| Event::note(3, 60, 100, duration).unwrap();
        pair.send(&[note(25).on_queue(&queue).at_tick(40)]);
        let on = rig.receive(&pair.receiver);
        let off = rig.receive(&pair.receiver);
        assert_eq!((on.event_type(), on.tick()), (EventType::NOTE_ON, Some(40)));
        assert_eq!((off.event_type(), off.tick()), (EventType::NOTE_OFF, Some(65)));
        let Payload::NoteOn(key) = on.payload() else { panic!("{on}") };
        assert_eq!((key.channel, key.note, key.velocity), (3, 60, 100));
        // On a real-time stamp the duration is in milliseconds.
        pair.send(&[note(25).on_queue(&queue).at_time(RealTime::new(0, 120_000_000))]);
        let on = rig.receive(&pair.receiver);
        let off = rig.receive(&pair.receiver);
        assert_eq!(on.real_time(), Some(RealTime::new(0, 120_000_000)));
        assert_eq!(off.real_time(), Some(RealTime::new(0, 145_000_000)));
    }

    fn subscribers_of_the_timer_get_control_events(rig) {
        let client = rig.client("queues");
        let listener = rig.client("listener");
        let port = listener.create_port(PortOptions::new("in").caps(WRITE_PORT)).unwrap();
        port.connect_from(Address::SYSTEM_TIMER).unwrap();
        let queue = client.create_queue("q").unwrap();
        queue.start().unwrap();
        queue.control(EventType::TEMPO, 300_000).unwrap();
        queue.stop().unwrap();
        client.drain_output().unwrap();
        let events = rig.receive_count(&listener, 3);
        let types: Vec<EventType> = events.iter().map(Event::event_type).collect();
        assert_eq!(types, [EventType::START, EventType::TEMPO, EventType::STOP]);
        for event in &events {
            assert_eq!((event.source(), event.queue()), (Address::SYSTEM_TIMER, QUEUE_DIRECT));
        }
        assert_eq!(queue.get_tempo().unwrap().tempo, 300_000);
        // The subscribers get the event without its flags.
        let mut urgent = Event::new(Payload::Continue { queue: queue.queue_id() });
        urgent.set_high_priority(true);
        let out = client.create_port("out").unwrap();
        client.event_output_direct(&urgent.to(Address::SYSTEM_TIMER), &out).unwrap();
        let received = rig.receive(&listener);
        assert_eq!((received.event_type(), received.flags()), (EventType::CONTINUE, EventFlags::empty()));
    }

    fn control_events_can_be_scheduled(rig) {
        let client = rig.client("queues");
        let queue = rig.running_queue(&client);
        queue.control_at(EventType::TEMPO, 2_000_000, EventTime::Tick(30)).unwrap();
        client.drain_output().unwrap();
        assert_eq!(queue.get_tempo().unwrap().tempo, 1_000_000);
        rig.wait_until("the tempo", || queue.get_tempo().unwrap().tempo == 2_000_000);
        assert!(queue.get_status().unwrap().tick_time >= 30);
        queue.set_skew(0x20000).unwrap();
        assert_eq!(queue.get_tempo().unwrap().skew, 0x20000);
    }

    fn closing_the_owner_deletes_its_queues(rig) {
        let (owner, other) = (rig.client("owner"), rig.client("other"));
        let queue = owner.create_queue("owned").unwrap();
        let number = queue.queue_id();
        let used = other.get_queue(number).unwrap();
        owner.close();
        assert!(other.get_queue_info(number).is_err());
        assert!(used.get_status().is_err());
    }
}
