//! Decoding, encoding and matching, compared with `rosc` in the same run.

#![allow(clippy::print_stdout)] // a benchmark prints its figures

use std::hint::black_box;

use consort_bench::{Samples, Timed, interleave_calls, report};
use consort_osc::{
    Argument, BundleBuilder, MessageBuilder, OscPacket, Packet, Pattern, SliceSink, TimeTag,
    address_matches,
};

/// Rounds of each subject.
const ROUNDS: usize = 21;

fn message(address: &str, values: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut builder = MessageBuilder::new(&mut bytes, address);
    for value in 0..values {
        builder.float(value as f32 / 100.0);
    }
    builder.finish().expect("fits a vector");
    drop(builder);
    bytes
}

fn bundle(messages: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut builder = BundleBuilder::new(&mut bytes, TimeTag::IMMEDIATE);
    for index in 0..messages {
        let address = format!("/channel/{index}");
        builder.message(&address).float(0.5).finish().expect("fits a vector");
    }
    builder.finish().expect("fits a vector");
    bytes
}

/// What a router does with a packet: look at the address, read numbers.
fn sum(bytes: &[u8]) -> f64 {
    let packet = Packet::decode(bytes).expect("well-formed");
    let mut sum = 0.0;
    for message in packet.messages() {
        sum += message.address_bytes().len() as f64;
        sum += message.arguments().filter_map(|argument| argument.as_f64()).sum::<f64>();
    }
    sum
}

fn sum_rosc(packet: &rosc::OscPacket) -> f64 {
    match packet {
        rosc::OscPacket::Message(message) => {
            let values = message.args.iter().map(|value| match value {
                rosc::OscType::Float(value) => f64::from(*value),
                _ => 0.0,
            });
            message.addr.len() as f64 + values.sum::<f64>()
        }
        rosc::OscPacket::Bundle(bundle) => bundle.content.iter().map(sum_rosc).sum(),
    }
}

/// Prints one of our figures beside rosc's.
fn print(work: String, ours: &Samples, rosc: &Samples) {
    report(work, "ns").peer("rosc", rosc.median()).ours(ours.median()).print();
}

fn decode() {
    for (name, bytes) in [
        ("/x/y ,f", message("/x/y", 1)),
        ("/mixer/channel/12/level ,f", message("/mixer/channel/12/level", 1)),
        ("100 floats", message("/x/y", 100)),
        ("bundle of 20", bundle(20)),
    ] {
        let bytes = bytes.as_slice();
        let [borrowed, owned, rosc] = interleave_calls(
            ROUNDS,
            [
                Timed::new(|| sum(black_box(bytes))),
                Timed::new(|| OscPacket::decode(black_box(bytes))),
                Timed::new(|| {
                    let (_, packet) = rosc::decoder::decode_udp(black_box(bytes)).expect("valid");
                    sum_rosc(&packet)
                }),
            ],
        );
        print(format!("decode {name}"), &borrowed, &rosc);
        print(format!("decode {name}, owned"), &owned, &rosc);
    }
}

fn encode() {
    for (name, values) in [("/x/y ,f", 1), ("/x/y ,ff", 2), ("100 floats", 100)] {
        let (mut vector, mut other) = (Vec::with_capacity(1024), Vec::with_capacity(1024));
        let mut array = [0; 1024];
        let arguments = vec![Argument::Float(0.5); values];
        let packet = rosc::OscPacket::Message(rosc::OscMessage {
            addr: "/x/y".to_owned(),
            args: vec![rosc::OscType::Float(0.5); values],
        });
        let [into_vector, into_slice, from_arguments, rosc] = interleave_calls(
            ROUNDS,
            [
                Timed::new(|| {
                    vector.clear();
                    let mut builder = MessageBuilder::new(&mut vector, black_box("/x/y"));
                    for _ in 0..values {
                        builder.float(black_box(0.5));
                    }
                    builder.finish()
                }),
                Timed::new(|| {
                    let mut sink = SliceSink::new(&mut array);
                    let mut builder = MessageBuilder::new(&mut sink, black_box("/x/y"));
                    for _ in 0..values {
                        builder.float(black_box(0.5));
                    }
                    builder.finish()
                }),
                Timed::new(|| {
                    other.clear();
                    let arguments = black_box(&arguments);
                    consort_osc::encode_message(&mut other, black_box("/x/y"), arguments)
                }),
                Timed::new(|| rosc::encoder::encode(black_box(&packet))),
            ],
        );
        print(format!("encode {name}, builder into a Vec"), &into_vector, &rosc);
        print(format!("encode {name}, builder into a slice"), &into_slice, &rosc);
        print(format!("encode {name}, encode_message"), &from_arguments, &rosc);
    }
}

fn pattern() {
    let address = "/mixer/channel/12/level";
    for text in ["/mixer/channel/*/level", "/mixer/{channel,bus}/[0-9]?/l*l"] {
        let compiled = Pattern::new(text).expect("valid");
        assert!(compiled.matches(address));
        let matcher = rosc::address::Matcher::new(text).expect("valid");
        let checked = rosc::address::OscAddress::new(address.to_owned()).expect("valid");
        let [compiled, parsed, rosc] = interleave_calls(
            ROUNDS,
            [
                Timed::new(|| compiled.matches(black_box(address))),
                Timed::new(|| address_matches(black_box(text), black_box(address))),
                Timed::new(|| matcher.match_address(black_box(&checked))),
            ],
        );
        print(format!("match {text}"), &compiled, &rosc);
        print(format!("match {text}, not compiled"), &parsed, &rosc);
    }
    // A pattern made to take time: stars that each could end anywhere.
    let hostile = Pattern::new(&format!("/{}b", "*a".repeat(20))).expect("valid");
    let victim = format!("/{}", "a".repeat(60));
    let [time] = interleave_calls(ROUNDS, [Timed::new(|| hostile.matches(black_box(&victim)))]);
    report("match 20 stars with 60 letters", "ns").ours(time.median()).print();
}

fn main() {
    // `cargo test --benches` only checks that the benchmark starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!("the OSC codec, median of {ROUNDS} interleaved rounds");
    decode();
    encode();
    pattern();
}
