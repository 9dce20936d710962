//! Reading SynthDef files: both versions, and the errors.

use consort_synthdef::prelude::*;
use consort_synthdef::{CompiledInput, ControlRate, fuzz, system};
use proptest::prelude::*;

/// The bytes of a file, written with the types of the format's description.
#[derive(Default)]
struct File(Vec<u8>);

impl File {
    fn new(version: u32, count: u16) -> Self {
        Self::default().raw(b"SCgf").raw(&version.to_be_bytes()).raw(&count.to_be_bytes())
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.raw(&[text.len() as u8]).raw(text.as_bytes())
    }

    fn short(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn long(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn float(self, value: f32) -> Self {
        self.raw(&value.to_be_bytes())
    }
}

/// A sine with a control and a variant, in the older version.
fn version_1() -> Vec<u8> {
    File::new(1, 1)
        .text("old")
        .short(2) // constants
        .float(0.0)
        .float(0.5)
        .short(2) // control values
        .float(440.0)
        .float(3.0)
        .short(2) // control names
        .text("freq")
        .short(0)
        .text("bus")
        .short(1)
        .short(4) // UGens
        .text("Control")
        .raw(&[1])
        .short(0)
        .short(2)
        .short(0)
        .raw(&[1, 1])
        .text("SinOsc")
        .raw(&[2])
        .short(2)
        .short(1)
        .short(0)
        .short(0)
        .short(0)
        .short(-1)
        .short(0)
        .raw(&[2])
        .text("BinaryOpUGen")
        .raw(&[2])
        .short(2)
        .short(1)
        .short(2)
        .short(1)
        .short(0)
        .short(-1)
        .short(1)
        .raw(&[2])
        .text("Out")
        .raw(&[2])
        .short(2)
        .short(0)
        .short(0)
        .short(0)
        .short(1)
        .short(2)
        .short(0)
        .short(1) // variants
        .text("old.high")
        .float(880.0)
        .float(0.0)
        .0
}

#[test]
fn the_older_version_is_read_and_written_as_the_newer() {
    let old = SynthDef::read_all(&version_1()).expect("a valid file");
    assert_eq!(old.len(), 1);
    assert_eq!(old[0].name(), "old");
    let controls: Vec<_> = old[0]
        .controls()
        .iter()
        .map(|control| (control.name.as_str(), control.index, control.values.clone(), control.rate))
        .collect();
    assert_eq!(
        controls,
        [
            ("freq", 0, vec![440.0], ControlRate::Control),
            ("bus", 1, vec![3.0], ControlRate::Control)
        ]
    );
    let text = old[0].to_string();
    assert!(text.contains("2 Multiplication.ar left: 1 SinOsc.ar, right: 0.5"), "{text}");
    assert!(text.contains("3 Out.ar bus: bus, source[0]: 2 Multiplication.ar"), "{text}");
    let written = old[0].compile();
    assert_eq!(written[..8], *b"SCgf\0\0\0\x02");
    let reread = SynthDef::read_all(&written).expect("a valid file");
    assert_eq!(reread, old);
    assert_eq!(reread[0].ugens(), old[0].ugens());
    // The variant is kept: its name and its values are at the end.
    assert!(written.windows(8).any(|window| window == b"old.high"));
}

#[test]
fn a_file_may_contain_several_synthdefs() {
    let synthdefs = [
        system::default(),
        system::audio_link(2).expect("a valid SynthDef"),
        system::control_link(1).expect("a valid SynthDef"),
    ];
    let bytes = SynthDef::compile_all(&synthdefs);
    let read = SynthDef::read_all(&bytes).expect("a valid file");
    assert_eq!(read, synthdefs);
    for (read, original) in read.iter().zip(&synthdefs) {
        assert_eq!(read.controls(), original.controls());
    }
    assert_eq!(SynthDef::compile_all(&read), bytes);
    assert_eq!(SynthDef::read_all(&SynthDef::compile_all([])).expect("a valid file"), []);
}

#[test]
fn an_anonymous_synthdef_stays_anonymous() {
    let built = SynthDef::anonymous(|_| Out::ar(0, DC::ar(0.0))).expect("a valid SynthDef");
    let read = SynthDef::read_all(&built.compile()).expect("a valid file");
    assert_eq!(read[0].name(), built.anonymous_name());
    assert_eq!(read, [built]);
}

#[test]
fn every_truncation_is_an_error_with_its_offset() {
    for whole in [version_1(), SynthDef::compile_all([&system::default()])] {
        for end in 0..whole.len() {
            let error = SynthDef::read_all(&whole[..end]).expect_err("a truncated file");
            let offset = error.offset().expect("an offset");
            assert!(offset <= end, "{error}");
            assert_eq!(error.kind(), SynthDefErrorKind::Truncated, "{end}: {error}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        let error = SynthDef::read_all(&longer).expect_err("bytes after the last SynthDef");
        assert_eq!(error.offset(), Some(whole.len()));
    }
}

#[test]
fn contradictions_are_errors_with_their_offset() {
    use SynthDefErrorKind as Kind;
    let rejected = |bytes: Vec<u8>| {
        let error = SynthDef::read_all(&bytes).expect_err("an invalid file");
        (error.kind(), error.offset().expect("an offset"), error.to_string())
    };
    assert_eq!(rejected(b"SCgx\0\0\0\x02\0\0".to_vec()).0, Kind::Malformed);
    let (kind, offset, _) = rejected(File::new(3, 0).0);
    assert_eq!((kind, offset), (Kind::UnknownVersion, 4));

    // A count that no file can have does not reserve memory.
    let huge = File::new(2, 1).text("x").long(i32::MAX).0;
    let (kind, offset, _) = rejected(huge);
    assert_eq!((kind, offset), (Kind::TooMany, 12));

    let head = || File::new(2, 1).text("x").long(0).long(0).long(0);
    let cycle = head()
        .long(1)
        .text("Foo")
        .raw(&[2])
        .long(1)
        .long(1)
        .short(0)
        .long(0)
        .long(0)
        .raw(&[2])
        .short(0)
        .0;
    let (kind, _, text) = rejected(cycle);
    assert_eq!(kind, Kind::Malformed);
    assert!(text.contains("reads UGen 0, which does not precede it"), "{text}");

    let constant =
        head().long(1).text("Foo").raw(&[2]).long(1).long(0).short(0).long(-1).long(7).short(0).0;
    let (_, _, text) = rejected(constant);
    assert!(text.contains("reads constant 7 of 0"), "{text}");

    let rate = head().long(1).text("Foo").raw(&[9]).long(0).long(0).short(0).short(0).0;
    let (_, _, text) = rejected(rate);
    assert!(text.contains("rate of a UGen is 9"), "{text}");

    let control = File::new(2, 1).text("x").long(0).long(1).float(0.0).long(1).text("a").long(5);
    let (_, _, text) = rejected(control.long(0).short(0).0);
    assert!(text.contains("has index 5 of 1 values"), "{text}");
}

/// Small files with large counts: neither memory nor time grows with the square of the file's size.
#[test]
fn hostile_files_take_bounded_memory_and_time() {
    let count = 60_000;
    let mut names = File::new(2, 1).text("x").long(0).long(count);
    names = names.raw(&vec![0; 4 * count as usize]).long(count);
    for _ in 0..count {
        names = names.text("a").long(0);
    }
    let read = SynthDef::read_all(&names.long(0).short(0).0).expect("a valid file");
    let values: usize = read[0].controls().iter().map(|control| control.values.len()).sum();
    assert_eq!(values, 2 * count as usize - 1);

    // The older version, whose constants are looked up again when it is converted to the newer.
    let count = 30_000_i16;
    let mut inputs = File::new(1, 1).text("x").short(count);
    for constant in 0..count {
        inputs = inputs.float(f32::from(constant));
    }
    inputs = inputs.short(0).short(0).short(20);
    for _ in 0..20 {
        inputs = inputs.text("Foo").raw(&[2]).short(count).short(0).short(0);
        for constant in 0..count {
            inputs = inputs.short(-1).short(constant);
        }
    }
    let read = SynthDef::read_all(&inputs.short(0).0).expect("a valid file");
    assert_eq!(read[0].ugens()[19].inputs[29_999], CompiledInput::Constant(29_999.0));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz::scsyndef(&bytes);
    }

    #[test]
    fn a_damaged_file_never_panics(
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        older in any::<bool>(),
    ) {
        let mut bytes =
            if older { version_1() } else { system::frequency_scope(system::FrequencyAxis::Linear, true).compile() };
        let position = position.index(bytes.len());
        bytes[position] = byte;
        fuzz::scsyndef(&bytes);
    }
}
