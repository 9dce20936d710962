//! Pieces in beats: `cargo run -p consort-sc --example pieces -- drums out.wav` writes a sound file;
//! without a file, the piece is played on a server. The pieces: drums, generative, granular, live.

#[path = "../instruments/instruments.rs"]
#[allow(dead_code)] // The other example uses the rest.
mod instruments;
mod pieces;

use consort_sc::music::{TempoClock, render};
use consort_sc::{Options, Result, Server};

/// A piece, its tempo in beats a minute, and its length in seconds.
type Piece = (fn(&TempoClock) -> Result<()>, f64, f64);

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "generative".to_owned());
    let (play, tempo, seconds): Piece = match name.as_str() {
        "drums" => (pieces::drum_loop, 120.0, 17.0),
        "generative" => (pieces::generative, 96.0, 28.0),
        "granular" => (pieces::granular, 60.0, 8.0),
        "live" => (pieces::live_reverb, 60.0, 60.0),
        _ => return Err("expected drums, generative, granular or live".into()),
    };
    if let Some(path) = arguments.next() {
        render(path, tempo, seconds, play)?;
        return Ok(());
    }
    let server = Server::new(Options::default())?;
    server.boot()?;
    let clock = TempoClock::new(&server, tempo)?;
    play(&clock)?;
    clock.start(&server)?;
    std::thread::sleep(std::time::Duration::from_secs_f64(seconds));
    clock.stop()?;
    server.quit()?;
    Ok(())
}
