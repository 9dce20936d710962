//! The formats of sound files that a server can write.

use crate::error::{Error, ErrorKind, Result};

/// Integer samples of 8, 16, 24 and 32 bits, floating point, and two companded formats.
const PCM: &[&str] =
    &["int8", "uint8", "int16", "int24", "int32", "float", "double", "mulaw", "alaw"];
/// As [`PCM`], with unsigned samples of 8 bits only.
const UNSIGNED: &[&str] = &["uint8", "int16", "int24", "int32", "float", "double", "mulaw", "alaw"];
/// As [`PCM`], with signed samples of 8 bits only.
const SIGNED: &[&str] = &["int8", "int16", "int24", "int32", "float", "double", "mulaw", "alaw"];

/// The names of the file formats that scsynth 3.13 accepts, each with the sample formats that it can
/// write to them (libsndfile 1.2).
const HEADER_FORMATS: &[(&str, &[&str])] = &[
    ("aiff", PCM),
    ("aifc", PCM),
    ("wav", UNSIGNED),
    ("wave", UNSIGNED),
    ("riff", UNSIGNED),
    ("wavex", UNSIGNED),
    ("rf64", UNSIGNED),
    ("w64", UNSIGNED),
    ("caf", SIGNED),
    ("flac", &["int8", "int16", "int24"]),
    ("sun", SIGNED),
    ("next", SIGNED),
    ("ircam", &["int16", "int32", "float", "mulaw", "alaw"]),
    ("raw", PCM),
    ("paf", &["int8", "int16", "int24"]),
    ("svx", &["int8", "int16"]),
    ("nist", &["int8", "int16", "int24", "int32", "mulaw", "alaw"]),
    ("voc", &["uint8", "int16", "mulaw", "alaw"]),
    ("mat4", &["int16", "int32", "float", "double"]),
    ("mat5", &["uint8", "int16", "int32", "float", "double"]),
    ("pvf", &["int8", "int16", "int32"]),
    ("htk", &["int16"]),
    ("ogg", &["vorbis", "opus"]),
    ("sd2", &["int8", "int16", "int24", "int32"]),
    ("avr", &["int8", "uint8", "int16"]),
];

/// Checks whether a server can write files of this format with these samples. Upper and lower case
/// are equal.
pub(crate) fn check_sound_format(header: &str, sample: &str) -> Result<()> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidArgument, message));
    let found = HEADER_FORMATS.iter().find(|(name, _)| name.eq_ignore_ascii_case(header));
    let Some((name, samples)) = found else {
        let names: Vec<&str> = HEADER_FORMATS.iter().map(|(name, _)| *name).collect();
        return invalid(format!(
            "the server cannot write the format `{header}`; expected one of {}",
            names.join(", ")
        ));
    };
    if samples.iter().any(|known| known.eq_ignore_ascii_case(sample)) {
        return Ok(());
    }
    invalid(format!(
        "the server cannot write `{name}` files with `{sample}` samples; expected one of {}",
        samples.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_the_server_cannot_write_are_rejected_with_the_possible_ones() {
        for (header, sample) in
            [("aiff", "int24"), ("WAV", "float"), ("NeXT", "int8"), ("flac", "int16")]
        {
            check_sound_format(header, sample).unwrap();
        }
        for (header, sample, expected) in [
            ("mp3", "int16", "cannot write the format `mp3`; expected one of aiff, aifc, wav"),
            ("", "int16", "the format ``"),
            ("wav", "int8", "`wav` files with `int8` samples; expected one of uint8, int16"),
            ("flac", "float", "expected one of int8, int16, int24"),
            ("wav", "int17", "`int17`"),
        ] {
            let error = check_sound_format(header, sample).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
