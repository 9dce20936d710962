//! The kernel's own clients: `System`, which sends announcements and controls queues, and
//! `Midi Through`.

use super::state::State;
use crate::engine::Errno;
use crate::raw::{Address, Connect, Event, EventData, address, event_flag, event_type};

const ANNOUNCE: Address = Address::new(address::CLIENT_SYSTEM, address::PORT_SYSTEM_ANNOUNCE);
const TIMER: Address = Address::new(address::CLIENT_SYSTEM, address::PORT_SYSTEM_TIMER);

impl State {
    /// Announces to the subscribers of 0:1 that a client or port has been created, removed or
    /// changed.
    pub(super) fn announce(&mut self, kind: u8, client: u8, port: u8) {
        let mut event = Event {
            kind,
            queue: address::QUEUE_DIRECT,
            source: ANNOUNCE,
            dest: Address::new(address::SUBSCRIBERS, 0),
            data: EventData::from_address(Address::new(client, port)),
            ..Event::default()
        };
        // A subscriber whose input queue is full misses the announcement, as on the kernel.
        let _undelivered = self.deliver(Some(ANNOUNCE.client), &mut event, &[], 0);
    }

    /// Sends a notice about a connection to one port or to the subscribers of 0:1.
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

    /// Handles an event that has arrived at a port of a kernel client.
    pub(super) fn kernel_input(
        &mut self,
        port: Address,
        event: &Event,
        data: &[u8],
        hop: u32,
    ) -> Result<i32, Errno> {
        if port == TIMER {
            self.control_queue(event, hop)
        } else if port.client == address::CLIENT_MIDI_THROUGH {
            self.pass_through(port, event, data, hop)
        } else {
            Ok(0)
        }
    }

    /// Sends what arrives at `Midi Through` to the subscribers of the same port, except for events
    /// of the client `System`.
    fn pass_through(
        &mut self,
        port: Address,
        event: &Event,
        data: &[u8],
        hop: u32,
    ) -> Result<i32, Errno> {
        if event.source.client == address::CLIENT_SYSTEM || event.kind == event_type::KERNEL_ERROR {
            return Ok(0);
        }
        let mut passed = Event {
            queue: address::QUEUE_DIRECT,
            source: port,
            dest: Address::new(address::SUBSCRIBERS, event.dest.port),
            ..*event
        };
        self.deliver(Some(port.client), &mut passed, data, hop)
    }

    /// Controls a queue by an event sent to 0:0, and passes the event on to the subscribers of 0:0.
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
        let result = match event.kind {
            event_type::START if has_timer => {
                timer.start(now);
                Ok(())
            }
            event_type::CONTINUE if has_timer => timer.resume(now),
            event_type::START | event_type::CONTINUE => Err(Errno::INVALID),
            event_type::STOP => {
                timer.stop(now);
                Ok(())
            }
            event_type::TEMPO => {
                // The event is passed on even if the tempo is invalid, as on the kernel.
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
        if result.is_ok() {
            let mut passed = Event {
                flags: event_flag::TIME_STAMP_TICK,
                queue: address::QUEUE_DIRECT,
                time: crate::raw::Timestamp::from_tick(tick),
                source: TIMER,
                dest: Address::new(address::SUBSCRIBERS, 0),
                ..*event
            };
            let _undelivered = self.deliver(Some(TIMER.client), &mut passed, &[], hop);
        }
        self.find_next_due();
        Ok(0)
    }
}
