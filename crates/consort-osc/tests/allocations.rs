//! Counts allocations: reading, matching and writing into a slice do not allocate.

use consort_bench::{CountingAllocator, thread_allocations};
use consort_osc::{
    Argument, BundleBuilder, LengthPrefixDecoder, MessageBuilder, Packet, Pattern, SliceSink,
    TimeTag, address_matches, encode_length_prefixed, encode_message, validate_address,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// The number of allocations of this thread while `run` runs.
fn allocations(run: impl FnOnce()) -> u64 {
    let before = thread_allocations();
    run();
    thread_allocations() - before
}

#[test]
fn the_hot_path_does_not_allocate() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1, "the counter counts");

    let pattern = Pattern::new("/mixer/{1,2}//[a-z]*l").expect("valid");
    let mut buffer = [0; 4096];
    let mut framed = Vec::with_capacity(8192);
    let mut sum = 0.0;
    let counted = allocations(|| {
        let mut sink = SliceSink::new(&mut buffer);
        let mut bundle = BundleBuilder::new(&mut sink, TimeTag::IMMEDIATE);
        for value in 0..20u8 {
            let mut message = bundle.message("/mixer/2/strip/level");
            for _ in 0..value {
                message.float(f32::from(value));
            }
            message.string("text").blob(&[1, 2, 3]).open_array().int(1).close_array();
            message.finish().expect("fits");
        }
        let mut inner = bundle.bundle(TimeTag::from_raw(5));
        inner.message("/inner").double(0.5).finish().expect("fits");
        inner.finish().expect("fits");
        bundle.finish().expect("fits");

        let packet = Packet::decode(sink.bytes()).expect("well-formed");
        for message in packet.messages() {
            assert_eq!(pattern.matches(message.address()), message.address_bytes() != b"/inner");
            assert_eq!(
                address_matches("/in*", message.address()),
                Ok(message.address() == "/inner")
            );
            validate_address(message.address()).expect("valid");
            sum += message.arguments().filter_map(|argument| argument.as_f64()).sum::<f64>();
            for item in message.arguments().filter_map(|argument| argument.as_array()).flatten() {
                sum += item.as_f64().expect("a number");
            }
        }
        assert!(Packet::decode(&sink.bytes()[..100]).is_err());

        encode_length_prefixed(sink.bytes(), &mut framed).expect("grows");
        let mut decoder = LengthPrefixDecoder::new(8192);
        let mut input = &framed[..];
        assert_eq!(decoder.next(&mut input), Ok(Some(sink.bytes())));
        let mut sink = SliceSink::new(&mut buffer);
        encode_message(&mut sink, "/a", &[Argument::Int(1), Argument::Nil]).expect("fits");
        MessageBuilder::new(&mut sink, "/b").finish().expect("fits");
    });
    assert_eq!(counted, 0);
    assert_eq!(sum, (0..20).map(|value| f64::from(value * value)).sum::<f64>() + 20.0 + 0.5);
}
