//! Generated packets.

use consort_osc::{Color, MidiMessage, OscBundle, OscMessage, OscPacket, OscValue, TimeTag};
use proptest::prelude::*;

/// Text without a zero byte, of all lengths around the padding.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 é🎛,#/]{0,11}"
}

/// Addresses, also odd ones: a decoder leaves judging them to others.
pub(crate) fn address() -> impl Strategy<Value = String> {
    "/[a-z0-9é/*]{0,14}"
}

/// A value; arrays nest up to `depth`, and NaN is left out, for it is not equal to itself.
pub(crate) fn value(symbols: bool) -> impl Strategy<Value = OscValue> {
    let bytes = prop::collection::vec(any::<u8>(), 0..10);
    let leaf = prop_oneof![
        any::<i32>().prop_map(OscValue::Int),
        any::<f32>().prop_filter("NaN", |value| !value.is_nan()).prop_map(OscValue::Float),
        text().prop_map(OscValue::String),
        bytes.prop_map(OscValue::Blob),
        any::<i64>().prop_map(OscValue::Long),
        any::<f64>().prop_filter("NaN", |value| !value.is_nan()).prop_map(OscValue::Double),
        any::<u64>().prop_map(|raw| OscValue::Time(TimeTag::from_raw(raw))),
        text().prop_map(move |text| match symbols {
            true => OscValue::Symbol(text),
            false => OscValue::String(text),
        }),
        any::<char>().prop_map(OscValue::Char),
        any::<[u8; 4]>().prop_map(|[red, green, blue, alpha]| {
            OscValue::Color(Color { red, green, blue, alpha })
        }),
        any::<[u8; 4]>().prop_map(|[port, status, data1, data2]| {
            OscValue::Midi(MidiMessage { port, status, data1, data2 })
        }),
        any::<bool>().prop_map(OscValue::Bool),
        Just(OscValue::Nil),
        Just(OscValue::Impulse),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop::collection::vec(inner, 0..5).prop_map(OscValue::Array)
    })
}

pub(crate) fn message(symbols: bool) -> impl Strategy<Value = OscMessage> {
    (address(), prop::collection::vec(value(symbols), 0..9))
        .prop_map(|(address, arguments)| OscMessage { address, arguments })
}

pub(crate) fn packet(symbols: bool) -> impl Strategy<Value = OscPacket> {
    let message = message(symbols).prop_map(OscPacket::Message);
    message.prop_recursive(4, 12, 4, |inner| {
        (any::<u64>(), prop::collection::vec(inner, 0..5)).prop_map(|(raw, elements)| {
            OscPacket::Bundle(OscBundle { time: TimeTag::from_raw(raw), elements })
        })
    })
}

/// The bytes of a good packet with a few of them changed, or cut off: far more of these get
/// past the first checks than of random bytes.
pub(crate) fn damaged(symbols: bool) -> impl Strategy<Value = Vec<u8>> {
    let odd = prop_oneof![
        any::<u8>(),
        Just(0),
        Just(4),
        Just(0xff),
        prop::sample::select(b"ifsbhdtScrmTFNI[],/#".to_vec())
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), odd), 0..4);
    (packet(symbols), changes, prop::option::weighted(0.2, any::<prop::sample::Index>())).prop_map(
        |(packet, changes, cut)| {
            let mut bytes = packet.to_vec().expect("generated packets can be written");
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()) / 4 * 4);
            }
            bytes
        },
    )
}
