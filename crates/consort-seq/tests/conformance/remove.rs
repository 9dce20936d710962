//! Removing events from queues and buffers.

use std::time::Duration;

use consort_seq::{Address, Event, EventTime, EventType, RealTime, RemoveCondition, RemoveEvents};

use crate::support::{Pair, Rig, assert_no_event, note, notes};

/// Sends events into a stopped queue, removes some, runs the queue, and returns the notes that are
/// left.
fn notes_left_after(
    rig: &Rig,
    events: &dyn Fn(&Pair) -> Vec<Event>,
    remove: &dyn Fn(&Pair) -> RemoveEvents,
) -> Vec<u8> {
    let pair = rig.pair();
    let queue = pair.sender.create_queue("q").unwrap();
    queue.set_tempo(&consort_seq::QueueTempo::new(1_000_000, 1000)).unwrap();
    let events: Vec<Event> =
        events(&pair).into_iter().map(|event| event.on_queue(&queue)).collect();
    pair.send(&events);
    let mut condition = remove(&pair);
    if condition.condition.contains(RemoveCondition::DEST) && condition.queue_id == 0 {
        condition.queue_id = queue.queue_id();
    }
    pair.sender.remove_events(&condition).unwrap();
    queue.continue_now().unwrap();
    rig.wait_until("the queue to be empty", || queue.get_status().unwrap().events == 0);
    let mut left = Vec::new();
    pair.receiver.event_input_batch(&mut left, 100).unwrap();
    notes(&left)
}

fn three_notes(_: &Pair) -> Vec<Event> {
    vec![note(1).at_tick(10), note(2).at_tick(20), note(3).at_tick(30)]
}

cases! {
    fn all_output_is_removed(rig) {
        assert_eq!(notes_left_after(rig, &three_notes, &|_| RemoveEvents::output()), [0u8; 0]);
    }

    fn removal_by_tick(rig) {
        assert_eq!(notes_left_after(rig, &three_notes, &|_| RemoveEvents::output().before_tick(20)), [2, 3]);
        assert_eq!(notes_left_after(rig, &three_notes, &|_| RemoveEvents::output().after_tick(20)), [1]);
    }

    fn removal_by_real_time(rig) {
        let at = |number: u8| note(number).at_time(RealTime::new(0, u32::from(number) * 10_000_000));
        let events = move |_: &Pair| vec![at(1), at(2), at(3)];
        let middle = EventTime::Real(RealTime::new(0, 20_000_000));
        let before = |_: &Pair| RemoveEvents::output().at(middle, RemoveCondition::TIME_BEFORE);
        assert_eq!(notes_left_after(rig, &events, &before), [2, 3]);
        let after = |_: &Pair| RemoveEvents::output().at(middle, RemoveCondition::TIME_AFTER);
        assert_eq!(notes_left_after(rig, &events, &after), [1]);
    }

    fn removal_by_type_tag_and_channel(rig) {
        let events = |_: &Pair| {
            vec![
                note(1).at_tick(10).with_tag(1),
                Event::note_off(0, 2, 0).unwrap().at_tick(20).with_tag(2),
                Event::note_on(5, 3, 1).unwrap().at_tick(30).with_tag(1),
            ]
        };
        let left = |remove: RemoveEvents| notes_left_after(rig, &events, &move |_| remove.clone());
        assert_eq!(left(RemoveEvents::output().of_type(EventType::NOTE_ON)), [2]);
        assert_eq!(left(RemoveEvents::output().with_tag(1)), [2]);
        assert_eq!(left(RemoveEvents::output().except_note_off()), [2]);
        assert_eq!(left(RemoveEvents::output().on_channel(5)), [1, 2]);
        // Conditions are combined with "and".
        assert_eq!(left(RemoveEvents::output().with_tag(1).after_tick(20)), [1, 2]);
    }

    fn removal_by_destination(rig) {
        let events = |pair: &Pair| {
            vec![note(1).at_tick(10).to(&pair.into), note(2).at_tick(20)]
        };
        let to_port = |pair: &Pair| RemoveEvents::output().to(&pair.into, 0);
        assert_eq!(notes_left_after(rig, &events, &to_port), [2]);
        let elsewhere = |_: &Pair| RemoveEvents::output().to(Address::new(190, 0), 0);
        assert_eq!(notes_left_after(rig, &events, &elsewhere), [1, 2]);
    }

    fn the_queue_is_a_condition_only_with_a_destination(rig) {
        let events = |pair: &Pair| vec![note(1).at_tick(10).to(&pair.into)];
        let other_queue = |pair: &Pair| {
            RemoveEvents::output().to(&pair.into, 17)
        };
        assert_eq!(notes_left_after(rig, &events, &other_queue), [1]);
        let without = |_: &Pair| RemoveEvents { queue_id: 17, ..RemoveEvents::output() };
        assert_eq!(notes_left_after(rig, &events, &without), [0u8; 0]);
    }

    fn only_events_of_this_client_are_removed(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("q").unwrap();
        pair.send(&[note(1).on_queue(&queue).at_tick(10)]);
        pair.receiver.remove_events(&RemoveEvents::output()).unwrap();
        assert_eq!(queue.get_status().unwrap().events, 1);
        pair.sender.remove_events(&RemoveEvents::output()).unwrap();
        assert_eq!(queue.get_status().unwrap().events, 0);
    }

    fn only_events_in_used_queues_are_removed(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("q").unwrap();
        pair.send(&[note(1).on_queue(&queue).at_tick(10)]);
        queue.set_usage(false).unwrap();
        pair.sender.remove_events(&RemoveEvents::output()).unwrap();
        assert_eq!(queue.get_status().unwrap().events, 1);
        queue.set_usage(true).unwrap();
        pair.sender.remove_events(&RemoveEvents::output()).unwrap();
        assert_eq!(queue.get_status().unwrap().events, 0);
    }

    fn a_song_position_has_no_channel(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("q").unwrap();
        let position = Event::song_position(3).unwrap().on_queue(&queue).at_tick(10);
        let on_first = RemoveEvents::output().on_channel(0);
        pair.sender.event_output(&position, &pair.out).unwrap();
        pair.sender.remove_events(&on_first).unwrap();
        assert_eq!(pair.sender.event_output_pending(), 28);
        pair.sender.drain_output().unwrap();
        pair.sender.remove_events(&on_first).unwrap();
        assert_eq!(queue.get_status().unwrap().events, 1);
    }

    fn events_in_the_output_buffer_are_removed(rig) {
        let pair = rig.pair();
        for event in [note(1).with_tag(1), note(2).with_tag(2), Event::system_exclusive(&[7; 99]), note(3)] {
            pair.sender.event_output(&event, &pair.out).unwrap();
        }
        pair.sender.remove_events(&RemoveEvents::output().with_tag(2)).unwrap();
        assert_eq!(pair.sender.event_output_pending(), 3 * 28 + 99);
        let only = RemoveEvents::output().of_type(EventType::SYSTEM_EXCLUSIVE);
        pair.sender.remove_events(&only).unwrap();
        pair.sender.drain_output().unwrap();
        assert_eq!(notes(&rig.receive_count(&pair.receiver, 2)), [1, 3]);
    }

    fn input_is_cleared_whatever_the_conditions(rig) {
        let pair = rig.pair();
        pair.send(&[note(1), note(2)]);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [1]);
        pair.send(&[note(3)]);
        pair.receiver.remove_events(&RemoveEvents::input().with_tag(9)).unwrap();
        assert_no_event(&pair.receiver);
    }

    fn dropping_input_and_output(rig) {
        let pair = rig.pair();
        let queue = pair.sender.create_queue("q").unwrap();
        pair.send(&[note(1), note(2), note(3)]);
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [1]);
        pair.send(&[note(4)]);
        // This discards only the events in the client's own buffer.
        pair.receiver.drop_input_buffer().unwrap();
        assert_eq!(notes(&[rig.receive(&pair.receiver)]), [4]);
        pair.send(&[note(5)]);
        pair.receiver.drop_input().unwrap();
        assert_no_event(&pair.receiver);

        pair.send(&[note(6).on_queue(&queue).at_tick(10)]);
        pair.sender.event_output(&note(7), &pair.out).unwrap();
        pair.sender.drop_output_buffer().unwrap();
        assert_eq!(pair.sender.event_output_pending(), 0);
        assert_eq!(queue.get_status().unwrap().events, 1);
        pair.sender.event_output(&note(8), &pair.out).unwrap();
        pair.sender.drop_output().unwrap();
        assert_eq!(pair.sender.event_output_pending(), 0);
        assert_eq!(queue.get_status().unwrap().events, 0);
        rig.let_time_pass(Duration::from_millis(2));
        assert_no_event(&pair.receiver);
    }
}
