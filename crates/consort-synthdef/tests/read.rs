//! Reading SynthDef files: both versions, and what is refused.

use consort_sc::synthdef::prelude::*;
use consort_sc::synthdef::{ControlRate, system};
use proptest::prelude::*;

/// Bytes of a file in the notation of the format's description.
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
    let old = SynthDef::read_all(&version_1()).expect("a sound file");
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
    let again = SynthDef::read_all(&written).expect("a sound file");
    assert_eq!(again, old);
    assert_eq!(again[0].ugens(), old[0].ugens());
    // The variant is kept: its name and its values stand at the end.
    assert!(written.windows(8).any(|window| window == b"old.high"));
}

#[test]
fn several_synthdefs_in_one_file() {
    let synthdefs = [
        system::default(),
        system::audio_link(2).expect("sound"),
        system::control_link(1).expect("sound"),
    ];
    let bytes = SynthDef::compile_all(&synthdefs);
    let read = SynthDef::read_all(&bytes).expect("a sound file");
    assert_eq!(read, synthdefs);
    for (one, other) in read.iter().zip(&synthdefs) {
        assert_eq!(one.controls(), other.controls());
    }
    assert_eq!(SynthDef::compile_all(&read), bytes);
    assert_eq!(SynthDef::read_all(&SynthDef::compile_all([])).expect("a sound file"), []);
}

#[test]
fn an_anonymous_synthdef_stays_anonymous() {
    let built = SynthDef::anonymous(|_| Out::ar(0, DC::ar(0.0))).expect("sound");
    let read = SynthDef::read_all(&built.compile()).expect("a sound file");
    assert_eq!(read[0].name(), built.anonymous_name());
    assert_eq!(read, [built]);
}

#[test]
fn every_truncation_tells_its_offset() {
    for whole in [version_1(), SynthDef::compile_all([&system::default()])] {
        for end in 0..whole.len() {
            let error = SynthDef::read_all(&whole[..end]).expect_err("the file is cut");
            let offset = error.offset().expect("an offset");
            assert!(offset <= end, "{error}");
            assert_eq!(error.kind(), SynthDefErrorKind::Truncated, "{end}: {error}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        let error = SynthDef::read_all(&longer).expect_err("something follows");
        assert_eq!(error.offset(), Some(whole.len()));
    }
}

#[test]
fn contradictions_tell_their_offset() {
    use SynthDefErrorKind as Kind;
    let refused = |bytes: Vec<u8>| {
        let error = SynthDef::read_all(&bytes).expect_err("the file is not sound");
        (error.kind(), error.offset().expect("an offset"), error.to_string())
    };
    assert_eq!(refused(b"SCgx\0\0\0\x02\0\0".to_vec()).0, Kind::Malformed);
    let (kind, offset, _) = refused(File::new(3, 0).0);
    assert_eq!((kind, offset), (Kind::UnknownVersion, 4));

    // A count that no file can hold does not reserve memory.
    let huge = File::new(2, 1).text("x").long(i32::MAX).0;
    let (kind, offset, _) = refused(huge);
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
    let (kind, _, text) = refused(cycle);
    assert_eq!(kind, Kind::Malformed);
    assert!(text.contains("reads UGen 0, which does not stand before it"), "{text}");

    let constant =
        head().long(1).text("Foo").raw(&[2]).long(1).long(0).short(0).long(-1).long(7).short(0).0;
    let (_, _, text) = refused(constant);
    assert!(text.contains("reads constant 7 of 0"), "{text}");

    let rate = head().long(1).text("Foo").raw(&[9]).long(0).long(0).short(0).short(0).0;
    let (_, _, text) = refused(rate);
    assert!(text.contains("rate of a UGen is 9"), "{text}");

    let control = File::new(2, 1).text("x").long(0).long(1).float(0.0).long(1).text("a").long(5);
    let (_, _, text) = refused(control.long(0).short(0).0);
    assert!(text.contains("has index 5 of 1 values"), "{text}");
}

/// Files that are small for what they seem to ask for: neither memory nor time grows with the
/// square of their size.
#[test]
fn hostile_files_are_bounded() {
    let count = 60_000;
    let mut names = File::new(2, 1).text("x").long(0).long(count);
    names = names.raw(&vec![0; 4 * count as usize]).long(count);
    for _ in 0..count {
        names = names.text("a").long(0);
    }
    let read = SynthDef::read_all(&names.long(0).short(0).0).expect("a sound file");
    let values: usize = read[0].controls().iter().map(|control| control.values.len()).sum();
    assert_eq!(values, 2 * count as usize - 1);

    // The older version, whose constants are looked up again when it is written as the newer.
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
    let read = SynthDef::read_all(&inputs.short(0).0).expect("a sound file");
    assert_eq!(
        read[0].ugens()[19].inputs[29_999],
        consort_sc::synthdef::CompiledInput::Constant(29_999.0)
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        consort_sc::fuzz::scsyndef(&bytes);
        consort_sc::fuzz::score(&bytes);
    }

    #[test]
    fn a_damaged_file_never_panics(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        older in any::<bool>(),
    ) {
        let mut bytes =
            if older { version_1() } else { system::frequency_scope(system::FrequencyAxis::Linear, true).compile() };
        let place = place.index(bytes.len());
        bytes[place] = byte;
        consort_sc::fuzz::scsyndef(&bytes);
    }
}
