//! The kernel's own clients: `System`, which announces and controls queues, and `Midi Through`.

use super::state::State;
use crate::engine::Errno;
use crate::raw::{Address, Connect, Event, EventData, address, event_flag, event_type};

const ANNOUNCE: Address = Address::new(address::CLIENT_SYSTEM, address::PORT_SYSTEM_ANNOUNCE);
const TIMER: Address = Address::new(address::CLIENT_SYSTEM, address::PORT_SYSTEM_TIMER);

impl State {
    /// Tells the subscribers of 0:1 that a client or port has come, gone or changed.
    pub(super) fn announce(&mut self, kind: u8, client: u8, port: u8) {
        let mut event = Event {
            kind,
            queue: address::QUEUE_DIRECT,
            source: ANNOUNCE,
            dest: Address::new(address::SUBSCRIBERS, 0),
            data: EventData::from_address(Address::new(client, port)),
            ..Event::default()
        };
        // Nobody answers for an announcement that a listener cannot take.
        let _undelivered = self.deliver(Some(ANNOUNCE.client), &mut event, &[], 0);
    }

    /// A notice about a connection, to one port or to the subscribers of 0:1.
    pub(super) fn system_event(&mut self, kind: u8, connect: Connect, dest: Address) {
        let mut event = Event {
            kind,
            queue: address::QUEUE_DIRECT,
            source: ANNOUNCE,
            dest,
            data: EventData::from_connect(connect),
            ..Event::default()
        };
        let _undelivered = self.deliver(Some(ANNOUNCE.client), &mut event, &[], 0);
    }

    /// An event that has arrived at a port of a kernel client.
    pub(super) fn kernel_input(
        &mut self,
        at: Address,
        event: &Event,
        data: &[u8],
        hop: u32,
    ) -> Result<i32, Errno> {
        if at == TIMER {
            self.control_queue(event, hop)
        } else if at.client == address::CLIENT_MIDI_THROUGH {
            self.pass_through(at, event, data, hop)
        } else {
            Ok(0)
        }
    }

    /// `Midi Through`: out to the subscribers of the same port, but not what the system says.
    fn pass_through(
        &mut self,
        at: Address,
        event: &Event,
        data: &[u8],
        hop: u32,
    ) -> Result<i32, Errno> {
        if event.source.client == address::CLIENT_SYSTEM || event.kind == event_type::KERNEL_ERROR {
            return Ok(0);
        }
        let mut passed = Event {
            queue: address::QUEUE_DIRECT,
            source: at,
            dest: Address::new(address::SUBSCRIBERS, event.dest.port),
            ..*event
        };
        self.deliver(Some(at.client), &mut passed, data, hop)
    }

    /// An event for 0:0 controls a queue and is told to the subscribers of 0:0.
    fn control_queue(&mut self, event: &Event, hop: u32) -> Result<i32, Errno> {
        let control = event.data.queue_control();
        let number = i32::from(control.queue);
        let queue = self.queue(number).ok_or(Errno::INVALID)?;
        if !queue.may_be_controlled_by(event.source.client) {
            return Err(Errno::NOT_PERMITTED);
        }
        let now = self.now;
        let has_timer = queue.has_timer();
        if event.kind == event_type::START {
            self.clear_for_start(number);
        }
        let Some(queue) = self.queue_mut(number) else { return Err(Errno::INVALID) };
        let timer = &mut queue.timer;
        let done = match event.kind {
            event_type::START if has_timer => {
                timer.start(now);
                Ok(())
            }
            event_type::CONTINUE if has_timer => timer.go_on(now),
            event_type::START | event_type::CONTINUE => Err(Errno::INVALID),
            event_type::STOP => {
                timer.stop(now);
                Ok(())
            }
            event_type::TEMPO => {
                // A tempo that is not valid is told all the same.
                let _refused = timer.set_tempo(now, control.value());
                Ok(())
            }
            event_type::SET_POSITION_TICK => {
                timer.set_tick(now, control.time().tick());
                Ok(())
            }
            event_type::SET_POSITION_TIME => {
                timer.set_time(now, control.time().real());
                Ok(())
            }
            event_type::QUEUE_SKEW => {
                timer.set_skew(now, control.skew().value, control.skew().base)
            }
            _ => return Ok(0),
        };
        let tick = timer.tick(now);
        if done.is_ok() {
            let mut told = Event {
                flags: event_flag::TIME_STAMP_TICK,
                queue: address::QUEUE_DIRECT,
                time: crate::raw::Timestamp::from_tick(tick),
                source: TIMER,
                dest: Address::new(address::SUBSCRIBERS, 0),
                ..*event
            };
            let _undelivered = self.deliver(Some(TIMER.client), &mut told, &[], hop);
        }
        self.find_next_due();
        Ok(0)
    }
}
