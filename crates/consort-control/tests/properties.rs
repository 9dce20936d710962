//! Properties of the control socket's lines and messages.

use consort_control::{
    Answer, Content, Delta, DeltaEncoder, Diagnosis, Direction, Edit, Edited, FileText, Files,
    Finding, InputReading, InstanceReading, Kind, Layout, LayoutChannel, LayoutInstance,
    LayoutLayer, LayoutRoute, Lines, MappingText, REQUEST_LIMIT, Reading, Request, RouteControl,
    UnmatchedReading,
};
use proptest::prelude::*;

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..=1.0, proptest::num::f64::NORMAL | proptest::num::f64::ZERO]
}

fn request() -> impl Strategy<Value = Request> {
    let numbers = (any::<u64>(), any::<u32>(), any::<u32>());
    let content = prop_oneof![value().prop_map(Content::Value), text().prop_map(Content::Text)];
    let direction =
        proptest::option::of(prop_oneof![Just(Direction::Source), Just(Direction::Target)]);
    prop_oneof![
        any::<u32>().prop_map(|version| Request::Hello { version }),
        Just(Request::Layout),
        Just(Request::Unsubscribe),
        Just(Request::Panic),
        Just(Request::Files),
        Just(Request::UndoEdit),
        (text(), proptest::collection::vec(edit(), 0..4), any::<[bool; 2]>()).prop_map(
            |(version, edits, [save, apply])| Request::Edit { version, edits, save, apply }
        ),
        any::<[u64; 2]>().prop_map(|[generation, log_from]| Request::Read { generation, log_from }),
        (any::<[u64; 2]>(), any::<u32>(), any::<bool>()).prop_map(
            |([generation, log_from], interval_ms, unmatched)| Request::Subscribe {
                generation,
                interval_ms,
                log_from,
                unmatched,
            }
        ),
        numbers.prop_map(|(generation, instance, first)| Request::Inputs {
            generation,
            instance,
            first
        }),
        (numbers, any::<bool>()).prop_map(|((generation, instance, channel), is_one)| {
            Request::Why { generation, instance, channel: is_one.then_some(channel) }
        }),
        numbers.prop_map(|(generation, instance, _)| Request::Unmatched { generation, instance }),
        numbers.prop_map(|(generation, first, _)| Request::Routes { generation, first }),
        (numbers, any::<bool>()).prop_map(|((generation, layer, _), on)| {
            Request::SwitchLayer { generation, layer, on }
        }),
        (numbers, any::<bool>(), any::<bool>()).prop_map(|((generation, route, _), on, solo)| {
            let control = if solo { RouteControl::Solo } else { RouteControl::Freeze };
            Request::ControlRoute { generation, route, control, on }
        }),
        numbers.prop_map(|(generation, instance, channel)| Request::Get {
            generation,
            instance,
            channel
        }),
        (numbers, content, direction).prop_map(
            |((generation, instance, channel), content, direction)| Request::Set {
                generation,
                instance,
                channel,
                content,
                direction,
            }
        ),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        text().prop_map(Edit::AddMapping),
        (any::<u32>(), text()).prop_map(|(index, text)| Edit::ChangeMapping { index, text }),
        any::<u32>().prop_map(Edit::RemoveMapping),
        [text(), text(), text()].prop_map(|[instance, option, value]| Edit::SetOption {
            instance,
            option,
            value
        }),
        (any::<[u32; 3]>(), text()).prop_map(|([file, start, end], text)| Edit::Replace {
            file,
            start,
            end,
            text
        }),
    ]
}

/// Text with everything that JSON must escape.
fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..12)
        .prop_map(|characters| characters.into_iter().collect())
}

fn layout() -> impl Strategy<Value = Layout> {
    let kind = prop_oneof![Just(Kind::Momentary), Just(Kind::Absolute), Just(Kind::Relative)];
    let channel = (text(), any::<[bool; 2]>(), kind, proptest::option::of(any::<u32>())).prop_map(
        |(name, [source, target], kind, steps)| LayoutChannel { name, source, target, kind, steps },
    );
    let instance = (text(), text(), proptest::collection::vec(channel, 0..4));
    let instance =
        instance.prop_map(|(name, backend, channels)| LayoutInstance { name, backend, channels });
    let route =
        (any::<(u32, u32)>(), any::<(u32, u32)>(), text(), proptest::option::of(any::<u32>()));
    let route = route.prop_map(|(source, target, stages, layer)| LayoutRoute {
        source,
        target,
        stages,
        layer,
    });
    let layer = (text(), proptest::option::of(text()));
    let layer = layer.prop_map(|(name, group)| LayoutLayer { name, group });
    let some = 0..4;
    (
        any::<u64>(),
        text(),
        any::<u32>(),
        proptest::collection::vec(instance, some.clone()),
        proptest::collection::vec(route, some.clone()),
        proptest::collection::vec(layer, some),
    )
        .prop_map(|(generation, show, process, instances, routes, layers)| Layout {
            generation,
            show,
            process,
            instances,
            routes,
            layers,
        })
}

fn instance_reading() -> impl Strategy<Value = InstanceReading> {
    let last = proptest::option::of(value());
    let optional_text = || proptest::option::of(text());
    let texts = [optional_text(), optional_text(), optional_text()];
    (text(), texts, any::<[u64; 8]>(), last).prop_map(
        |(state, [reason, note, details], counters, last_input)| {
            let [incoming, outgoing, dropped, errors, lost, refused, packets, unmatched] = counters;
            InstanceReading {
                state,
                reason,
                incoming,
                outgoing,
                dropped,
                errors,
                lost,
                refused,
                note,
                details,
                packets,
                last_input,
                unmatched,
            }
        },
    )
}

fn reading() -> impl Strategy<Value = Reading> {
    readings_of(0..4, 0..8)
}

fn readings_of(
    instances: std::ops::Range<usize>,
    values: std::ops::Range<usize>,
) -> impl Strategy<Value = Reading> {
    let values = proptest::collection::vec((value(), any::<u64>()), values);
    let instances = proptest::collection::vec(instance_reading(), instances);
    let log = proptest::collection::vec(text(), 0..4);
    let layers = proptest::collection::vec(any::<u32>(), 0..4);
    (value(), any::<[bool; 2]>(), instances, values, layers, log, any::<u64>()).prop_map(
        |(seconds, [running, holding], instances, values, layers, log, log_next)| Reading {
            seconds,
            running,
            instances,
            values,
            layers,
            holding,
            log,
            log_next,
        },
    )
}

fn unmatched() -> impl Strategy<Value = UnmatchedReading> {
    (
        [text(), text(), text(), text()],
        proptest::option::of((value(), value())),
        proptest::option::of(value()),
        any::<u64>(),
        value(),
    )
        .prop_map(|([channel, types, raw, sender], range, value, count, last)| {
            let option = value.map(|_| (raw.clone(), types.clone()));
            UnmatchedReading { channel, types, raw, range, value, sender, count, last, option }
        })
}

fn input() -> impl Strategy<Value = InputReading> {
    let range = || proptest::option::of((value(), value()));
    (any::<u32>(), text(), text(), range(), range()).prop_map(
        |(channel, types, raw, range, expected)| InputReading {
            channel,
            types,
            raw,
            range,
            expected,
        },
    )
}

fn finding() -> impl Strategy<Value = Finding> {
    let optional = || proptest::option::of(text());
    (text(), optional(), text(), optional(), any::<bool>()).prop_map(
        |(code, channel, message, hint, problem)| Finding { code, channel, message, hint, problem },
    )
}

fn delta() -> impl Strategy<Value = Delta> {
    (
        (value(), any::<bool>(), any::<u64>()),
        proptest::collection::vec((any::<u32>(), instance_reading()), 0..3),
        proptest::collection::vec((any::<u32>(), value(), any::<u64>()), 0..4),
        proptest::collection::vec((any::<u32>(), any::<u32>(), text()), 0..3),
        proptest::collection::vec(
            (any::<u32>(), proptest::collection::vec(unmatched(), 0..3)),
            0..3,
        ),
        proptest::option::of(proptest::collection::vec(any::<u32>(), 0..3)),
        proptest::collection::vec(text(), 0..3),
    )
        .prop_map(
            |((seconds, running, log_next), instances, values, texts, unmatched, layers, log)| {
                Delta {
                    seconds,
                    running,
                    instances,
                    values,
                    texts,
                    unmatched,
                    layers,
                    holding: (log_next % 3 > 0).then_some(log_next % 3 == 1),
                    log,
                    log_next,
                }
            },
        )
}

fn diagnosis() -> impl Strategy<Value = Diagnosis> {
    let options = (proptest::option::of(any::<u32>()), proptest::option::of(text()));
    ([text(), text(), text()], any::<[u32; 2]>(), options).prop_map(
        |([severity, code, message], [line, column], (file, hint))| Diagnosis {
            severity,
            code,
            message,
            file,
            line,
            column,
            hint,
        },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        (any::<u32>(), any::<u64>(), text(), any::<u32>()).prop_map(
            |(version, generation, show, process)| Answer::Hello {
                version,
                generation,
                show,
                process
            }
        ),
        layout().prop_map(Answer::Layout),
        reading().prop_map(Answer::Reading),
        any::<u32>().prop_map(|interval_ms| Answer::Subscribed { interval_ms }),
        delta().prop_map(Answer::Delta),
        proptest::collection::vec(input(), 0..3).prop_map(Answer::Inputs),
        proptest::collection::vec(finding(), 0..3).prop_map(Answer::Why),
        proptest::collection::vec(unmatched(), 0..3).prop_map(Answer::Unmatched),
        (proptest::option::of(value()), any::<u64>(), proptest::option::of(text()))
            .prop_map(|(value, count, text)| Answer::Value { value, count, text }),
        (text(), proptest::collection::vec([text(), text()], 0..3), any::<[u32; 3]>(), text())
            .prop_map(|(version, files, [file, line, undo], text)| {
                let file_text = |[path, text]: [String; 2]| FileText { path, text };
                Answer::Files(Files {
                    version,
                    files: files.into_iter().map(file_text).collect(),
                    mappings: vec![MappingText { file, line, text }],
                    undo,
                })
            }),
        (any::<[bool; 3]>(), any::<[u32; 2]>(), [text(), text()], diagnosis()).prop_map(
            |([ok, saved, applied], [not_listed, undo], [version, diff], diagnosis)| {
                let not_applied = diagnosis.hint.clone();
                let diagnostics = vec![diagnosis];
                Answer::Edited(Edited {
                    ok,
                    saved,
                    applied,
                    not_applied,
                    version,
                    diff,
                    diagnostics,
                    not_listed,
                    undo,
                })
            }
        ),
        Just(Answer::Done),
        any::<u64>().prop_map(|generation| Answer::Stale { generation }),
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
    fn deltas_add_up_to_the_reading(readings in proptest::collection::vec(readings_of(3..4, 5..6), 1..6)) {
        let mut encoder = DeltaEncoder::new();
        let mut seen = Reading {
            instances: vec![InstanceReading::default(); 3],
            values: vec![(0.0, 0); 5],
            ..Reading::default()
        };
        let mut log = Vec::new();
        for reading in readings {
            log.extend(reading.log.clone());
            let delta = encoder.next(reading.clone());
            let again = encoder.clone().next(reading.clone());
            prop_assert!(again.instances.is_empty() && again.values.is_empty(), "no change, no news");
            DeltaEncoder::apply(delta, &mut seen);
            prop_assert_eq!(&seen, &Reading { log: log.clone(), ..reading });
        }
    }

    #[test]
    fn merged_deltas_do_what_the_deltas_do(readings in proptest::collection::vec(readings_of(3..4, 5..6), 2..6)) {
        let start = || Reading {
            instances: vec![InstanceReading::default(); 3],
            values: vec![(0.0, 0); 5],
            ..Reading::default()
        };
        let (mut encoder, mut one_by_one, mut merged) = (DeltaEncoder::new(), start(), start());
        let mut pending: Option<Delta> = None;
        for reading in readings {
            let delta = encoder.next(reading);
            DeltaEncoder::apply(delta.clone(), &mut one_by_one);
            match &mut pending {
                Some(pending) => pending.merge(delta),
                None => pending = Some(delta),
            }
        }
        DeltaEncoder::apply(pending.expect("two at least"), &mut merged);
        prop_assert_eq!(merged, one_by_one);
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
