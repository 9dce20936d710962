//! Input by a callback, for programs that have no loop of their own.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::blocking::SequencerClient;
use super::error::{ErrorKind, Result};
use crate::event::Event;

/// A client whose input a thread passes to a function; see [`SequencerClient::listen`]. It
/// dereferences to the client. Dropping it closes the client and waits for the thread.
pub struct Listening {
    client: Arc<SequencerClient>,
    thread: Option<JoinHandle<()>>,
}

impl SequencerClient {
    /// Calls a function with each event that arrives, in a thread of its own, until the returned
    /// value is dropped or the client is closed. Create and connect the ports before. The function
    /// gets [`Overrun`](ErrorKind::Overrun) if it is too slow and events were lost; any other error
    /// is the last call. If it panics, the thread ends.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    ///
    /// use consort_seq::{ClockKind, Embedded, Event, READ_PORT, SequencerClient, WRITE_PORT};
    /// use consort_seq::PortOptions;
    ///
    /// let engine = Embedded::new(ClockKind::Virtual);
    /// let listener = SequencerClient::builder("listener").engine(engine.clone()).open()?;
    /// let input = listener.create_port(PortOptions::new("in").caps(WRITE_PORT))?;
    /// let keys = SequencerClient::builder("keys").engine(engine).open()?;
    /// let output = keys.create_port(PortOptions::new("out").caps(READ_PORT))?;
    /// input.connect_from(&output)?;
    ///
    /// let (sender, received) = channel();
    /// let listening = listener.listen(move |event| {
    ///     if let Ok(event) = event {
    ///         sender.send(event).ok();
    ///     }
    /// })?;
    /// keys.event_output_direct(&Event::note_on(0, 60, 100)?, &output)?;
    /// assert_eq!(received.recv()?.payload(), Event::note_on(0, 60, 100)?.payload());
    /// drop(listening);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn listen(
        self,
        mut call: impl FnMut(Result<Event>) + Send + 'static,
    ) -> io::Result<Listening> {
        let client = Arc::new(self);
        let reader = Arc::clone(&client);
        let thread = std::thread::Builder::new().name("listen".to_owned()).spawn(move || {
            loop {
                match reader.event_input(None) {
                    Ok(Some(event)) => call(Ok(event)),
                    Ok(None) => {}
                    Err(error) if error.kind() == ErrorKind::Closed => return,
                    Err(error) => {
                        let goes_on = error.kind() == ErrorKind::Overrun;
                        call(Err(error));
                        if !goes_on {
                            return;
                        }
                    }
                }
            }
        })?;
        Ok(Listening { client, thread: Some(thread) })
    }
}

impl Deref for Listening {
    type Target = SequencerClient;

    fn deref(&self) -> &SequencerClient {
        &self.client
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Listening").field(&self.client).finish()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.client.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the function has been reported by its thread.
            let _ = thread.join();
        }
    }
}
