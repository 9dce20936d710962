//! The connection to a broker in the router's loop: look-up, transport, session and back-off.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use consort_router::{Context, Readiness, State};
use mio::Interest;
use rustls::ClientConfig;

use super::client::Client;
use super::decode::Input;
use super::encode::Version;
use super::session::{Event, Failure, Identity, Session};
use super::transport::Transport;
use crate::net::{Backoff, HostPort, Lookup};

const RESOLVE: u32 = 0;
const CONNECTION: u32 = 1;

/// How many bytes are read at once.
const READ_BYTES: usize = 65_536;

/// How long a connection must last for the next attempt to be made quickly again. Brokers may
/// accept a connection and close it at once, for example if two clients have one identifier.
const STABLE: Duration = Duration::from_secs(10);

/// The options of a connection.
#[derive(Clone)]
pub(super) struct LinkConfig {
    pub(super) broker: HostPort,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) identity: Identity,
    pub(super) version: Version,
}

/// The connection of an instance.
pub(super) struct Link<C: Client> {
    config: LinkConfig,
    lookup: Lookup,
    transport: Option<Transport>,
    /// Whether the broker has closed its side, so that the end of what it sent is to be read.
    is_closing: bool,
    input: Input,
    pub(super) session: Session<C::Token>,
    backoff: Backoff,
    connected: Option<Instant>,
    /// When the next attempt is due.
    retry: Option<Instant>,
    buffer: Box<[u8]>,
    is_ended: bool,
}

impl<C: Client> Link<C> {
    pub(super) fn new(config: LinkConfig) -> Self {
        Link {
            lookup: Lookup::new(config.broker.clone()),
            transport: None,
            is_closing: false,
            input: Input::default(),
            session: Session::new(config.version, Instant::now()),
            backoff: Backoff::default(),
            connected: None,
            retry: None,
            buffer: vec![0; READ_BYTES].into(),
            is_ended: false,
            config,
        }
    }

    /// When [`timer`](Self::timer) is to be called next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.retry.into_iter().chain(self.session.deadline()).min()
    }

    /// Connects, or looks the host's name up first.
    pub(super) fn start(&mut self, client: &mut C, context: &mut Context<'_>) {
        if let Err(reason) = self.try_start(client, context) {
            self.fail(&Failure::Other(reason), client, context);
        }
    }

    fn try_start(&mut self, client: &mut C, context: &mut Context<'_>) -> Result<(), String> {
        self.retry = None;
        if self.transport.is_some() || self.is_ended {
            return Ok(());
        }
        self.lookup.start(RESOLVE, context)?;
        let Some(address) = self.lookup.address() else { return Ok(()) };
        let broker = &self.config.broker;
        let transport = Transport::connect(address, &broker.host, self.config.tls.as_ref())
            .and_then(|mut transport| {
                let both = Interest::READABLE | Interest::WRITABLE;
                context.register(&mut transport.stream, CONNECTION, both)?;
                Ok(transport)
            });
        let explain = |error: io::Error| format!("cannot connect to {broker}: {error}");
        self.transport = Some(transport.map_err(explain)?);
        self.is_closing = false;
        self.input.clear();
        self.session.begin(context.now());
        // It is sent when the connection is established.
        self.session.connect(&self.config.identity, client.will().as_ref());
        Ok(())
    }

    pub(super) fn ready(
        &mut self,
        key: u32,
        readiness: Readiness,
        client: &mut C,
        context: &mut Context<'_>,
    ) {
        if key == RESOLVE {
            return match self.lookup.finish(context) {
                Ok(()) => self.start(client, context),
                Err(reason) => self.fail(&Failure::Other(reason), client, context),
            };
        }
        if let Err(failure) = self.serve(readiness, client, context) {
            self.fail(&failure, client, context);
        }
    }

    pub(super) fn timer(&mut self, client: &mut C, context: &mut Context<'_>) {
        if self.retry.is_some_and(|time| time <= context.now()) {
            return self.start(client, context);
        }
        let result = self.session.tick(context.now()).and_then(|()| self.write(context.now()));
        if let Err(failure) = result {
            self.fail(&failure, client, context);
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self, client: &mut C, context: &mut Context<'_>) {
        if let Err(failure) = self.write(context.now()) {
            self.fail(&failure, client, context);
        }
    }

    /// Ends the connection for good, once everything was sent.
    pub(super) fn end(&mut self) {
        if !std::mem::replace(&mut self.is_ended, true) {
            self.session.disconnect();
        }
    }

    fn serve(
        &mut self,
        readiness: Readiness,
        client: &mut C,
        context: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let broker = &self.config.broker;
        let explain =
            |error: io::Error| Failure::Other(format!("cannot connect to {broker}: {error}"));
        let Some(transport) = &mut self.transport else { return Ok(()) };
        if !transport.establish().map_err(explain)? {
            return Ok(());
        }
        self.write(context.now())?;
        self.is_closing |= readiness.closed;
        if readiness.readable {
            self.read(client, context)?;
        }
        if self.session.is_open() && (readiness.writable || readiness.readable) {
            client.writable(&mut self.session, context);
        }
        self.write(context.now())
    }

    /// Reads until nothing is left or the budget of the turn is spent.
    fn read(&mut self, client: &mut C, context: &mut Context<'_>) -> Result<(), Failure> {
        let mut remaining = context.budget();
        let mut is_drained = false;
        loop {
            let version = self.session.version();
            while let Some(packet) = self.input.next(version)? {
                let Some(event) = self.session.handle(packet)? else { continue };
                if matches!(event, Event::Connected) {
                    self.connected = Some(context.now());
                }
                let spent = client.event(event, &mut self.session, context);
                remaining = remaining.saturating_sub(spent.max(1));
                if remaining == 0 {
                    context.call_again(CONNECTION);
                    return Ok(());
                }
            }
            let Some(transport) = &mut self.transport else { return Ok(()) };
            if is_drained {
                return Ok(());
            }
            match transport.read(&mut self.buffer) {
                Ok(0) => return Err(self.closed()),
                Ok(count) => {
                    self.session.received(context.now());
                    // A socket that had less than was asked for is empty; what arrives from now on
                    // is reported. The end of the connection was reported already.
                    is_drained =
                        count < READ_BYTES && !self.is_closing && !transport.is_encrypted();
                    self.input.push(&self.buffer[..count]);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return self.write(context.now()),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(self.broken(&error)),
                },
            }
        }
    }

    fn closed(&self) -> Failure {
        Failure::Other(match self.session.is_open() {
            true => format!("the broker {} closed the connection", self.config.broker),
            false => format!("the broker {} refuses the connection", self.config.broker),
        })
    }

    fn broken(&self, error: &io::Error) -> Failure {
        let problem =
            if self.session.is_open() { "lost the connection to" } else { "cannot connect to" };
        Failure::Other(format!("{problem} {}: {error}", self.config.broker))
    }

    fn write(&mut self, now: Instant) -> Result<(), Failure> {
        let Some(transport) = &mut self.transport else { return Ok(()) };
        if !transport.establish().unwrap_or(false) {
            return Ok(());
        }
        let outgoing = self.session.outgoing();
        if outgoing.is_empty() && !transport.is_handshaking() {
            return Ok(());
        }
        match transport.write(outgoing) {
            Ok(count) => {
                self.session.advance(count, now);
                Ok(())
            }
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// Closes the connection, reports the reason and schedules the next attempt.
    fn fail(&mut self, failure: &Failure, client: &mut C, context: &mut Context<'_>) {
        if let Some(mut transport) = self.transport.take()
            && let Err(error) = context.deregister(&mut transport.stream)
        {
            tracing::debug!(instance = context.name(), "cannot deregister the connection: {error}");
        }
        let lost: Vec<C::Token> = self.session.close().collect();
        let lasted = self.connected.take().map(|time| context.now() - time);
        self.lookup.forget();
        client.lost(lost, context);
        if self.is_ended {
            return;
        }
        if *failure == Failure::UnsupportedVersion && self.session.version() == Version::V5 {
            tracing::info!(
                instance = context.name(),
                "the broker {} does not support MQTT 5; using 3.1.1",
                self.config.broker
            );
            self.session.set_version(Version::V311);
            self.retry = Some(context.now());
            return;
        }
        if lasted.is_some_and(|duration| duration >= STABLE) {
            self.backoff.reset();
        }
        context.count_errors(1);
        context.set_state(State::Waiting(failure.reason().to_owned()));
        self.retry = Some(context.now() + self.backoff.next_delay());
    }
}
