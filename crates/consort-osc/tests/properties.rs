//! Properties that hold for every packet and every input.

mod common;

use std::time::{Duration, UNIX_EPOCH};

use consort_osc::{OscPacket, OscValue, Packet, SliceSink, TimeTag, encode_message, fuzz};
use proptest::prelude::*;

fn plain(packet: &OscPacket, messages: &mut Vec<String>) {
    match packet {
        OscPacket::Message(message) => messages.push(message.to_string()),
        OscPacket::Bundle(bundle) => bundle.elements.iter().for_each(|p| plain(p, messages)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn encoding_and_decoding_is_the_identity(packet in common::packet(true)) {
        let bytes = packet.to_vec().unwrap();
        prop_assert_eq!(bytes.len() % 4, 0);
        let view = Packet::decode(&bytes).unwrap();
        prop_assert_eq!(&OscPacket::from(view), &packet);
        prop_assert_eq!(view.as_bytes(), &bytes[..]);
        prop_assert_eq!(view.to_string(), packet.to_string());
        // A buffer of exactly that size will do.
        let mut buffer = vec![0xee; bytes.len()];
        let mut sink = SliceSink::new(&mut buffer);
        prop_assert_eq!(packet.encode(&mut sink), Ok(bytes.len()));
        prop_assert_eq!(sink.bytes(), &bytes[..]);
        // Every message, in order, without its bundles.
        let mut expected = Vec::new();
        plain(&packet, &mut expected);
        let found: Vec<String> = view.messages().map(|message| message.to_string()).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn borrowed_and_owned_values_agree(message in common::message(true)) {
        let bytes = OscPacket::from(message.clone()).to_vec().unwrap();
        let Ok(Packet::Message(view)) = Packet::decode(&bytes) else { panic!("a message") };
        for (argument, value) in view.arguments().zip(&message.arguments) {
            prop_assert_eq!(&OscValue::from(argument), value);
            prop_assert_eq!(argument.as_f64(), value.as_f64());
            prop_assert_eq!(argument.as_i32(), value.as_i32());
            prop_assert_eq!(argument.as_str(), value.as_str());
            prop_assert_eq!(argument.as_blob(), value.as_blob());
            prop_assert_eq!(argument.to_string(), value.to_string());
        }
        let arguments: Vec<_> = view.arguments().collect();
        let mut again = Vec::new();
        encode_message(&mut again, view.address(), &arguments).unwrap();
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn damaged_packets_never_panic(bytes in common::damaged(true)) {
        fuzz::osc_decode(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(
        start in prop::sample::select(vec![&b""[..], b"/", b"/a\0\0,", b"#bundle\0", b"/a\0\0,[ibs]\0\0"]),
        rest in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        fuzz::osc_decode(&[start, &rest].concat());
    }

    #[test]
    fn times_survive_conversion(
        seconds in -61_505_152i64..4_233_462_143, // 20 January 1968 to 26 February 2104
        nanoseconds in 0u32..1_000_000_000,
    ) {
        let time = match u64::try_from(seconds) {
            Ok(seconds) => UNIX_EPOCH + Duration::new(seconds, nanoseconds),
            Err(_) => UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs())
                + Duration::from_nanos(nanoseconds.into()),
        };
        let tag = TimeTag::from(time);
        prop_assert_eq!(tag.to_system_time(), time);
        prop_assert_eq!(tag.to_system_time_near(time), time);
        let number = seconds as f64 + f64::from(nanoseconds) / 1e9;
        prop_assert!((tag.to_unix_seconds() - number).abs() < 1e-6);
        prop_assert!(TimeTag::from_unix_seconds(number).seconds_since(tag).abs() < 1e-6);
    }

    #[test]
    fn times_add_up(raw in any::<u64>(), seconds in 0u64..2_000_000_000, nanoseconds in 0u32..1_000_000_000) {
        let tag = TimeTag::from_raw(raw);
        let step = Duration::new(seconds, nanoseconds);
        prop_assert_eq!((tag + step).duration_since(tag), Some(step));
        prop_assert_eq!(tag + step - step, tag);
        prop_assert!(((tag + step).seconds_since(tag) - step.as_secs_f64()).abs() < 1e-6);
        prop_assert!(tag.add_seconds(step.as_secs_f64()).seconds_since(tag + step).abs() < 1e-6);
        let mut changed = tag;
        changed += step;
        changed -= step;
        prop_assert_eq!(changed, tag);
    }

    #[test]
    fn times_order_as_their_points_in_time(a in any::<u64>(), b in any::<u64>()) {
        prop_assume!(a != 1 && b != 1);
        let (a, b) = (TimeTag::from_raw(a), TimeTag::from_raw(b));
        let units = |tag: TimeTag| (tag.to_system_time(), tag.fraction());
        if units(a).0 != units(b).0 {
            prop_assert_eq!(a.cmp(&b), units(a).0.cmp(&units(b).0));
        }
        prop_assert_eq!(a.cmp(&b) == std::cmp::Ordering::Equal, a == b);
    }

    #[test]
    fn ntp_seconds_survive(raw in any::<u64>()) {
        let tag = TimeTag::from_raw(raw);
        let again = TimeTag::from_ntp_seconds(tag.to_ntp_seconds());
        prop_assert!(again.seconds_since(tag).abs() < 1e-6);
    }
}
