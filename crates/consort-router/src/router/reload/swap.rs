//! Carrying out a reload on the router's thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::prepare::{next, renumbering};
use super::{
    Adoption, Answer, Fate, Leftovers, NewInstance, Outcome, Reload, ReloadError, Reloaded,
};
use crate::backend::{Backend, ChannelKind, Driver, Instance, NoDriver, Plan};
use crate::config::Show;
use crate::context::{Context, DriverContext, DriverId, Owner};
use crate::event::Event;
use crate::live::LiveInstance;
use crate::router::{Router, RunError, STOP_LIMIT};

/// How often the answers of instances that stop are routed before they are dropped: an instance
/// that answers what it is delivered could answer itself for ever.
const LAST_ROUNDS: usize = 16;

/// How long a turn lasts at most while instances stop: some end on threads of their own.
const STOP_INTERVAL: Duration = Duration::from_millis(10);

/// A slot without an instance.
pub(super) struct Vacant;

impl Instance for Vacant {
    fn start(&mut self, _: &mut Context<'_>) {}

    fn deliver(&mut self, _: &[Event], _: &mut Context<'_>) {}
}

/// A reload whose instances are stopping.
pub(in crate::router) struct Reloading {
    reload: Box<Reload>,
    /// None for [`Router::adopt`].
    answer: Option<Answer>,
    /// Instances that need time to stop; they are stopped first.
    slow: Vec<usize>,
    /// Instances that stop at once: a socket's gap is not to last as long as a script's clean-up.
    quick: Vec<usize>,
    is_quick_stopped: bool,
    deadline: Instant,
}

impl Reloading {
    pub(in crate::router) fn refuse(self, error: ReloadError) {
        if let Some(answer) = self.answer {
            // The one who asked may have stopped waiting.
            let _ = answer.try_send(Err(error));
        }
    }
}

impl Router {
    /// Replaces the configuration of the running show by that of `show`. On the router's thread,
    /// between two turns; turns until the instances that go or restart have stopped. Other threads
    /// use [`Handle::reload`](crate::Handle::reload).
    ///
    /// An instance of the same name and backend whose options of the kind `restart` are unchanged
    /// adopts its new plan; any other, and one that does not accept its plan, is stopped and
    /// opened again in the next generation of its slot. Channels of the same name keep their last
    /// values; these are not sent again.
    ///
    /// # Errors
    /// When the operating system refuses to wait for events.
    pub fn adopt(&mut self, show: Show) -> Result<Adoption, RunError> {
        let reload = Box::new(Reload::between(&self.shared.live, show));
        self.abandon_reload(ReloadError::Outdated);
        self.begin_reload(reload, None);
        loop {
            if let Some(outcome) = self.continue_reload() {
                return Ok(outcome.reloaded.adoption);
            }
            self.step(Some(STOP_INTERVAL))?;
        }
    }

    /// Takes a reload that another thread asks for.
    pub(in crate::router) fn take_reload(&mut self) {
        let Some(request) = self.handle.mailbox.reload.lock().take() else { return };
        if self.reloading.is_some() {
            return request.refuse(ReloadError::Busy);
        }
        if request.reload.base_generation != self.shared.live.generation() {
            return request.refuse(ReloadError::Outdated);
        }
        if !request.is_preview {
            return self.begin_reload(request.reload, Some(request.answer));
        }
        let mut reload = request.reload;
        self.ask_for_obstacles(&mut reload);
        let adoption = reload.adoption();
        let generation = self.shared.live.generation();
        let reloaded = Reloaded { adoption, pause: Duration::ZERO, generation };
        let outcome = Outcome { reloaded, _leftovers: self.leftovers(reload) };
        let _ = request.answer.try_send(Ok(outcome));
    }

    /// Drops a reload whose instances are stopping: the show ends or is changed otherwise.
    pub(in crate::router) fn abandon_reload(&mut self, error: ReloadError) {
        if let Some(request) = self.handle.mailbox.reload.lock().take() {
            request.refuse(error);
        }
        if let Some(reloading) = self.reloading.take() {
            reloading.refuse(error);
        }
    }

    /// How long a turn may last while instances stop.
    pub(in crate::router) fn reload_timeout(&self) -> Option<Duration> {
        self.reloading.is_some().then_some(STOP_INTERVAL)
    }

    /// Continues a reload that another thread asked for, at the end of a turn.
    pub(in crate::router) fn turn_reload(&mut self) {
        let answer = self.reloading.as_mut().and_then(|reloading| reloading.answer.take());
        // `Router::adopt` continues its own.
        let Some(answer) = answer else { return };
        match self.continue_reload() {
            Some(outcome) => {
                // The one who asked may have stopped waiting.
                let _ = answer.try_send(Ok(outcome));
            }
            None => {
                if let Some(reloading) = &mut self.reloading {
                    reloading.answer = Some(answer);
                }
            }
        }
    }

    fn leftovers(&self, reload: Box<Reload>) -> Leftovers {
        Leftovers {
            _live: Arc::clone(&self.shared.live),
            _routes: Arc::clone(&self.routes),
            _reload: reload,
            _discarded: Vec::new(),
        }
    }

    /// Asks drivers and instances whether they accept their new plans.
    fn ask_for_obstacles(&mut self, reload: &mut Reload) {
        let mut refused = Vec::new();
        for driver in reload.drivers.iter_mut().filter(|driver| driver.fate == Fate::Adopt) {
            let Some(backend) = &driver.backend else { continue };
            if let Some(reason) = self.drivers[driver.slot].obstacle(&**backend) {
                driver.fate = Fate::Restart(reason.clone());
                refused.push((driver.slot, reason));
            }
        }
        for index in 0..reload.instances.len() {
            let instance = &reload.instances[index];
            if instance.fate != Fate::Adopt {
                continue;
            }
            let of_driver = refused.iter().find(|(driver, _)| *driver == instance.driver);
            let slot = &self.slots[instance.slot];
            let context = Context::new(&mut self.shared, slot.id);
            let plan = instance.plan.as_deref();
            let reason = of_driver
                .map(|(_, reason)| reason.clone())
                .or_else(|| slot.instance.obstacle(plan?, &context));
            if let Some(reason) = reason {
                restart(reload, index, reason);
            }
        }
    }

    fn begin_reload(&mut self, mut reload: Box<Reload>, answer: Option<Answer>) {
        self.ask_for_obstacles(&mut reload);
        for instance in &reload.instances {
            if let Fate::Restart(reason) = &instance.fate {
                let name = reload.live.instances[instance.slot].name.as_str();
                tracing::info!(instance = name, "{reason}: the instance restarts");
            }
        }
        let is_quick = |slot: &usize| self.slots[*slot].instance.is_stopped();
        let (quick, slow): (Vec<usize>, Vec<usize>) =
            reload.stopping().into_iter().partition(is_quick);
        self.shared.now = Instant::now();
        for &slot in &slow {
            self.stop_slot(slot);
        }
        let deadline = self.shared.now + STOP_LIMIT;
        self.reloading =
            Some(Reloading { reload, answer, slow, quick, is_quick_stopped: false, deadline });
    }

    fn stop_slot(&mut self, slot: usize) {
        self.shared.leaving.push(self.slots[slot].id);
        self.call(slot, |instance, context| instance.stop(context));
    }

    /// Stops what is to be stopped; when that is done, changes the configuration.
    fn continue_reload(&mut self) -> Option<Outcome> {
        let reloading = self.reloading.as_ref()?;
        if !self.have_stopped(&reloading.slow, reloading.deadline) {
            return None;
        }
        if !reloading.is_quick_stopped {
            let quick = reloading.quick.clone();
            for &slot in &quick {
                self.stop_slot(slot);
            }
            let reloading = self.reloading.as_mut()?;
            reloading.is_quick_stopped = true;
            reloading.deadline = Instant::now() + STOP_LIMIT;
        }
        let reloading = self.reloading.as_ref()?;
        if !self.have_stopped(&reloading.quick, reloading.deadline) {
            return None;
        }
        let reloading = self.reloading.take()?;
        for &slot in reloading.slow.iter().chain(&reloading.quick) {
            if !self.slots[slot].instance.is_stopped() {
                self.report_unstopped_slot(slot);
            }
        }
        Some(self.swap(reloading.reload))
    }

    /// Whether these instances have stopped, or have had their time.
    fn have_stopped(&self, slots: &[usize], deadline: Instant) -> bool {
        slots.iter().all(|&slot| self.slots[slot].instance.is_stopped())
            || Instant::now() >= deadline
    }

    /// Changes the configuration between two turns.
    fn swap(&mut self, mut reload: Box<Reload>) -> Outcome {
        let start = Instant::now();
        self.shared.now = start;
        // Events of the last turn, and commands with old channel numbers, use the old mappings.
        self.route_deferred();
        self.take_commands();
        self.drop_guards();
        let mut stopping = reload.stopping();
        let continued = {
            let before = &self.shared.live;
            reload
                .engine
                .continued(&self.engine, &renumbering(before, &reload.tables, &reload.routes))
        };
        self.with_engine(|engine, out| engine.release_others(&continued, out));
        reload.continued = Some(continued);
        self.release_held(&reload, &stopping);
        for _ in 0..LAST_ROUNDS {
            if stopping.iter().all(|&slot| self.shared.deferred_of[slot] == 0) {
                break;
            }
            self.route_deferred();
        }
        let refusing = self.adopt_drivers(&mut reload);
        for &slot in &refusing {
            self.stop_slot(slot);
        }
        stopping.extend(refusing);
        // Old instances free their sockets before any new one opens the same.
        for &slot in &stopping {
            self.slots[slot].instance = Box::new(Vacant);
            self.shared.deadlines.set(slot, None);
        }
        self.shared.leaving.clear();

        let leftovers_live = Arc::clone(&self.shared.live);
        let leftovers_routes = Arc::clone(&self.routes);
        self.install(&mut reload);
        self.open_drivers(&mut reload);
        self.adopt_instances(&mut reload);
        let opened: Vec<usize> = (0..reload.instances.len())
            .filter(|&index| reload.instances[index].fate != Fate::Adopt)
            .collect();
        for &index in &opened {
            let NewInstance { slot, driver, plan, .. } = &mut reload.instances[index];
            let plan = plan.take().expect("a plan that was not adopted");
            self.shared.deadlines.set(*slot, None);
            self.slots[*slot].instance = plan.open(&mut *self.drivers[*driver]);
        }
        for &index in &opened {
            let slot = reload.instances[index].slot;
            self.call(slot, |instance, context| instance.start(context));
        }
        self.route();

        // Moved, because there can be 100,000.
        let added_mappings = std::mem::take(&mut reload.added_mappings);
        let removed_mappings = std::mem::take(&mut reload.removed_mappings);
        let adoption = reload.adoption_in(&self.shared.live);
        let adoption = Adoption { added_mappings, removed_mappings, ..adoption };
        let generation = self.shared.live.generation();
        let pause = start.elapsed();
        let leftovers = Leftovers {
            _live: leftovers_live,
            _routes: leftovers_routes,
            _reload: reload,
            _discarded: std::mem::take(&mut self.shared.discarded),
        };
        Outcome { reloaded: Reloaded { adoption, pause, generation }, _leftovers: leftovers }
    }

    /// Releases at their targets what is held through routes and by sources that go.
    fn release_held(&mut self, reload: &Reload, stopping: &[usize]) {
        let value = |router: &Self, global: u32| {
            router.shared.live.last(global).map_or(0.0, |(value, _)| value)
        };
        for &slot in stopping {
            let live = Arc::clone(&self.shared.live);
            let instance = &live.instances[slot];
            for (channel, info) in instance.channels.iter().enumerate() {
                let is_button = info.is_source && info.kind == ChannelKind::Momentary;
                if is_button && value(self, (instance.base + channel) as u32) > 0.0 {
                    Context::new(&mut self.shared, instance.id).emit(channel as u32, 0.0);
                }
            }
        }
        self.route();
        for release in &reload.releases {
            let target = value(self, release.target_global);
            let is_held = (release.is_source_momentary && value(self, release.source) > 0.0)
                || release.is_target_momentary;
            let is_held_by_other = release.others.iter().any(|&source| value(self, source) > 0.0);
            if is_held && target > 0.0 && !is_held_by_other {
                let id = self.slots[release.target.0].id;
                self.deliver_value(id, release.target.1, 0.0);
            }
        }
    }

    /// Has drivers adopt their backends; returns the slots of the instances of those that refuse.
    fn adopt_drivers(&mut self, reload: &mut Reload) -> Vec<usize> {
        let mut refusing = Vec::new();
        for index in 0..reload.drivers.len() {
            let driver = &mut reload.drivers[index];
            if driver.fate != Fate::Adopt {
                continue;
            }
            let slot = driver.slot;
            let backend = driver.backend.take().expect("a backend that was not adopted");
            let mut context = DriverContext::new(&mut self.shared, DriverId(slot as u32));
            let Err(backend) = self.drivers[slot].adopt(backend, &mut context) else { continue };
            driver.backend = Some(backend);
            driver.fate = Fate::Restart("its backend restarts".to_owned());
            for index in 0..reload.instances.len() {
                let instance = &reload.instances[index];
                if instance.driver == slot && instance.fate == Fate::Adopt {
                    refusing.push(instance.slot);
                    restart(reload, index, "its backend restarts".to_owned());
                }
            }
        }
        refusing
    }

    /// Drops the drivers that go, after their instances, and opens those that come.
    fn open_drivers(&mut self, reload: &mut Reload) {
        let opened = reload.drivers.iter_mut().filter(|driver| driver.fate != Fate::Adopt);
        let opened = opened.map(|driver| (driver.slot, driver.backend.take()));
        let closed = reload.closed_drivers.iter().map(|&slot| (slot, None));
        let changes: Vec<(usize, Option<Box<dyn Backend>>)> = opened.chain(closed).collect();
        for (slot, backend) in changes {
            if slot >= self.drivers.len() {
                self.drivers.resize_with(slot + 1, || Box::new(NoDriver) as Box<dyn Driver>);
                // One more for the guards.
                self.shared.driver_deadlines.resize(slot + 2);
            }
            // What the old driver asked for does not concern the new one.
            self.drivers[slot] = Box::new(NoDriver);
            self.shared.driver_deadlines.set(slot, None);
            let id = DriverId(slot as u32);
            self.shared.again.retain(|(owner, _)| *owner != Owner::Driver(id));
            if let Some(backend) = backend {
                self.drivers[slot] = backend.open();
            }
        }
    }

    /// Has instances adopt their plans. One that refuses without having announced it is stopped,
    /// and its last output is lost.
    fn adopt_instances(&mut self, reload: &mut Reload) {
        for instance in &mut reload.instances {
            if instance.fate != Fate::Adopt {
                continue;
            }
            let index = instance.slot;
            let plan = instance.plan.take().expect("a plan that was not adopted");
            let slot = &mut self.slots[index];
            let mut context = Context::new(&mut self.shared, slot.id);
            let refused = slot.instance.adopt(plan, &reload.tables[index], &mut context);
            let Err(plan) = refused else { continue };
            self.call(index, |instance, context| instance.stop(context));
            self.slots[index].instance = Box::new(Vacant);
            self.renew_live(index);
            instance.plan = Some(plan as Box<dyn Plan>);
            instance.fate = Fate::Restart("it did not accept its new plan".to_owned());
        }
    }
}

/// Has an instance restarted that was to be adopted.
fn restart(reload: &mut Reload, index: usize, reason: String) {
    let instance = &mut reload.instances[index];
    instance.fate = Fate::Restart(reason);
    let live: &mut LiveInstance = &mut reload.live.instances[instance.slot];
    *live = live.renewed(next(live.id));
}
