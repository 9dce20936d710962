//! Listings of clients and queues in the format of `/proc/asound/seq`.

use std::fmt::Write as _;

use super::client::{Client, Group, Port};
use super::pool::Pool;
use super::queue::MAX_QUEUES;
use super::state::State;
use crate::raw::{self, port_capability, port_direction, subscription_flag};

fn permissions(port: &Port) -> [char; 4] {
    let letter = |bit: u32, subscribe: u32, own: char, subscribable: char| {
        if port.capability & bit == 0 {
            '-'
        } else if port.capability & subscribe != 0 {
            subscribable
        } else {
            own
        }
    };
    let has = |bit: u32| port.capability & bit != 0;
    [
        letter(port_capability::READ, port_capability::SUBSCRIBE_READ, 'r', 'R'),
        letter(port_capability::WRITE, port_capability::SUBSCRIBE_WRITE, 'w', 'W'),
        if has(port_capability::NO_EXPORT) { '-' } else { 'e' },
        if has(port_capability::DUPLEX) { 'X' } else { '-' },
    ]
}

const fn direction(port: &Port) -> &'static str {
    match port.direction {
        port_direction::INPUT => " [In]",
        port_direction::OUTPUT => " [Out]",
        port_direction::BIDIRECTION => " [In/Out]",
        _ => "",
    }
}

/// Writes one direction of a port's connections; `reads` chooses which end is listed.
fn connections(text: &mut String, group: &Group, reads: bool, title: &str) -> std::fmt::Result {
    if group.list.is_empty() {
        return Ok(());
    }
    write!(text, "    {title}: ")?;
    for (index, connection) in group.list.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        let other = if reads { connection.dest } else { connection.sender };
        write!(text, "{other}")?;
        if group.exclusive {
            text.push_str("[ex]");
        }
        if connection.flags & subscription_flag::TIMESTAMP != 0 {
            let real = connection.flags & subscription_flag::TIME_REAL != 0;
            write!(text, "[{}:{}]", if real { "real" } else { "tick" }, connection.queue)?;
        }
    }
    text.push('\n');
    Ok(())
}

fn pool(text: &mut String, title: &str, pool: &Pool) -> std::fmt::Result {
    writeln!(text, "  {title} pool :")?;
    writeln!(text, "    Pool size          : {}", pool.total)?;
    writeln!(text, "    Cells in use       : {}", pool.used)?;
    writeln!(text, "    Peak cells in use  : {}", pool.peak)?;
    writeln!(text, "    Alloc success      : 0")?;
    writeln!(text, "    Alloc failures     : 0")
}

fn client(text: &mut String, client: &Client) -> std::fmt::Result {
    let kind = if client.user.is_some() { "User" } else { "Kernel" };
    let number = client.number;
    writeln!(text, "Client {number:3} : \"{}\" [{kind} Legacy]", raw::name(&client.name))?;
    for (number, port) in &client.ports {
        let permissions: String = permissions(port).iter().collect();
        let (name, direction) = (raw::name(&port.name), direction(port));
        writeln!(text, "  Port {number:3} : \"{name}\" ({permissions}){direction}")?;
        connections(text, &port.readers, true, "Connecting To")?;
        connections(text, &port.writers, false, "Connected From")?;
    }
    if client.pool.is_set_up() {
        pool(text, "Output", &client.pool)?;
    }
    if let Some(fifo) = client.user.as_ref().and_then(|user| user.fifo.as_ref()) {
        pool(text, "Input", &fifo.pool)?;
    }
    Ok(())
}

impl State {
    pub(super) fn clients_listing(&self) -> String {
        let mut text = String::new();
        let write = |text: &mut String| -> std::fmt::Result {
            writeln!(text, "Client info")?;
            writeln!(text, "  cur  clients : {}", self.client_count())?;
            writeln!(text, "  peak clients : {}", self.peak_clients)?;
            writeln!(text, "  max  clients : {}", self.clients.len())?;
            writeln!(text)?;
            self.clients.iter().flatten().try_for_each(|entry| client(text, entry))
        };
        // Writing to a `String` cannot fail.
        let _infallible = write(&mut text);
        text
    }

    pub(super) fn queues_listing(&self) -> String {
        let mut text = String::new();
        let write = |text: &mut String| -> std::fmt::Result {
            for number in 0..MAX_QUEUES {
                let Some(queue) = self.queues[number].as_deref() else { continue };
                let timer = &queue.timer;
                let bpm = 60_000_000_u32.checked_div(timer.tempo).unwrap_or(0);
                let locked = if queue.locked { "Locked" } else { "Free" };
                let time = timer.real_time(self.now);
                writeln!(text, "queue {number}: [{}]", raw::name(&queue.name))?;
                writeln!(text, "owned by client    : {}", queue.owner)?;
                writeln!(text, "lock status        : {locked}")?;
                writeln!(text, "queued time events : {}", queue.real_time_count())?;
                writeln!(text, "queued tick events : {}", queue.tick_count())?;
                let state = if timer.running { "Running" } else { "Stopped" };
                writeln!(text, "timer state        : {state}")?;
                writeln!(text, "timer PPQ          : {}", timer.ppq)?;
                writeln!(text, "current tempo      : {}", timer.tempo)?;
                writeln!(text, "current BPM        : {bpm}")?;
                let (seconds, nanoseconds) = (time.seconds, time.nanoseconds);
                writeln!(text, "current time       : {seconds}.{nanoseconds:09} s")?;
                writeln!(text, "current tick       : {}", timer.tick(self.now))?;
                writeln!(text)?;
            }
            Ok(())
        };
        let _infallible = write(&mut text);
        text
    }
}
