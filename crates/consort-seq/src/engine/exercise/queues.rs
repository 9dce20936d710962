//! Steps about queues.

use super::{Request, Runner, SLOWEST_TEMPO};
use crate::raw::{QueueClient, QueueInfo, QueueStatus, QueueTempo, QueueTimer, set_name};

impl Runner<'_> {
    pub(super) fn create_queue(&mut self, slot: usize) {
        let mut info = QueueInfo::default();
        info.set_locked(self.input.chance(128));
        if self.input.chance(128) {
            set_name(&mut info.name, self.input.pick(&["one", "two"]));
        }
        let is_created = self.ask(slot, &mut info, |info| Request::CreateQueue(info));
        if is_created && self.is_comparable() {
            self.slow_down(slot, info.queue);
        }
    }

    /// Makes a queue so slow that its ticks do not pass while the program runs.
    fn slow_down(&mut self, slot: usize, queue: i32) {
        let mut tempo = QueueTempo { queue, tempo: SLOWEST_TEMPO, ppq: 1, ..QueueTempo::default() };
        self.ask(slot, &mut tempo, |tempo| Request::SetQueueTempo(tempo));
    }

    pub(super) fn queue_step(&mut self, slot: usize) {
        let queue = self.queue_number();
        match self.input.below(12) {
            0 => {
                let mut info = QueueInfo { queue, ..QueueInfo::default() };
                self.ask(slot, &mut info, |info| Request::DeleteQueue(info));
            }
            1 => {
                let mut info = QueueInfo { queue, ..QueueInfo::default() };
                self.ask(slot, &mut info, |info| Request::GetQueueInfo(info));
            }
            2 => self.set_queue_info(slot, queue),
            3 => {
                let mut info = QueueInfo { queue, ..QueueInfo::default() };
                set_name(&mut info.name, self.input.pick(&["one", "two", "Queue-0", ""]));
                self.ask(slot, &mut info, |info| Request::GetNamedQueue(info));
            }
            4 | 5 => self.get_queue_status(slot, queue),
            6 => {
                let mut tempo = QueueTempo { queue, ..QueueTempo::default() };
                self.ask(slot, &mut tempo, |tempo| Request::GetQueueTempo(tempo));
            }
            7 => self.set_queue_tempo(slot, queue),
            8 => {
                let mut timer = QueueTimer { queue, ..QueueTimer::default() };
                self.ask(slot, &mut timer, |timer| Request::GetQueueTimer(timer));
            }
            9 => self.set_queue_timer(slot, queue),
            10 => {
                let mut usage = QueueClient { queue, ..QueueClient::default() };
                self.ask(slot, &mut usage, |usage| Request::GetQueueClient(usage));
            }
            _ => self.set_queue_client(slot, queue),
        }
    }

    fn set_queue_info(&mut self, slot: usize, queue: i32) {
        let mut info = QueueInfo { queue, ..QueueInfo::default() };
        if !self.input.chance(32) {
            info.owner = self.number_of(slot, 0).into();
        }
        info.set_locked(self.input.chance(128));
        set_name(&mut info.name, self.input.pick(&["one", "two", ""]));
        self.ask(slot, &mut info, |info| Request::SetQueueInfo(info));
    }

    fn get_queue_status(&mut self, slot: usize, queue: i32) {
        let mut status = QueueStatus { queue, ..QueueStatus::default() };
        let is_comparable = self.is_comparable();
        self.ask_masked(
            slot,
            &mut status,
            |status| Request::GetQueueStatus(status),
            |status| {
                if is_comparable && status.running != 0 {
                    status.time = Default::default();
                }
            },
        );
    }

    fn set_queue_tempo(&mut self, slot: usize, queue: i32) {
        const TEMPOS: [u32; 5] = [SLOWEST_TEMPO, SLOWEST_TEMPO - 1, 0, u32::MAX, SLOWEST_TEMPO];
        let mut tempo = QueueTempo { queue, ..QueueTempo::default() };
        tempo.tempo = self.input.pick(&TEMPOS);
        tempo.ppq = self.input.pick(&[1, 1, 2, 0, -1]);
        tempo.skew_base = self.input.pick(&[0, 0x1_0000, 1]);
        tempo.skew_value = self.input.pick(&[0x1_0000, 0x8000]);
        if !self.is_comparable() {
            tempo.tempo = self.input.word() >> self.input.below(32);
            tempo.ppq = (self.input.word() >> self.input.below(32)).cast_signed();
            tempo.skew_value = self.input.word();
        }
        self.ask(slot, &mut tempo, |tempo| Request::SetQueueTempo(tempo));
    }

    fn set_queue_timer(&mut self, slot: usize, queue: i32) {
        let mut timer = QueueTimer { queue, ..QueueTimer::default() };
        timer.kind = self.input.pick(&[0, 1, 2]);
        timer.id.class = 1;
        timer.id.card = -1;
        timer.id.device = 3;
        timer.resolution = self.input.pick(&[0, 1000]);
        self.ask(slot, &mut timer, |timer| Request::SetQueueTimer(timer));
    }

    fn set_queue_client(&mut self, slot: usize, queue: i32) {
        let used = self.input.pick(&[1, 1, 0, -1]);
        let mut usage = QueueClient { queue, used, ..QueueClient::default() };
        let is_set = self.ask(slot, &mut usage, |usage| Request::SetQueueClient(usage));
        // The first user of a queue resets its timer, so slow it down again.
        if is_set && self.is_comparable() {
            self.slow_down(slot, queue);
        }
    }
}
