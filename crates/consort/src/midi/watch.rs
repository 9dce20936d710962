//! `consort midi watch`.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use consort_seq::{Address, Announcement, Engine, PortInfo, Watch};

use super::find::name;
use super::ports::plain;
use super::{Ending, EngineArguments};

/// Arguments of `consort midi watch`.
#[derive(clap::Args, Debug)]
pub(crate) struct WatchArguments {
    /// Stop after this many seconds instead of at Ctrl-C
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    #[command(flatten)]
    engine: EngineArguments,
}

pub(super) fn run(
    arguments: &WatchArguments,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    let ending = Ending::new(stop, arguments.seconds)?;
    let engine = arguments.engine.engine()?;
    // Opens a client first, because its errors say what is missing.
    drop(super::open("consort watch", &engine)?);
    let mut watcher = Watcher::open(&engine, out)?;
    while !ending.is_due() {
        watcher.next(ending.left(Duration::from_millis(200)), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints announcements with the names of ports.
pub(super) struct Watcher {
    watch: Watch,
    /// Names by address. An entry stays until its port has disappeared, so that it can be named.
    known: BTreeMap<Address, String>,
    /// Names of clients by number.
    clients: BTreeMap<u8, String>,
}

impl Watcher {
    /// Starts watching, and prints the existing ports.
    pub(super) fn open(engine: &Engine, out: &mut dyn Write) -> anyhow::Result<Self> {
        let mut this = Self {
            watch: Watch::open(engine.clone())?,
            known: BTreeMap::new(),
            clients: BTreeMap::new(),
        };
        this.learn()?;
        for port in this.list()? {
            if port.client_id != 0 {
                writeln!(out, "  {:<7} {}", port.address().to_string(), plain(&name(&port)))?;
            }
        }
        out.flush()?;
        Ok(this)
    }

    fn list(&self) -> anyhow::Result<Vec<PortInfo>> {
        Ok(self.watch.list_ports()?)
    }

    /// Adds the names of new ports.
    fn learn(&mut self) -> anyhow::Result<()> {
        for port in self.list()? {
            self.known.insert(port.address(), plain(&name(&port)));
            let client = plain(port.client_name.as_deref().unwrap_or_default());
            self.clients.insert(port.client_id, client);
        }
        Ok(())
    }

    /// Address and name of a port.
    fn name(&self, address: Address) -> String {
        match self.known.get(&address) {
            Some(name) => format!("{address} '{name}'"),
            None => address.to_string(),
        }
    }

    /// Waits for an announcement and prints it; false if none arrived within `timeout`.
    pub(super) fn next(&mut self, timeout: Duration, out: &mut dyn Write) -> anyhow::Result<bool> {
        let Some(announcement) = self.watch.next_timeout(Some(timeout))? else { return Ok(false) };
        match announcement {
            Announcement::PortStarted(address) => {
                self.learn()?;
                writeln!(out, "+ {:<7} {}", address.to_string(), self.known_name(address))?;
            }
            Announcement::PortChanged(address) => {
                let before = self.known_name(address).to_owned();
                self.learn()?;
                let now = self.known_name(address);
                if now != before {
                    writeln!(out, "~ {:<7} {now}, was {before}", address.to_string())?;
                }
            }
            Announcement::PortExited(address) => {
                let name = self.known.remove(&address).unwrap_or_default();
                writeln!(out, "- {:<7} {name}", address.to_string())?;
            }
            Announcement::ClientExited(client) => {
                // Not every sequencer announces each port of a client that exits.
                self.known.retain(|address, _| address.client != client);
                let name = self.clients.remove(&client).unwrap_or_default();
                writeln!(out, "{}", format!("- {client:<7} (client) {name}").trim_end())?;
            }
            Announcement::ClientStarted(client) => {
                // It may have exited again already; then it has no name.
                let name = self.watch.client().get_any_client_info(client).map(|info| info.name);
                let name = name.unwrap_or_default();
                self.clients.insert(client, plain(&name));
                writeln!(out, "{}", format!("+ {client:<7} (client) {name}").trim_end())?;
            }
            Announcement::Connected(connection) => {
                let (from, to) = (self.name(connection.sender), self.name(connection.dest));
                writeln!(out, "  {from} -> {to}")?;
            }
            Announcement::Disconnected(connection) => {
                let (from, to) = (self.name(connection.sender), self.name(connection.dest));
                writeln!(out, "  {from} disconnected from {to}")?;
            }
            Announcement::Lost => {
                tracing::warn!("announcements were lost; `consort midi ports` lists all ports");
                self.learn()?;
            }
            _ => {}
        }
        out.flush()?;
        Ok(true)
    }

    /// The name of a port, or an empty text.
    fn known_name(&self, address: Address) -> &str {
        self.known.get(&address).map_or("", String::as_str)
    }
}
