//! Which connections an instance makes: those of its options, and those that were there before.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::config::{Direction, PortConfig};

/// One option `connect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The name of the instance's port; `None` is every port.
    port: Option<String>,
    /// The ports of others.
    pub(super) pattern: String,
}

/// How long a connection must be gone, while both ports are there, to count as removed. When a
/// client ends, jackd2 removes its connections first, and its ports up to a second later.
pub(super) const SETTLING_TIME: Duration = Duration::from_secs(3);

/// A port of another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its full name, `client:port`.
    pub(super) name: String,
    pub(super) is_midi: bool,
    /// Whether it receives.
    pub(super) is_input: bool,
}

/// A connection: the name of the instance's port and the full name of the other one.
pub(super) type Connection = (String, String);

/// Whether a name matches a pattern, in which `*` stands for any text and `?` for one character.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` is, and how much of the name it takes.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&expected) if expected == '?' || expected == name[n] => (p, n) = (p + 1, n + 1),
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

impl Rule {
    /// Reads `PATTERN`, `PORT > PATTERN` or `PATTERN > PORT`. An error has a hint.
    pub(super) fn parse(text: &str, ports: &[PortConfig]) -> Result<Rule, (String, String)> {
        let is_own = |name: &str| ports.iter().any(|port| port.name == name);
        let own = |name: &str, direction: Direction| match ports.iter().find(|one| one.name == name)
        {
            Some(port) if port.direction == direction => Ok(Some(name.to_owned())),
            Some(_) => Err((
                format!("the port `{name}` is used in the wrong direction"),
                "write `connect = OUTPUT > PATTERN` or `connect = PATTERN > INPUT`".into(),
            )),
            None => Err((
                format!("the instance has no port `{name}`"),
                format!("add it to the section: `{name} = midi in`"),
            )),
        };
        let (port, pattern) = match text.split_once('>').map(|(a, b)| (a.trim(), b.trim())) {
            None => (None, text.trim()),
            Some((left, right)) if is_own(right) => (own(right, Direction::In)?, left),
            Some((left, right)) => (own(left, Direction::Out)?, right),
        };
        if pattern.is_empty() {
            let hint = "such as `fluidsynth:*`; `jack_lsp` lists the ports".into();
            return Err(("expected a pattern for the names of ports".into(), hint));
        }
        Ok(Rule { port, pattern: pattern.to_owned() })
    }

    /// Whether the rule connects a port with another one.
    fn connects(&self, port: &PortConfig, peer: &Peer) -> bool {
        let is_midi = port.signal == super::config::Signal::Midi;
        self.port.as_ref().is_none_or(|name| *name == port.name)
            && is_midi == peer.is_midi
            && (port.direction == Direction::Out) == peer.is_input
            && matches(&self.pattern, &peer.name)
    }
}

/// The connections of an instance while servers and other programs come and go.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    /// Those that are to exist: made by a rule or by others, and not disconnected since.
    wanted: BTreeSet<Connection>,
    /// Those that are gone although both ports are there, and since when.
    suspects: BTreeMap<Connection, Instant>,
    /// The ports of others that were there at the last look.
    seen: BTreeSet<String>,
}

/// What to do after a look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) connect: Vec<Connection>,
    /// Connections that somebody has removed.
    pub(super) removed: Vec<Connection>,
    /// Whether to look again soon.
    pub(super) is_unsure: bool,
}

impl Connections {
    /// Forgets which ports were there, when the server is gone.
    pub(super) fn lose_server(&mut self) {
        self.seen.clear();
        self.suspects.clear();
    }

    /// Compares with what there is. A connection that somebody has removed is not made again: it
    /// is gone for [`SETTLING_TIME`], although the other port was there all the time. A port that
    /// disappears is disconnected first, so that one look is not enough; its connections are made
    /// again when it returns.
    pub(super) fn look(
        &mut self,
        now: Instant,
        ports: &[PortConfig],
        rules: &[Rule],
        peers: &[Peer],
        current: &BTreeSet<Connection>,
    ) -> Plan {
        let mut plan = Plan::default();
        let there: BTreeSet<String> = peers.iter().map(|peer| peer.name.clone()).collect();
        let mut suspects = BTreeMap::new();
        self.wanted.extend(current.iter().cloned());
        self.wanted.retain(|connection| {
            let (_, peer) = connection;
            if current.contains(connection) || !there.contains(peer) {
                return true;
            }
            if !self.seen.contains(peer) {
                plan.connect.push(connection.clone());
                return true;
            }
            let since = self.suspects.get(connection).copied().unwrap_or(now);
            if now.duration_since(since) >= SETTLING_TIME {
                plan.removed.push(connection.clone());
                return false;
            }
            suspects.insert(connection.clone(), since);
            true
        });
        for peer in peers.iter().filter(|peer| !self.seen.contains(&peer.name)) {
            for port in ports {
                let connection = (port.name.clone(), peer.name.clone());
                if rules.iter().any(|rule| rule.connects(port, peer))
                    && self.wanted.insert(connection.clone())
                {
                    plan.connect.push(connection);
                }
            }
        }
        plan.is_unsure = !suspects.is_empty();
        self.suspects = suspects;
        self.seen = there;
        plan
    }

    /// The patterns of rules that match no port.
    pub(super) fn missing(ports: &[PortConfig], rules: &[Rule], peers: &[Peer]) -> Vec<String> {
        let is_met = |rule: &&Rule| {
            peers.iter().any(|peer| ports.iter().any(|port| rule.connects(port, peer)))
        };
        rules.iter().filter(|rule| !is_met(rule)).map(|rule| rule.pattern.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jack::config::Signal;
    use crate::jack::cv::{Detection, Range};

    fn port(name: &str, signal: Signal, direction: Direction) -> PortConfig {
        PortConfig {
            name: name.into(),
            signal,
            direction,
            range: Range { min: 0.0, max: 1.0 },
            detection: Detection::Mean,
            rate: 100.0,
            is_ramped: false,
            position: 0,
        }
    }

    fn ports() -> Vec<PortConfig> {
        vec![
            port("mo", Signal::Midi, Direction::Out),
            port("mi", Signal::Midi, Direction::In),
            port("lfo", Signal::Cv, Direction::Out),
        ]
    }

    fn peer(name: &str, is_midi: bool, is_input: bool) -> Peer {
        Peer { name: name.into(), is_midi, is_input }
    }

    fn connection(port: &str, peer: &str) -> Connection {
        (port.into(), peer.into())
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("synth:in", "synth:in", true),
            ("synth", "synth:in", false),
            ("synth:*", "synth:in", true),
            ("*:in", "a:b:in", true),
            ("*o*p?", "foo:ports", false),
            ("*o*p?", "foo:px", true),
            ("*", "", true),
            ("?", "", false),
            ("ü?*", "üb", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_rule_names_a_port_on_the_side_of_its_direction() {
        let parse = |text: &str| Rule::parse(text, &ports()).map_err(|(message, _)| message);
        let rule = |port: Option<&str>, pattern: &str| {
            Ok(Rule { port: port.map(str::to_owned), pattern: pattern.into() })
        };
        assert_eq!(parse("mo > synth:*"), rule(Some("mo"), "synth:*"));
        assert_eq!(parse("my keys:out > mi"), rule(Some("mi"), "my keys:out"));
        assert_eq!(parse("my keys:*"), rule(None, "my keys:*"));
        assert_eq!(parse("mi > x").unwrap_err(), "the port `mi` is used in the wrong direction");
        assert_eq!(parse("none > x").unwrap_err(), "the instance has no port `none`");
        assert!(parse("").is_err() && parse("mo >").is_err());
    }

    #[test]
    fn rules_connect_ports_of_their_type_when_they_appear() {
        let rules = [Rule::parse("*", &ports()).expect("a rule")];
        let mut connections = Connections::default();
        let now = Instant::now();
        let mut peers = vec![peer("a:in", true, true)];
        assert_eq!(Connections::missing(&ports(), &rules, &[]), ["*"]);
        assert_eq!(Connections::missing(&ports(), &rules, &peers), [""; 0]);
        let plan = connections.look(now, &ports(), &rules, &peers, &BTreeSet::new());
        assert_eq!(plan.connect, [connection("mo", "a:in")]);
        peers.push(peer("b:out", true, false));
        peers.push(peer("c:audio", false, true));
        let current = BTreeSet::from([connection("mo", "a:in")]);
        let plan = connections.look(now, &ports(), &rules, &peers, &current);
        assert_eq!(plan.connect, [connection("mi", "b:out"), connection("lfo", "c:audio")]);
    }

    #[test]
    fn a_connection_returns_with_its_port_and_with_its_server_but_not_after_it_was_removed() {
        let mut connections = Connections::default();
        let peers = [peer("a:in", true, true), peer("b:in", true, true)];
        let both = BTreeSet::from([connection("mo", "a:in"), connection("mo", "b:in")]);
        let none = BTreeSet::new();
        let start = Instant::now();
        let mut look = |now: Duration, peers: &[Peer], current: &BTreeSet<Connection>| {
            connections.look(start + now, &ports(), &[], peers, current)
        };
        let (early, late) = (Duration::ZERO, SETTLING_TIME);
        look(early, &peers, &both);
        // `b` is about to disappear: it is disconnected first.
        let one = BTreeSet::from([connection("mo", "a:in")]);
        assert!(look(early, &peers, &one).is_unsure);
        assert_eq!(look(early, &peers[..1], &one), Plan::default());
        assert_eq!(look(late, &peers, &one).connect, [connection("mo", "b:in")]);
        look(late, &peers, &both);
        // Somebody removes the connection with `a`.
        let other = BTreeSet::from([connection("mo", "b:in")]);
        assert!(look(late, &peers, &other).is_unsure);
        let plan = look(late + SETTLING_TIME, &peers, &other);
        assert_eq!(plan, Plan { removed: vec![connection("mo", "a:in")], ..Plan::default() });
        connections.lose_server();
        let plan = connections.look(start, &ports(), &[], &peers, &none);
        assert_eq!(plan.connect, [connection("mo", "b:in")]);
    }
}
