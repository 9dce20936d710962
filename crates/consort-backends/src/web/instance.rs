//! The plan of an instance, and the instance.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use consort_router::{
    ChannelError, ChannelKind, ChannelTable, Context, Driver, Event, Instance, Plan, Problems,
    Readiness, Resolution, State, TextEvent, Usage, downcast, driver,
};
use consort_web::{
    Admission, SurfaceFeed, SurfaceLink, SurfaceServer, SurfaceSettings, SurfaceToken, Surfaces,
};

use super::Invite;
use super::channels::Channel;
use super::config::Config;
use super::layout::{Entry, channels, layout};
use crate::net::{Backoff, Wake};

/// The key of the pipe through which phones wake the router.
const WAKE: u32 = 0;

/// The most channels of a surface.
const MAX_CHANNELS: usize = 1_000;

/// The running part of the backend.
pub(super) struct WebDriver {
    pub(super) surfaces: Surfaces,
    pub(super) invite: Invite,
    /// The folder with the token, if the environment names one.
    pub(super) state: Option<PathBuf>,
}

impl Driver for WebDriver {}

/// One `[web NAME]` section before it runs.
pub(super) struct WebPlan {
    config: Config,
    entries: Vec<Entry>,
}

impl WebPlan {
    pub(super) fn new(config: Config) -> Self {
        WebPlan { config, entries: Vec::new() }
    }
}

impl Plan for WebPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        let channel = Channel::parse(specification, usage)?;
        let known = self.entries.iter().position(|entry| entry.channel.name == channel.name);
        let number = match known {
            Some(number) => number,
            None if self.entries.len() == MAX_CHANNELS => {
                let message = format!("a surface has at most {MAX_CHANNELS} channels");
                return Err(ChannelError::new(message).with_hint("use a second `[web NAME]`"));
            }
            None => {
                self.entries.push(Entry { channel, is_source: false });
                self.entries.len() - 1
            }
        };
        self.entries[number].is_source |= usage == Usage::Source;
        Ok(number as u32)
    }

    fn check(&self, problems: &mut Problems) {
        let is_mapped =
            |widget: &str| self.entries.iter().any(|entry| entry.channel.widget == widget);
        let mut unused: Vec<_> =
            self.config.looks.iter().filter(|(widget, _)| !is_mapped(widget)).collect();
        unused.sort_by_key(|(_, look)| look.position);
        for (widget, look) in unused {
            let message = format!("no mapping uses the widget `{widget}`");
            problems
                .warning(Some(look.position), message)
                .hint("a widget appears when a mapping uses its channel");
        }
    }

    fn kind(&self, channel: u32) -> ChannelKind {
        self.entries[channel as usize].channel.kind()
    }

    fn resolution(&self, channel: u32) -> Resolution {
        self.entries[channel as usize].channel.resolution()
    }

    fn open(self: Box<Self>, backend: &mut dyn Driver) -> Box<dyn Instance> {
        let shared = driver::<WebDriver>(backend);
        Box::new(WebInstance {
            surfaces: shared.surfaces.clone(),
            invite: shared.invite,
            state: shared.state.clone(),
            plan: *self,
            running: None,
            server: None,
            backoff: Backoff::default(),
            phones: 0,
            is_announced: false,
        })
    }
}

/// The surface of a started instance.
struct Running {
    feed: SurfaceFeed,
    /// Readable when phones have sent something, joined or left.
    woken: Wake,
}

/// One `[web NAME]` section that runs.
struct WebInstance {
    surfaces: Surfaces,
    invite: Invite,
    state: Option<PathBuf>,
    plan: WebPlan,
    running: Option<Running>,
    /// With `bind`.
    server: Option<SurfaceServer>,
    backoff: Backoff,
    /// How many phones the views show.
    phones: usize,
    is_announced: bool,
}

impl WebInstance {
    /// Creates the surface.
    fn create(&self, context: &mut Context<'_>) -> io::Result<Running> {
        let (woken, wake) = Wake::new(WAKE, context)?;
        let (layout, channels) =
            (layout(&self.plan.config, &self.plan.entries), channels(&self.plan.entries));
        Ok(Running { feed: SurfaceFeed::new(&layout, channels, wake), woken })
    }

    /// Opens the port, or joins the page. The files that it reads are small ones of this computer.
    ///
    /// # Errors
    /// Why that is not possible, with what to do.
    fn serve(&mut self, context: &Context<'_>) -> Result<SurfaceLink, String> {
        let Some(Running { feed, .. }) = &self.running else {
            return Err("the surface could not be created".into());
        };
        let Some(address) = self.plan.config.bind else {
            self.surfaces.add(context.name(), feed.surface());
            return self.surfaces.link(context.name()).ok_or_else(|| {
                "there is no page to join: start the show with `--web`, or add `bind = ADDRESS PORT`"
                    .into()
            });
        };
        let settings = self.settings(address)?;
        let server = SurfaceServer::start(settings, context.name(), feed.surface());
        let server = server.map_err(|error| format!("cannot listen on {address}: {error}"))?;
        let link = server.link().clone();
        self.server = Some(server);
        Ok(link)
    }

    fn settings(&self, address: SocketAddr) -> Result<SurfaceSettings, String> {
        let folder = self.state.as_ref().ok_or(
            "there is no folder for the token of the surface; set XDG_STATE_HOME to a folder that \
             you own",
        )?;
        let token = SurfaceToken::load(folder).map_err(|error| error.to_string())?;
        let files = self.plan.config.tls.as_ref();
        let tls = files.map(|(certificate, key)| consort_web::server_config(certificate, key));
        let allow = self.plan.config.allow.clone();
        let admission: Admission = Arc::new(move |host| allow.contains(host));
        Ok(SurfaceSettings {
            address,
            token,
            tls: tls.transpose().map_err(|error| error.to_string())?,
            admission: Some(admission),
        })
    }

    /// Serves the surface, or tries again later.
    fn attempt(&mut self, context: &mut Context<'_>) {
        match self.serve(context) {
            Ok(link) => {
                self.backoff.reset();
                context.set_state(State::Up);
                if !std::mem::replace(&mut self.is_announced, true) {
                    (self.invite)(context.name(), &link);
                }
            }
            Err(reason) => {
                context.set_state(State::Waiting(reason));
                context.wake_in(self.backoff.next_delay());
            }
        }
    }
}

impl Instance for WebInstance {
    fn start(&mut self, context: &mut Context<'_>) {
        match self.create(context) {
            Ok(running) => self.running = Some(running),
            Err(error) => {
                let reason = format!("cannot create the surface: {error}");
                context.set_state(State::Failed(reason));
                return;
            }
        }
        self.attempt(context);
    }

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        _: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        self.plan = *downcast::<WebPlan>(plan)?;
        if let Some(running) = &mut self.running {
            let layout = layout(&self.plan.config, &self.plan.entries);
            running.feed.replace(&layout, channels(&self.plan.entries));
        }
        Ok(())
    }

    fn ready(&mut self, key: u32, _: Readiness, context: &mut Context<'_>) {
        let Some(Running { feed, woken }) = &mut self.running else { return };
        woken.clear();
        let mut count = 0;
        let has_more = feed.take(context.budget(), |channel, value| {
            count += 1;
            context.emit(channel, value);
        });
        if count > 0 {
            context.count_input(count);
        }
        if has_more {
            context.call_again(key);
        }
        let phones = feed.phones();
        if phones != self.phones {
            self.phones = phones;
            let plural = if phones == 1 { "" } else { "s" };
            context.set_details(Some(format!("{phones} phone{plural}")));
        }
    }

    fn timer(&mut self, context: &mut Context<'_>) {
        if self.running.is_some() && !matches!(context.state(), State::Up) && !context.is_stopping()
        {
            self.attempt(context);
        }
    }

    fn deliver(&mut self, events: &[Event], _: &mut Context<'_>) {
        let Some(Running { feed, .. }) = &self.running else { return };
        for event in events {
            feed.set(event.channel, event.value);
        }
        feed.notify();
    }

    fn deliver_text(&mut self, event: TextEvent<'_>, _: &mut Context<'_>) {
        let Some(Running { feed, .. }) = &self.running else { return };
        feed.set_text(event.channel, event.text);
        feed.notify();
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        let Some(Running { feed, .. }) = &self.running else { return };
        self.surfaces.remove(&feed.surface());
        feed.release(|channel, value| context.emit(channel, value));
        self.server = None;
    }
}
