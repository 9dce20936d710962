//! `rosc` as an oracle: generated packets mean the same to both, in both directions.

mod common;

use consort_osc::{
    Color, MidiMessage, OscBundle, OscMessage, OscPacket, OscValue, Packet, TimeTag,
};
use proptest::prelude::*;

fn value_to_rosc(value: &OscValue) -> rosc::OscType {
    match value {
        OscValue::Int(value) => rosc::OscType::Int(*value),
        OscValue::Float(value) => rosc::OscType::Float(*value),
        OscValue::String(text) => rosc::OscType::String(text.clone()),
        OscValue::Blob(bytes) => rosc::OscType::Blob(bytes.clone()),
        OscValue::Long(value) => rosc::OscType::Long(*value),
        OscValue::Double(value) => rosc::OscType::Double(*value),
        OscValue::Time(tag) => rosc::OscType::Time(time_to_rosc(*tag)),
        OscValue::Char(character) => rosc::OscType::Char(*character),
        OscValue::Color(Color { red, green, blue, alpha }) => {
            let (red, green, blue, alpha) = (*red, *green, *blue, *alpha);
            rosc::OscType::Color(rosc::OscColor { red, green, blue, alpha })
        }
        OscValue::Midi(MidiMessage { port, status, data1, data2 }) => {
            let (port, status, data1, data2) = (*port, *status, *data1, *data2);
            rosc::OscType::Midi(rosc::OscMidiMessage { port, status, data1, data2 })
        }
        OscValue::Bool(value) => rosc::OscType::Bool(*value),
        OscValue::Nil => rosc::OscType::Nil,
        OscValue::Impulse => rosc::OscType::Inf,
        OscValue::Array(items) => rosc::OscType::Array(rosc::OscArray {
            content: items.iter().map(value_to_rosc).collect(),
        }),
        other => panic!("rosc has no {other:?}"),
    }
}

fn value_from_rosc(value: &rosc::OscType) -> OscValue {
    match value {
        rosc::OscType::Int(value) => OscValue::Int(*value),
        rosc::OscType::Float(value) => OscValue::Float(*value),
        rosc::OscType::String(text) => OscValue::String(text.clone()),
        rosc::OscType::Blob(bytes) => OscValue::Blob(bytes.clone()),
        rosc::OscType::Long(value) => OscValue::Long(*value),
        rosc::OscType::Double(value) => OscValue::Double(*value),
        rosc::OscType::Time(time) => OscValue::Time(time_from_rosc(*time)),
        rosc::OscType::Char(character) => OscValue::Char(*character),
        rosc::OscType::Color(rosc::OscColor { red, green, blue, alpha }) => {
            let (red, green, blue, alpha) = (*red, *green, *blue, *alpha);
            OscValue::Color(Color { red, green, blue, alpha })
        }
        rosc::OscType::Midi(rosc::OscMidiMessage { port, status, data1, data2 }) => {
            let (port, status, data1, data2) = (*port, *status, *data1, *data2);
            OscValue::Midi(MidiMessage { port, status, data1, data2 })
        }
        rosc::OscType::Bool(value) => OscValue::Bool(*value),
        rosc::OscType::Nil => OscValue::Nil,
        rosc::OscType::Inf => OscValue::Impulse,
        rosc::OscType::Array(array) => {
            OscValue::Array(array.content.iter().map(value_from_rosc).collect())
        }
    }
}

fn time_to_rosc(tag: TimeTag) -> rosc::OscTime {
    rosc::OscTime { seconds: tag.seconds(), fractional: tag.fraction() }
}

fn time_from_rosc(time: rosc::OscTime) -> TimeTag {
    TimeTag::from_parts(time.seconds, time.fractional)
}

fn to_rosc(packet: &OscPacket) -> rosc::OscPacket {
    match packet {
        OscPacket::Message(message) => rosc::OscPacket::Message(rosc::OscMessage {
            addr: message.address.clone(),
            args: message.arguments.iter().map(value_to_rosc).collect(),
        }),
        OscPacket::Bundle(bundle) => rosc::OscPacket::Bundle(rosc::OscBundle {
            timetag: time_to_rosc(bundle.time),
            content: bundle.elements.iter().map(to_rosc).collect(),
        }),
    }
}

fn from_rosc(packet: &rosc::OscPacket) -> OscPacket {
    match packet {
        rosc::OscPacket::Message(message) => {
            let arguments: Vec<OscValue> = message.args.iter().map(value_from_rosc).collect();
            OscMessage::new(message.addr.clone(), arguments).into()
        }
        rosc::OscPacket::Bundle(bundle) => {
            let elements: Vec<OscPacket> = bundle.content.iter().map(from_rosc).collect();
            OscBundle::new(time_from_rosc(bundle.timetag), elements).into()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn packets_mean_the_same_to_both(packet in common::packet(false)) {
        let ours = packet.to_vec().unwrap();
        let theirs = rosc::encoder::encode(&to_rosc(&packet)).unwrap();
        prop_assert_eq!(&ours, &theirs);
        let (rest, decoded) = rosc::decoder::decode_udp(&ours).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(from_rosc(&decoded), packet.clone());
        prop_assert_eq!(OscPacket::decode(&theirs).unwrap(), packet);
    }

    /// Whatever of a damaged packet is accepted here, `rosc` accepts, too, and reads the same.
    /// (Not the other way round: `rosc` reads past missing commas, for example. And it knows
    /// neither symbols nor messages without type tags.)
    #[test]
    fn what_is_accepted_means_the_same(bytes in common::damaged(false)) {
        let Ok(packet) = Packet::decode(&bytes) else { return Ok(()) };
        let unknown_to_rosc = packet.messages().any(|message| {
            message.type_tags().contains(&b'S')
                || message.as_bytes().len() == message.address().len() / 4 * 4 + 4
        });
        if unknown_to_rosc {
            return Ok(());
        }
        let (rest, decoded) = rosc::decoder::decode_udp(&bytes).unwrap();
        prop_assert!(rest.is_empty());
        // NaN is not equal to itself: compare what both print and write.
        let (ours, theirs) = (OscPacket::from(packet), from_rosc(&decoded));
        prop_assert_eq!(ours.to_vec(), theirs.to_vec());
        prop_assert_eq!(ours.to_string(), theirs.to_string());
    }

    /// Both say the same about patterns of what `rosc` matches by the specification. (Its `*`
    /// wants at least one character, and its `[a-c]` matches more than one: those are checked
    /// against a plain matcher in `patterns.rs` instead.)
    #[test]
    fn patterns_match_the_same(
        pattern in r"(/(a|b|\?|\{a,bc\}){1,3}){1,3}",
        address in "(/[a-c]{1,3}){1,3}",
    ) {
        let ours = consort_osc::Pattern::new(&pattern).unwrap();
        let theirs = rosc::address::Matcher::new(&pattern).unwrap();
        let checked = rosc::address::OscAddress::new(address.clone()).unwrap();
        prop_assert_eq!(ours.matches(&address), theirs.match_address(&checked));
    }

    #[test]
    fn times_convert_the_same(seconds in 0u64..2_000_000_000, nanoseconds in 0u32..1_000_000_000) {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(seconds, nanoseconds);
        let theirs = rosc::OscTime::try_from(time).unwrap();
        let difference = TimeTag::from(time).seconds_since(time_from_rosc(theirs));
        prop_assert!(difference.abs() < 2e-9, "{difference}");
    }
}
