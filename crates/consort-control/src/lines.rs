//! Splits a stream of bytes into lines.

/// A line is longer than its reader accepts. The stream cannot be used after it, because the start
/// of the next line is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {limit} bytes")]
pub struct TooLong {
    /// The longest line that is accepted, in bytes.
    pub limit: usize,
}

/// Splits a stream into lines. It buffers at most one line and the bytes pushed last, provided that
/// the caller takes all lines before the next push.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    /// How many bytes of `buffer` were returned already.
    taken: usize,
    /// How many bytes of `buffer` were searched for the end of a line.
    scanned: usize,
    limit: usize,
    is_too_long: bool,
}

impl Lines {
    /// A reader of lines of at most `limit` bytes, their ends not counted.
    pub fn new(limit: usize) -> Self {
        Lines { buffer: Vec::new(), taken: 0, scanned: 0, limit, is_too_long: false }
    }

    /// Appends bytes read from the stream; ignored after a line that was too long.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_too_long {
            return;
        }
        self.buffer.drain(..self.taken);
        self.scanned -= self.taken;
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, without its end; none when more bytes are needed.
    ///
    /// # Errors
    /// When a line is longer than the limit, now and at every call after it.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let too_long = TooLong { limit: self.limit };
        if self.is_too_long {
            return Err(too_long);
        }
        let end = self.buffer[self.scanned..].iter().position(|&byte| byte == b'\n');
        let end = end.map(|offset| self.scanned + offset);
        if end.unwrap_or(self.buffer.len()) - self.taken > self.limit {
            self.is_too_long = true;
            self.buffer = Vec::new();
            (self.taken, self.scanned) = (0, 0);
            return Err(too_long);
        }
        let Some(end) = end else {
            self.scanned = self.buffer.len();
            return Ok(None);
        };
        let line = self.taken..end;
        self.taken = end + 1;
        self.scanned = self.taken;
        Ok(Some(&self.buffer[line]))
    }

    /// Whether the buffer holds the beginning of a line. Call it when all lines were taken.
    pub fn is_partial(&self) -> bool {
        self.buffer.len() > self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(lines: &mut Lines) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().expect("short lines") {
            found.push(line.to_vec());
        }
        found
    }

    #[test]
    fn lines_are_whole_however_the_stream_is_split() {
        let mut lines = Lines::new(3);
        lines.push(b"ab");
        assert_eq!(all(&mut lines), [b""; 0]);
        assert!(lines.is_partial());
        lines.push(b"c\n\nde");
        assert_eq!(all(&mut lines), [b"abc".to_vec(), b"".to_vec()]);
        lines.push(b"\n");
        assert_eq!(all(&mut lines), [b"de"]);
        assert!(!lines.is_partial());
    }

    #[test]
    fn a_line_without_end_is_rejected_as_soon_as_it_is_too_long() {
        let mut lines = Lines::new(3);
        lines.push(b"abc");
        assert_eq!(lines.next_line(), Ok(None));
        lines.push(b"d");
        assert_eq!(lines.next_line(), Err(TooLong { limit: 3 }));
        lines.push(b"\nab\n");
        assert_eq!(lines.next_line(), Err(TooLong { limit: 3 }));
        assert_eq!(lines.buffer.capacity(), 0);
    }
}
