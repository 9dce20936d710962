//! Decoding, encoding and matching, each beside `rosc` in the same run.

#![allow(missing_docs)] // criterion's macros make an undocumented function.

use std::hint::black_box;

use consort_osc::{
    Argument, BundleBuilder, MessageBuilder, OscPacket, Packet, Pattern, SliceSink, TimeTag,
    address_matches,
};
use criterion::{Criterion, criterion_group, criterion_main};

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

fn decode(criterion: &mut Criterion) {
    for (name, bytes) in [
        ("/x/y ,f", message("/x/y", 1)),
        ("/mixer/channel/12/level ,f", message("/mixer/channel/12/level", 1)),
        ("100 floats", message("/x/y", 100)),
        ("bundle of 20", bundle(20)),
    ] {
        let mut group = criterion.benchmark_group(format!("decode {name}"));
        group.bench_function("consort-osc", |b| b.iter(|| sum(black_box(&bytes))));
        group.bench_function("consort-osc, owned", |b| {
            b.iter(|| OscPacket::decode(black_box(&bytes)));
        });
        group.bench_function("rosc", |b| {
            b.iter(|| {
                let (_, packet) = rosc::decoder::decode_udp(black_box(&bytes)).expect("valid");
                sum_rosc(&packet)
            });
        });
        group.finish();
    }
}

fn encode(criterion: &mut Criterion) {
    for (name, values) in [("/x/y ,f", 1), ("/x/y ,ff", 2), ("100 floats", 100)] {
        let mut group = criterion.benchmark_group(format!("encode {name}"));
        group.bench_function("consort-osc, builder into a Vec", |b| {
            let mut bytes = Vec::with_capacity(1024);
            b.iter(|| {
                bytes.clear();
                let mut builder = MessageBuilder::new(&mut bytes, black_box("/x/y"));
                for _ in 0..values {
                    builder.float(black_box(0.5));
                }
                builder.finish()
            });
        });
        group.bench_function("consort-osc, builder into a slice", |b| {
            let mut bytes = [0; 1024];
            b.iter(|| {
                let mut sink = SliceSink::new(&mut bytes);
                let mut builder = MessageBuilder::new(&mut sink, black_box("/x/y"));
                for _ in 0..values {
                    builder.float(black_box(0.5));
                }
                builder.finish()
            });
        });
        let arguments = vec![Argument::Float(0.5); values];
        group.bench_function("consort-osc, encode_message", |b| {
            let mut bytes = Vec::with_capacity(1024);
            b.iter(|| {
                bytes.clear();
                consort_osc::encode_message(&mut bytes, black_box("/x/y"), black_box(&arguments))
            });
        });
        let packet = rosc::OscPacket::Message(rosc::OscMessage {
            addr: "/x/y".to_owned(),
            args: vec![rosc::OscType::Float(0.5); values],
        });
        group.bench_function("rosc", |b| b.iter(|| rosc::encoder::encode(black_box(&packet))));
        group.finish();
    }
}

fn pattern(criterion: &mut Criterion) {
    let address = "/mixer/channel/12/level";
    for text in ["/mixer/channel/*/level", "/mixer/{channel,bus}/[0-9]?/l*l"] {
        let mut group = criterion.benchmark_group(format!("match {text}"));
        let compiled = Pattern::new(text).expect("valid");
        assert!(compiled.matches(address));
        group.bench_function("consort-osc", |b| b.iter(|| compiled.matches(black_box(address))));
        group.bench_function("consort-osc, not compiled", |b| {
            b.iter(|| address_matches(black_box(text), black_box(address)));
        });
        let matcher = rosc::address::Matcher::new(text).expect("valid");
        let checked = rosc::address::OscAddress::new(address.to_owned()).expect("valid");
        group.bench_function("rosc", |b| b.iter(|| matcher.match_address(black_box(&checked))));
        group.finish();
    }
    // A pattern made to take time: stars that each could end anywhere.
    let hostile = Pattern::new(&format!("/{}b", "*a".repeat(20))).expect("valid");
    let victim = format!("/{}", "a".repeat(60));
    criterion.bench_function("match hostile stars/consort-osc", |b| {
        b.iter(|| hostile.matches(black_box(&victim)));
    });
}

criterion_group!(benches, decode, encode, pattern);
criterion_main!(benches);
