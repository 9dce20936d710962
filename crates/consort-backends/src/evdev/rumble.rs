//! The motors of a device. Uploading an effect may block until the device answers, so that a thread
//! does it, always with the newest strengths.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::system::{EV_FF, InputDevice, RawEvent};

/// What the thread has to do.
#[derive(Default)]
struct Wanted {
    /// The strengths of the strong and the weak motor, until the thread takes them.
    strengths: Option<[u16; 2]>,
    has_ended: bool,
    /// Why the last upload failed, until the router's thread takes it.
    problem: Option<io::Error>,
}

/// The motors of an open device, and the thread that drives them.
pub(super) struct Rumble {
    wanted: Arc<(Mutex<Wanted>, Condvar)>,
}

impl Rumble {
    /// Starts the thread.
    ///
    /// # Errors
    /// The error of the operating system.
    pub(super) fn start(device: Arc<dyn InputDevice>) -> io::Result<Self> {
        let wanted = Arc::new((Mutex::new(Wanted::default()), Condvar::new()));
        let shared = Arc::clone(&wanted);
        std::thread::Builder::new()
            .name("rumble".into())
            .spawn(move || drive(&*device, &shared))?;
        Ok(Rumble { wanted })
    }

    /// Sets the strengths of the strong and the weak motor.
    pub(super) fn set(&self, strengths: [u16; 2]) {
        let (wanted, changed) = &*self.wanted;
        wanted.lock().strengths = Some(strengths);
        changed.notify_one();
    }

    /// Why the last effect could not be played, once.
    pub(super) fn take_problem(&self) -> Option<io::Error> {
        self.wanted.0.lock().problem.take()
    }
}

impl Drop for Rumble {
    fn drop(&mut self) {
        let (wanted, changed) = &*self.wanted;
        wanted.lock().has_ended = true;
        changed.notify_one();
    }
}

/// Plays what is wanted until the end; the last strengths are played, too.
fn drive(device: &dyn InputDevice, (wanted, changed): &(Mutex<Wanted>, Condvar)) {
    let mut effect = -1;
    loop {
        let strengths = {
            let mut wanted = wanted.lock();
            loop {
                if let Some(strengths) = wanted.strengths.take() {
                    break strengths;
                }
                if wanted.has_ended {
                    return;
                }
                changed.wait(&mut wanted);
            }
        };
        if let Err(error) = play(device, &mut effect, strengths) {
            wanted.lock().problem = Some(error);
        }
    }
}

/// Plays an effect with these strengths, or stops it.
fn play(device: &dyn InputDevice, effect: &mut i16, strengths: [u16; 2]) -> io::Result<()> {
    let [strong, weak] = strengths;
    let is_on = strengths != [0, 0];
    if is_on {
        *effect = device.rumble(*effect, strong, weak)?;
    } else if *effect < 0 {
        return Ok(());
    }
    let event = RawEvent { kind: EV_FF, code: *effect as u16, value: is_on.into() };
    let mut bytes = Vec::new();
    event.encode(&mut bytes);
    rustix::io::write(device.descriptor().as_fd(), &bytes)?;
    Ok(())
}
