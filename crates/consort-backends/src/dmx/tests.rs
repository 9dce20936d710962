//! Blocks of levels and single values give the same results: the same show runs with instances
//! that offer their slots and with instances that do not.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use consort_router::testing::{Performance, TestShow};
use consort_router::{
    Backend, BackendDescriptor, Block, ChannelError, ChannelTable, Context, Driver, Event,
    Instance, InstanceConfig, InstanceId, Plan, Problems, RouteControl, Sender, Usage, downcast,
};
use proptest::prelude::*;

use super::{Emission, Output, SLOTS, Slots};

/// What the test sees of an instance.
#[derive(Default)]
struct Universe {
    slots: Slots,
    emission: Emission,
    output: Option<Output>,
    /// The values that were delivered, in order: slot, value, root.
    delivered: Vec<(u32, u64, u32)>,
    /// How many blocks were delivered.
    blocks: usize,
}

thread_local! {
    /// The universes of the instances that were opened last, by name.
    static OPENED: RefCell<Vec<(String, Rc<RefCell<Universe>>)>> = const { RefCell::new(Vec::new()) };
}

struct Frames {
    offers_slots: bool,
}

struct FramesPlan {
    name: String,
    slots: Slots,
    offers_slots: bool,
}

struct FramesInstance {
    universe: Rc<RefCell<Universe>>,
}

const fn descriptor(create: fn() -> Box<dyn Backend>) -> BackendDescriptor {
    BackendDescriptor {
        name: "frames",
        summary: "",
        documentation: "",
        options: &[],
        instance_options: &[],
        instance_families: &[],
        channels: &[],
        example: "",
        create,
    }
}

static BLOCKS: BackendDescriptor = descriptor(|| Box::new(Frames { offers_slots: true }));
static EVENTS: BackendDescriptor = descriptor(|| Box::new(Frames { offers_slots: false }));

impl Backend for Frames {
    fn instance(&mut self, config: InstanceConfig, _: &mut Problems) -> Option<Box<dyn Plan>> {
        let (name, slots) = (config.name, Slots::default());
        Some(Box::new(FramesPlan { name, slots, offers_slots: self.offers_slots }))
    }
}

impl Plan for FramesPlan {
    fn channel(&mut self, specification: &str, usage: Usage) -> Result<u32, ChannelError> {
        self.slots.channel(specification, usage)
    }

    fn slot(&self, channel: u32, _: Usage) -> Option<u16> {
        self.slots.narrow(channel).filter(|_| self.offers_slots)
    }

    fn open(self: Box<Self>, _: &mut dyn Driver) -> Box<dyn Instance> {
        let output = Some(Output::new(false, 0));
        let FramesPlan { name, slots, .. } = *self;
        let universe = Universe { slots, output, ..Universe::default() };
        let universe = Rc::new(RefCell::new(universe));
        OPENED.with_borrow_mut(|opened| opened.push((name, Rc::clone(&universe))));
        Box::new(FramesInstance { universe })
    }
}

impl Instance for FramesInstance {
    fn start(&mut self, _: &mut Context<'_>) {}

    fn adopt(
        &mut self,
        plan: Box<dyn Plan>,
        channels: &ChannelTable,
        _: &mut Context<'_>,
    ) -> Result<(), Box<dyn Plan>> {
        let universe = &mut *self.universe.borrow_mut();
        universe.slots = downcast::<FramesPlan>(plan)?.slots;
        universe.emission.adopt(universe.slots.channel_count(), channels);
        Ok(())
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<'_>) {
        let Universe { slots, output, delivered, .. } = &mut *self.universe.borrow_mut();
        let Some(output) = output else { return };
        let mut replaced = 0;
        for event in events {
            let slot = slots.slots_of(event.channel).high.into();
            delivered.push((slot, event.value.to_bits(), event.root().number()));
            replaced += u64::from(output.replaces(event, slots));
            output.set(event, slots);
        }
        context.count_dropped(replaced);
    }

    fn deliver_block(&mut self, block: &Block<'_>, context: &mut Context<'_>) {
        let Universe { slots, output, delivered, blocks, .. } = &mut *self.universe.borrow_mut();
        let Some(output) = output else { return };
        delivered.extend(block.events().map(|event| {
            let slot = slots.slots_of(event.channel).high.into();
            (slot, event.value.to_bits(), event.root().number())
        }));
        *blocks += 1;
        context.count_dropped(output.count_replaced(block));
        output.set_block(block);
    }
}

/// Rows of mappings: source, first slot, target, first slot, length. Slots are counted from 1.
type Row = (usize, usize, usize, usize, usize);

/// What happens to a show.
#[derive(Clone, Debug)]
enum Step {
    /// A frame of that many slots arrives; each of the changes sets some slots to one value.
    Frame {
        universe: usize,
        length: usize,
        changes: Vec<(usize, usize, u8)>,
        is_all: bool,
    },
    /// As many frames of a universe as settle the counts of its channels.
    Flood {
        universe: usize,
    },
    /// A value is emitted or delivered from outside.
    Single {
        universe: usize,
        channel: prop::sample::Index,
        value: u8,
        is_input: bool,
    },
    Control {
        route: prop::sample::Index,
        control: RouteControl,
        is_on: bool,
    },
    /// All mappings are closed, or opened again.
    Hold {
        is_on: bool,
    },
    /// The target's frame is sent.
    Send {
        universe: usize,
    },
    Reload {
        rows: Vec<Row>,
        extra: Vec<(usize, usize)>,
    },
}

/// Universes 0 and 1 are sources, 2 and 3 targets; extra mappings lead from a slot of universe 0 to
/// the probe or, beyond 512, from a slot of 16 bits.
fn show(
    descriptor: &'static BackendDescriptor,
    rows: &[Row],
    extra: &[(usize, usize)],
) -> TestShow {
    let mut show = TestShow::new();
    for universe in 0..4 {
        show.instance(descriptor, &format!("u{universe}"), &[]);
    }
    let mut known = std::collections::HashSet::new();
    for &(source, first, target, target_first, length) in rows {
        for index in 0..length {
            let (from, to) = (first + index, target_first + index);
            if from <= SLOTS && to <= SLOTS && known.insert((source, from, target, to)) {
                show.map(&format!("u{source}.{from}"), &format!("u{}.{to}", target + 2));
            }
        }
    }
    for &(source, slot) in extra {
        show.map(&format!("u{source}.{slot}"), &format!("probe.{source}-{slot}"));
    }
    show
}

/// One of the two shows.
struct Run {
    performance: Performance,
    universes: Vec<Rc<RefCell<Universe>>>,
    descriptor: &'static BackendDescriptor,
    frames: [Vec<u8>; 2],
    start: Instant,
    turns: u32,
}

impl Run {
    fn new(descriptor: &'static BackendDescriptor, rows: &[Row], extra: &[(usize, usize)]) -> Self {
        OPENED.with_borrow_mut(Vec::clear);
        let performance = show(descriptor, rows, extra).start();
        let opened = OPENED.with_borrow_mut(std::mem::take);
        let universes = opened.into_iter().map(|(_, universe)| universe).collect();
        let frames = [Vec::new(), Vec::new()];
        Run { performance, universes, descriptor, frames, start: Instant::now(), turns: 0 }
    }

    fn frame(&mut self, universe: usize, frame: &[u8], is_all: bool) {
        let id = self.performance.id(&format!("u{universe}"));
        let state = Rc::clone(&self.universes[universe]);
        self.performance.router.with_context(id, |context| {
            let Universe { slots, emission, .. } = &mut *state.borrow_mut();
            if !emission.is_current(frame) {
                emission.emit(slots, frame, is_all, Sender::Unknown, context);
            }
        });
    }

    fn step(&mut self, step: &Step) {
        let handle = self.performance.router.handle();
        let live = handle.live();
        match step {
            Step::Frame { universe, length, changes, is_all } => {
                let mut frame = std::mem::take(&mut self.frames[*universe]);
                frame.resize(frame.len().max(*length), 0);
                for &(first, count, level) in changes {
                    let end = (first + count).min(frame.len());
                    frame[first.min(end)..end].fill(level);
                }
                self.frame(*universe, &frame, *is_all);
                self.frames[*universe] = frame;
            }
            Step::Flood { universe } => {
                let mut frame = std::mem::take(&mut self.frames[*universe]);
                for _ in 0..300 {
                    frame.iter_mut().skip(1).for_each(|level| *level = level.wrapping_add(1));
                    self.frame(*universe, &frame, false);
                }
                self.frames[*universe] = frame;
            }
            Step::Single { universe, channel, value, is_input } => {
                let id = self.performance.id(&format!("u{universe}"));
                let count = live.channel_infos(id).len();
                if count > 0 {
                    let (channel, value) = (channel.index(count) as u32, f64::from(*value) / 255.0);
                    match is_input {
                        true => handle.inject(id, channel, value),
                        false => handle.deliver(id, channel, value),
                    };
                }
            }
            Step::Control { route, control, is_on } => {
                if live.route_count() > 0 {
                    let route = route.index(live.route_count()) as u32;
                    handle.control_route(route, *control, *is_on);
                }
            }
            Step::Hold { is_on } => _ = handle.hold(*is_on),
            Step::Send { universe } => {
                self.turns += 1;
                let now = self.start + Duration::from_secs(self.turns.into());
                let mut universe = self.universes[universe + 2].borrow_mut();
                if let Some(output) = &mut universe.output {
                    output.next_frame(now, true);
                }
            }
            Step::Reload { rows, extra } => {
                self.performance.adopt(show(self.descriptor, rows, extra));
            }
        }
        self.performance.router.step(Some(Duration::ZERO)).expect("a turn");
    }

    /// Everything that is visible.
    fn visible(&mut self) -> impl PartialEq + std::fmt::Debug + use<> {
        let live = self.performance.router.handle().live();
        let ids: Vec<InstanceId> = live.instance_ids().collect();
        let counters: Vec<_> = ids.iter().map(|&id| live.counters(id)).collect();
        let unmatched: Vec<u64> = ids.iter().map(|&id| live.unmatched_count(id)).collect();
        let channels: Vec<_> = ids
            .iter()
            .flat_map(|&id| (0..live.channel_infos(id).len()).map(move |index| (id, index as u32)))
            .map(|(id, channel)| live.channel(id, channel))
            .collect();
        let delivered: Vec<_> = self
            .universes
            .iter()
            .map(|universe| std::mem::take(&mut universe.borrow_mut().delivered))
            .collect();
        let data = |universe: &Rc<RefCell<Universe>>| {
            universe.borrow().output.as_ref().map(|output| output.data().to_vec())
        };
        let outputs: Vec<_> = self.universes.iter().map(data).collect();
        (counters, unmatched, channels, delivered, outputs, self.performance.received())
    }
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = prop_oneof![
        (0..2_usize, 0..2_usize).prop_map(|(source, target)| (source, 1, target, 1, SLOTS)),
        (0..2_usize, 1..SLOTS, 0..2_usize, 1..SLOTS, 1..200_usize),
    ];
    prop::collection::vec(row, 1..4)
}

fn extra() -> impl Strategy<Value = Vec<(usize, usize)>> {
    prop::collection::vec((0..2_usize, 1..=SLOTS), 0..3)
}

fn step() -> impl Strategy<Value = Step> {
    let changes = prop::collection::vec((0..SLOTS, 1..SLOTS, any::<u8>()), 0..4);
    let control =
        prop_oneof![Just(RouteControl::Mute), Just(RouteControl::Solo), Just(RouteControl::Freeze)];
    let frame = (0..2_usize, prop_oneof![Just(SLOTS), 1..=SLOTS], changes, any::<bool>());
    prop_oneof![
        8 => frame.prop_map(|(universe, length, changes, is_all)| {
            Step::Frame { universe, length, changes, is_all }
        }),
        1 => (0..2_usize).prop_map(|universe| Step::Flood { universe }),
        3 => (0..4_usize, any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(
            |(universe, channel, value, is_input)| {
                Step::Single { universe, channel, value, is_input }
            }
        ),
        2 => (any::<prop::sample::Index>(), control, any::<bool>())
            .prop_map(|(route, control, is_on)| Step::Control { route, control, is_on }),
        1 => any::<bool>().prop_map(|is_on| Step::Hold { is_on }),
        2 => (0..2_usize).prop_map(|universe| Step::Send { universe }),
        1 => (rows(), extra()).prop_map(|(rows, extra)| Step::Reload { rows, extra }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blocks_and_single_values_give_the_same_results(
        rows in rows(),
        extra in extra(),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut blocks = Run::new(&BLOCKS, &rows, &extra);
        let mut events = Run::new(&EVENTS, &rows, &extra);
        for step in &steps {
            blocks.step(step);
            events.step(step);
            prop_assert_eq!(blocks.visible(), events.visible(), "after {:?}", step);
        }
    }
}

#[test]
fn a_universe_mapped_to_a_universe_goes_as_one_block() {
    let mut run = Run::new(&BLOCKS, &[(0, 1, 0, 1, SLOTS)], &[]);
    for level in 1..=20 {
        run.frame(0, &[level; SLOTS], false);
    }
    let target = run.universes[2].borrow();
    assert_eq!((target.blocks, target.delivered.len()), (20, 20 * SLOTS));
}
