//! Steps about clients, their pools and the removal of events.

use super::{Request, Runner};
use crate::raw::{ClientInfo, ClientPool, RemoveEvents, RunningInfo, SystemInfo, remove, set_name};

impl Runner<'_> {
    /// Sets or reads the pool of a client.
    pub(super) fn pool(&mut self, slot: usize) {
        let client = self.client_number().into();
        let mut pool = ClientPool { client, ..ClientPool::default() };
        if self.input.chance(128) {
            pool.output_pool = self.input.pick(&[0, 0, 1, 3, 10, 500, 2000, 2001, -1]);
            pool.input_pool = self.input.pick(&[0, 0, 1, 3, 10, 200, 2000, 2001, -1]);
            pool.output_room = self.input.pick(&[0, 1, 2, 5, 250, 600, -1]);
            self.ask(slot, &mut pool, |pool| Request::SetClientPool(pool));
        } else {
            self.ask(slot, &mut pool, |pool| Request::GetClientPool(pool));
        }
    }

    /// Removes events under random conditions.
    pub(super) fn remove_events(&mut self, slot: usize) {
        let mut mode = remove::OUTPUT | (self.input.word() & 0x3ff & self.input.word());
        if !self.input.chance(64) {
            mode &= !remove::INPUT;
        }
        let mut condition = RemoveEvents {
            mode,
            time: self.time(mode & remove::TIME_TICK == 0),
            queue: self.input.below(3),
            dest: self.address(),
            channel: self.input.below(2),
            kind: self.input.pick(&[5, 6, 7, 10, 50]),
            tag: self.input.below(2),
            ..RemoveEvents::default()
        };
        self.ask(slot, &mut condition, |condition| Request::RemoveEvents(condition));
    }

    /// Runs a step about a client's information.
    pub(super) fn client_step(&mut self, slot: usize) {
        let mut info = ClientInfo { client: self.client_number().into(), ..ClientInfo::default() };
        match self.input.below(8) {
            0 => self.running_mode(slot),
            1 => {
                info.client = self.input.pick(&[-1, -5, 13, 127, 128, 129, 190, 1000]);
                self.ask(slot, &mut info, |info| Request::QueryNextClient(info));
            }
            2 => {
                self.ask(slot, &mut info, |info| Request::GetClientInfo(info));
            }
            3 => {
                let mut version = self.input.pick(&[0x1_0002, 0x1_0003, 0x1_0005]);
                if !self.is_comparable() {
                    self.ask(slot, &mut version, |version| Request::UserProtocolVersion(version));
                }
            }
            _ => self.set_client_info(slot, info),
        }
    }

    fn running_mode(&mut self, slot: usize) {
        let client = self.client_number();
        let cpu_mode = self.input.pick(&[0, 4, 8, 9]);
        let mut running = RunningInfo { client, cpu_mode, ..RunningInfo::default() };
        running.big_endian = u8::from(self.input.chance(32));
        self.ask(slot, &mut running, |running| Request::RunningMode(running));
        let mut system = SystemInfo::default();
        self.ask_masked(
            slot,
            &mut system,
            |system| Request::SystemInfo(system),
            |system| system.current_clients = 0,
        );
    }

    fn set_client_info(&mut self, slot: usize, mut info: ClientInfo) {
        let own = self.number_of(slot, 0);
        info.client = if self.input.chance(16) { info.client } else { own.into() };
        info.kind = if self.input.chance(16) { 2 } else { 1 };
        info.filter = self.input.pick(&[0, 4, 4, 4, 1 << 31, 1 << 31 | 4]);
        info.event_filter = [self.input.pick(&[0, 0xff, 0x40, 0xa5]); 32];
        if self.input.chance(64) {
            set_name(&mut info.name, "a client");
        }
        info.lost_events = self.input.below(2).into();
        self.ask(slot, &mut info, |info| Request::SetClientInfo(info));
    }
}
