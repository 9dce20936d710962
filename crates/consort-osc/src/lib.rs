//! OSC packets: codec, address patterns, time tags and stream framing, without I/O
