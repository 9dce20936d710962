//! Known packets, byte by byte, and what must be refused.

use consort_osc::{
    Argument, Bundle, BundleBuilder, Color, ErrorKind, Limits, Message, MessageBuilder,
    MidiMessage, OscBundle, OscMessage, OscPacket, OscValue, Packet, SliceSink, TimeTag,
    encode_message,
};

fn message(bytes: &[u8]) -> Message<'_> {
    Message::decode(bytes).expect("well-formed")
}

fn bundle(bytes: &[u8]) -> Bundle<'_> {
    match Packet::decode(bytes) {
        Ok(Packet::Bundle(bundle)) => bundle,
        other => panic!("no bundle: {other:?}"),
    }
}

fn refused(bytes: &[u8]) -> (ErrorKind, usize) {
    let error = Packet::decode(bytes).expect_err("malformed");
    (error.kind(), error.offset())
}

/// The two examples at the end of the OSC 1.0 specification.
#[test]
fn examples_of_the_specification() {
    let bytes = b"/oscillator/4/frequency\0,f\0\0\x43\xdc\0\0";
    assert_eq!(message(bytes).to_string(), "/oscillator/4/frequency ,f 440.0");
    let bytes = b"/foo\0\0\0\0,iisff\0\0\0\0\x03\xe8\xff\xff\xff\xffhello\0\0\0\
        \x3f\x9d\xf3\xb6\x40\xb5\xb2\x2d";
    let message = message(bytes);
    assert_eq!(message.to_string(), r#"/foo ,iisff 1000 -1 "hello" 1.234 5.678"#);
    let mut again = Vec::new();
    let arguments: Vec<Argument> = message.arguments().collect();
    assert_eq!(encode_message(&mut again, "/foo", &arguments), Ok(bytes.len()));
    assert_eq!(again, bytes);
}

#[test]
fn every_type() {
    let mut bytes = Vec::new();
    let mut builder = MessageBuilder::new(&mut bytes, "/all");
    builder.int(-2).float(0.5).string("text").blob(&[1, 2, 3, 4, 5]).long(1 << 40);
    builder.double(-0.25).time(TimeTag::IMMEDIATE).symbol("symbol").char('é');
    builder.color(Color { red: 1, green: 2, blue: 3, alpha: 255 });
    builder.midi(MidiMessage { port: 1, status: 0x90, data1: 60, data2: 100 });
    builder.bool(true).bool(false).nil().impulse();
    builder.open_array().int(1).open_array().string("in").close_array().nil().close_array();
    builder.int(7);
    let size = builder.finish().expect("fits");
    drop(builder);
    assert_eq!(size, bytes.len());
    let view = message(&bytes);
    assert_eq!(view.type_tags(), b"ifsbhdtScrmTFNI[i[s]N]i");
    assert_eq!(
        view.to_string(),
        "/all ,ifsbhdtScrmTFNI[i[s]N]i -2 0.5 \"text\" blob(5 bytes: 01 02 03 04 05) \
         1099511627776 -0.25 @immediately 'symbol' 'é' #010203ff midi(1: 90 3c 64) true false \
         nil impulse [1, [\"in\"], nil] 7"
    );
    let owned = OscMessage::from(view);
    assert_eq!(owned.to_string(), view.to_string());
    assert_eq!(OscPacket::from(owned).to_vec().as_deref(), Ok(&bytes[..]));
    let array = view.arguments().find_map(|argument| argument.as_array()).expect("an array");
    assert_eq!(array.iter().count(), 3);
    assert_eq!(view.arguments().last(), Some(Argument::Int(7)));
}

#[test]
fn numbers() {
    assert_eq!(Argument::Int(-3).as_f64(), Some(-3.0));
    assert_eq!(Argument::Bool(true).as_f64(), Some(1.0));
    assert_eq!(Argument::String("3").as_f64(), None);
    assert_eq!(Argument::Float(3.0).as_i32(), Some(3));
    assert_eq!(Argument::Float(3.5).as_i32(), None);
    assert_eq!(Argument::Double(f64::NAN).as_i64(), None);
    assert_eq!(Argument::Long(i64::MAX).as_i32(), None);
    assert_eq!(Argument::Long(i64::MIN).as_i64(), Some(i64::MIN));
    assert_eq!(OscValue::from(2.5f32).as_f64(), Some(2.5));
    assert_eq!(OscValue::Array(vec![]).as_f64(), None);
}

#[test]
fn bundles_nest_and_flatten() {
    let mut bytes = Vec::new();
    let mut outer = BundleBuilder::new(&mut bytes, TimeTag::IMMEDIATE);
    outer.message("/a").int(1).finish().expect("fits");
    let mut inner = outer.bundle(TimeTag::from_raw(5));
    inner.message("/b").int(2).finish().expect("fits");
    inner.bundle(TimeTag::from_raw(6)).finish().expect("fits");
    assert_eq!(inner.finish(), Ok(16 + 4 + 12 + 4 + 16));
    outer.encoded(b"/c\0\0,i\0\0\0\0\0\x03");
    outer.finish().expect("fits");

    let view = bundle(&bytes);
    assert_eq!(view.time(), TimeTag::IMMEDIATE);
    assert_eq!(view.elements().count(), 3);
    let addresses: Vec<&str> = view.messages().map(|message| message.address()).collect();
    assert_eq!(addresses, ["/a", "/b", "/c"]);
    let owned = OscBundle::from(view);
    assert_eq!(owned.to_string(), view.to_string());
    assert_eq!(OscPacket::from(owned).to_vec().as_deref(), Ok(&bytes[..]));
    assert_eq!(Packet::Bundle(view).messages().count(), 3);
    let alone = Packet::decode(b"/c\0\0,\0\0\0").expect("well-formed");
    assert_eq!(alone.messages().count(), 1);
}

#[test]
fn messages_without_type_tags_have_no_arguments() {
    let bare = message(b"/bang\0\0\0");
    assert_eq!((bare.address(), bare.arguments().count()), ("/bang", 0));
    assert_eq!(refused(b"/old\0\0\0\0\0\0\0\x05"), (ErrorKind::TypeTagsMissing, 8));
}

#[test]
fn malformed_packets_are_rejected_with_their_offset() {
    let truncated = |needed, available| ErrorKind::Truncated { needed, available };
    let cases: &[(&[u8], ErrorKind, usize)] = &[
        (b"", ErrorKind::Empty, 0),
        (b"abc\0", ErrorKind::NotAPacket, 0),
        (b"#bundl\0\0", ErrorKind::NotAPacket, 0),
        (b"/a\0", ErrorKind::UnalignedSize(3), 0),
        (b"/abc", ErrorKind::UnterminatedString, 0),
        (b"/\xff\0\0,\0\0\0", ErrorKind::NotUtf8, 0),
        (b"/a\0\0,iii", ErrorKind::UnterminatedString, 4),
        (b"/a\0\0,i\0\0", truncated(4, 0), 8),
        (b"/a\0\0,id\0\0\0\0\x01\0\0\0\0", truncated(8, 4), 12),
        (b"/a\0\0,x\0\0", ErrorKind::UnknownTypeTag(b'x'), 5),
        (b"/a\0\0,s\0\0abcd", ErrorKind::UnterminatedString, 8),
        (b"/a\0\0,s\0\0\xff\0\0\0", ErrorKind::NotUtf8, 8),
        (b"/a\0\0,c\0\0\0\0\xd8\0", ErrorKind::InvalidCharacter(0xd800), 8),
        (b"/a\0\0,b\0\0\xff\xff\xff\xff", ErrorKind::NegativeSize(-1), 8),
        (b"/a\0\0,b\0\0\x7f\xff\xff\xff", truncated(0x8000_0004, 4), 8),
        (b"/a\0\0,b\0\0\0\0\0\x05abcd", truncated(12, 8), 8),
        (b"/a\0\0,[\0\0", ErrorKind::UnbalancedArray, 6),
        (b"/a\0\0,]\0\0", ErrorKind::UnbalancedArray, 5),
        (b"/a\0\0,N\0\0\0\0\0\0", ErrorKind::TrailingBytes(4), 8),
        (b"#bundle\0\0\0\0\0", truncated(16, 12), 0),
        (b"#bundle\0\0\0\0\0\0\0\0\x01\0\0", truncated(4, 2), 16),
        (b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\0", ErrorKind::Empty, 20),
        (b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x08/a\0\0", truncated(8, 4), 20),
        (b"#bundle\0\0\0\0\0\0\0\0\x01\x80\0\0\0", ErrorKind::NegativeSize(i32::MIN), 16),
        (b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x08/a\0\0,x\0\0", ErrorKind::UnknownTypeTag(b'x'), 25),
    ];
    for (bytes, kind, offset) in cases {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(refused(bytes), (*kind, *offset), "{text:?}");
    }
    let error = Message::decode(b"#bundle\0\0\0\0\0\0\0\0\x01").expect_err("a bundle");
    assert_eq!(error.kind(), ErrorKind::NotAPacket);
}

/// One packet of 64 KiB with some 3,000 bundles in each other, and one with 60,000 brackets:
/// the first ends a process that decodes recursively.
#[test]
fn deep_nesting_cannot_overflow_the_stack() {
    let mut bytes = Vec::new();
    while bytes.len() + 20 <= 65_500 {
        let mut outer = b"#bundle\0\0\0\0\0\0\0\0\x01".to_vec();
        if !bytes.is_empty() {
            outer.extend_from_slice(&u32::try_from(bytes.len()).expect("small").to_be_bytes());
            outer.append(&mut bytes);
        }
        bytes = outer;
    }
    assert_eq!(refused(&bytes), (ErrorKind::TooDeep { limit: 16 }, 16 * 20));
    let boundless = Limits::DEFAULT.with_bundle_depth(usize::MAX).with_array_depth(usize::MAX);
    let error = Packet::decode_with(&bytes, &boundless).expect_err("too deep");
    assert_eq!(error.kind(), ErrorKind::TooDeep { limit: Limits::MAX_DEPTH });

    let depth = 30_000;
    let mut bytes = b"/a\0\0,".to_vec();
    bytes.extend(std::iter::repeat_n(b'[', depth));
    bytes.extend(std::iter::repeat_n(b']', depth));
    bytes.resize(bytes.len() / 4 * 4 + 4, 0);
    assert_eq!(refused(&bytes), (ErrorKind::TooDeep { limit: 16 }, 5 + 16));
    let error = Packet::decode_with(&bytes, &boundless).expect_err("too deep");
    assert_eq!(error.kind(), ErrorKind::TooDeep { limit: Limits::MAX_DEPTH });
}

/// The deepest packet that anyone can allow is read, copied, printed and written on a stack of
/// 256 KiB, less than any thread has by default.
#[test]
fn the_deepest_packet_needs_little_stack() {
    let run = || {
        let mut value = OscValue::Int(1);
        for _ in 0..Limits::MAX_DEPTH {
            value = OscValue::Array(vec![value]);
        }
        let mut packet = OscPacket::from(OscMessage::new("/deep", vec![value]));
        for _ in 0..Limits::MAX_DEPTH {
            packet = OscBundle::new(TimeTag::IMMEDIATE, vec![packet]).into();
        }
        let bytes = packet.to_vec().expect("deep, but not too deep");
        let boundless = Limits::DEFAULT.with_bundle_depth(64).with_array_depth(64);
        let view = Packet::decode_with(&bytes, &boundless).expect("allowed");
        assert_eq!(OscPacket::from(view), packet);
        assert_eq!(view.to_string(), packet.to_string());
        assert_eq!(view, view);
        assert!(format!("{view:?}").contains("Int(1)"));

        let deeper = OscPacket::from(OscBundle::new(TimeTag::IMMEDIATE, vec![packet.clone()]));
        let error = deeper.to_vec().expect_err("too deep");
        assert_eq!(error.kind(), ErrorKind::TooDeep { limit: Limits::MAX_DEPTH });
        let mut value = OscValue::Nil;
        for _ in 0..=Limits::MAX_DEPTH {
            value = OscValue::Array(vec![value]);
        }
        let deeper = OscPacket::from(OscMessage::new("/deep", vec![value]));
        let error = deeper.to_vec().expect_err("too deep");
        assert_eq!(error.kind(), ErrorKind::TooDeep { limit: Limits::MAX_DEPTH });
    };
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(run);
    thread.expect("a thread").join().expect("no overflow, no panic");
}

#[test]
fn limits_are_enforced() {
    let bytes = b"/a\0\0,iii\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\x03";
    let with = |limits: Limits| Packet::decode_with(bytes, &limits).map_err(|e| e.kind());
    assert!(with(Limits::DEFAULT.with_arguments(3).with_size(24)).is_ok());
    assert_eq!(
        with(Limits::DEFAULT.with_arguments(2)),
        Err(ErrorKind::TooManyArguments { limit: 2 })
    );
    assert_eq!(with(Limits::DEFAULT.with_size(23)), Err(ErrorKind::TooLarge { limit: 23 }));
    let bundle = b"#bundle\0\0\0\0\0\0\0\0\x01";
    let error = Packet::decode_with(bundle, &Limits::DEFAULT.with_bundle_depth(0));
    assert_eq!(error.map_err(|e| e.kind()), Err(ErrorKind::TooDeep { limit: 0 }));
}

#[test]
fn builders_leave_the_sink_unchanged_on_errors() {
    let mut bytes = b"before".to_vec();
    type Build = fn(&mut MessageBuilder<'_, Vec<u8>>);
    let cases: [(&str, Build, ErrorKind); 5] = [
        (
            "a",
            |builder| {
                builder.int(1);
            },
            ErrorKind::AddressWithoutSlash,
        ),
        ("/a\0b", |_| (), ErrorKind::ZeroInString),
        (
            "/a",
            |builder| {
                builder.string("\0").int(1);
            },
            ErrorKind::ZeroInString,
        ),
        (
            "/a",
            |builder| {
                builder.open_array();
            },
            ErrorKind::UnbalancedArray,
        ),
        (
            "/a",
            |builder| {
                builder.close_array();
            },
            ErrorKind::UnbalancedArray,
        ),
    ];
    for (address, build, kind) in cases {
        let mut builder = MessageBuilder::new(&mut bytes, address);
        build(&mut builder);
        assert_eq!(builder.finish().map_err(|error| error.kind()), Err(kind));
    }
    MessageBuilder::new(&mut bytes, "/dropped").int(1);
    BundleBuilder::new(&mut bytes, TimeTag::IMMEDIATE);
    assert_eq!(bytes, b"before");

    let mut bundle = BundleBuilder::new(&mut bytes, TimeTag::IMMEDIATE);
    assert!(bundle.message("/a").string("\0").finish().is_err());
    bundle.message("/b").finish().expect("fits");
    assert_eq!(bundle.finish(), Ok(16 + 4 + 8));
    assert_eq!(bytes.len(), 6 + 16 + 4 + 8);
}

/// A buffer that is large enough for the result is enough, also while tags are moved about.
#[test]
fn slices_need_no_more_space_than_the_result() {
    for count in 0..40 {
        let write = |sink: &mut SliceSink<'_>| {
            let mut builder = MessageBuilder::new(sink, "/some/address");
            for value in 0..count {
                builder.int(value);
            }
            builder.finish()
        };
        let mut large = [0xaa; 512];
        let mut sink = SliceSink::new(&mut large);
        let size = write(&mut sink).expect("fits");
        assert_eq!(message(sink.bytes()).arguments().count(), count as usize);
        let mut exact = vec![0x55; size];
        let mut sink = SliceSink::new(&mut exact);
        assert_eq!(write(&mut sink), Ok(size));
        assert_eq!(sink.into_bytes(), &large[..size]);
        let mut short = vec![0; size - 1];
        let mut sink = SliceSink::new(&mut short);
        let error = write(&mut sink).expect_err("too small");
        assert!(matches!(error.kind(), ErrorKind::BufferTooSmall { .. }), "{error}");
        assert!(sink.bytes().is_empty());
    }
}

#[test]
fn length_prefixes() {
    let mut bytes = Vec::new();
    assert_eq!(MessageBuilder::length_prefixed(&mut bytes, "/a").int(1).finish(), Ok(12));
    assert_eq!(bytes, b"\0\0\0\x0c/a\0\0,i\0\0\0\0\0\x01");
    bytes.clear();
    assert_eq!(BundleBuilder::length_prefixed(&mut bytes, TimeTag::from_raw(9)).finish(), Ok(16));
    assert_eq!(bytes, b"\0\0\0\x10#bundle\0\0\0\0\0\0\0\0\x09");
}

#[test]
fn errors_name_the_cause_and_the_offset() {
    let error = Packet::decode(b"/a\0\0,id\0\0\0\0\x01\0\0\0\0").expect_err("truncated");
    assert_eq!(error.to_string(), "expected 8 bytes here, found 4 (at byte 12)");
    let error = Packet::decode(b"/a\0\0,x\0\0").expect_err("unknown");
    assert_eq!(error.to_string(), "unknown type tag 'x' (at byte 5)");
}
