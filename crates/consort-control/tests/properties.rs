//! Properties of the control socket's lines and messages.

use consort_control::{
    Answer, InstanceReading, Layout, LayoutInstance, Lines, REQUEST_LIMIT, Reading, Request,
};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..=1.0, proptest::num::f64::NORMAL | proptest::num::f64::ZERO]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::Layout),
        any::<u64>().prop_map(|log_from| Request::Read { log_from }),
        (any::<u32>(), any::<u32>(), value()).prop_map(|(instance, channel, value)| {
            Request::Inject { instance, channel, value }
        }),
    ]
}

/// Text with everything that JSON must escape.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..12)
        .prop_map(|characters| characters.into_iter().collect())
}

fn layout() -> impl Strategy<Value = Layout> {
    let instance = (text(), text(), proptest::collection::vec(text(), 0..4));
    let instance =
        instance.prop_map(|(name, backend, channels)| LayoutInstance { name, backend, channels });
    (text(), any::<u32>(), proptest::collection::vec(instance, 0..4))
        .prop_map(|(show, process, instances)| Layout { show, process, instances })
}

fn reading() -> impl Strategy<Value = Reading> {
    let instance = (text(), proptest::option::of(text()), any::<[u64; 4]>());
    let instance = instance.prop_map(|(state, reason, counters)| {
        let [incoming, outgoing, dropped, errors] = counters;
        InstanceReading { state, reason, incoming, outgoing, dropped, errors }
    });
    let values = proptest::collection::vec((value(), any::<u64>()), 0..8);
    let instances = proptest::collection::vec(instance, 0..4);
    let log = proptest::collection::vec(text(), 0..4);
    (value(), any::<bool>(), instances, values, log, any::<u64>()).prop_map(
        |(seconds, running, instances, values, log, log_next)| Reading {
            seconds,
            running,
            instances,
            values,
            log,
            log_next,
        },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        layout().prop_map(Answer::Layout),
        reading().prop_map(Answer::Reading),
        any::<bool>().prop_map(Answer::Injected),
        text().prop_map(Answer::Error),
    ]
}

proptest! {
    #[test]
    fn requests_come_back_in_one_short_line(request in request()) {
        let line = request.encode();
        prop_assert!(line.len() <= REQUEST_LIMIT);
        let (end, line) = line.split_last().expect("not empty");
        prop_assert!(*end == b'\n' && !line.contains(&b'\n'));
        prop_assert_eq!(Request::decode(line).expect("what was written"), request);
    }

    #[test]
    fn answers_come_back_in_one_line(answer in answer()) {
        let line = answer.encode();
        let (end, line) = line.split_last().expect("not empty");
        prop_assert!(*end == b'\n' && !line.contains(&b'\n'));
        prop_assert_eq!(Answer::decode(line).expect("what was written"), answer);
    }

    #[test]
    fn a_stream_of_requests_is_the_same_however_it_is_cut(
        requests in proptest::collection::vec(request(), 0..20),
        cuts in proptest::collection::vec(1_usize..200, 1..20),
    ) {
        let stream: Vec<u8> = requests.iter().flat_map(Request::encode).collect();
        let (mut lines, mut heard) = (Lines::new(REQUEST_LIMIT), Vec::new());
        let (mut rest, mut cuts) = (&stream[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(*cuts.next().expect("endless")));
            lines.push(piece);
            rest = later;
            while let Some(line) = lines.next_line().expect("short lines") {
                heard.push(Request::decode(line).expect("what was written"));
            }
        }
        prop_assert_eq!(heard, requests);
    }

    #[test]
    fn arbitrary_bytes_are_rejected_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        consort_control::fuzz::control_line(&bytes);
        // What cannot be read is an error with words.
        if let Err(error) = Request::decode(&bytes) {
            prop_assert!(error.to_string().starts_with("invalid request: "));
        }
    }

    #[test]
    fn near_misses_are_survived(
        request in request(), answer in answer(), at in any::<prop::sample::Index>(), byte: u8
    ) {
        for line in [request.encode(), answer.encode()] {
            let mut bytes = [&[7, 255], &line[..]].concat();
            let at = 2 + at.index(bytes.len() - 2);
            bytes[at] = byte;
            consort_control::fuzz::control_line(&bytes);
        }
    }
}
