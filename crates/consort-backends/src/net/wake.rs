//! A pipe through which other threads wake the router.

use std::io::{self, Read, Write};

use mio::Interest;
use mio::unix::pipe;

use super::Registrar;

/// The router's end of the pipe.
pub(crate) struct Wake(pipe::Receiver);

impl Wake {
    /// Creates the pipe. After each call of the returned function, on any thread, the router calls
    /// `ready` of the registrar's owner with `key`; call [`clear`](Self::clear) then.
    ///
    /// # Errors
    /// That of the operating system.
    pub(crate) fn new(
        key: u32,
        registrar: &mut impl Registrar,
    ) -> io::Result<(Wake, Box<dyn Fn() + Send + Sync>)> {
        let (sender, mut receiver) = pipe::new()?;
        registrar.register(&mut receiver, key, Interest::READABLE)?;
        let wake = move || {
            // A full pipe has woken the router already.
            let _ = (&sender).write(&[0]);
        };
        Ok((Wake(receiver), Box::new(wake)))
    }

    /// Empties the pipe: how many bytes it holds does not matter.
    pub(crate) fn clear(&mut self) {
        let mut bytes = [0; 64];
        while self.0.read(&mut bytes).is_ok_and(|count| count > 0) {}
    }
}
