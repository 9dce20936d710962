//! Why nothing happens: from what a show knows about a channel to sentences that say what is wrong
//! and what to do. No I/O; `evidence` collects the facts.

use std::net::IpAddr;

use consort_control::{Finding, UnmatchedReading};
use consort_router::inspect::{Endpoint, InstanceReport, RawInput};

use crate::text::counted;

/// How many unmatched inputs a finding names.
const MAX_NAMED_INPUTS: usize = 4;

/// A range that is this much wider than the numbers that arrive is probably a wrong option.
const WIDE_RANGE: f64 = 8.0;

/// An instance that should receive.
pub(super) struct InstanceEvidence<'a> {
    pub(super) name: &'a str,
    pub(super) backend: &'a str,
    /// The word and the reason of a state that is neither `up` nor `starting`.
    pub(super) trouble: Option<(String, String)>,
    pub(super) packets: u64,
    pub(super) report: &'a InstanceReport,
    pub(super) unmatched: &'a [UnmatchedReading],
    /// The addresses of this computer, with the names of their interfaces.
    pub(super) addresses: &'a [(String, IpAddr)],
}

/// A channel that a mapping reads.
pub(super) struct SourceEvidence<'a> {
    pub(super) channel: &'a str,
    /// Its last value, unless it has had none.
    pub(super) value: Option<f64>,
    pub(super) events: u64,
    pub(super) text: Option<&'a str>,
    pub(super) input: Option<&'a RawInput>,
    pub(super) targets: Vec<TargetEvidence>,
}

/// A channel that a mapping writes, and its instance.
pub(super) struct TargetEvidence {
    /// As `INSTANCE.CHANNEL`.
    pub(super) name: String,
    pub(super) instance: String,
    pub(super) trouble: Option<(String, String)>,
    pub(super) value: Option<f64>,
    /// The last message that was sent because of it.
    pub(super) output: Option<String>,
    pub(super) sends: Vec<Endpoint>,
    pub(super) sends_nothing: Option<String>,
    /// Datagrams that the network returned because nobody listens.
    pub(super) refused: u64,
    pub(super) dropped: u64,
}

fn finding(code: &str, message: String, hint: Option<String>) -> Finding {
    Finding { code: code.to_owned(), channel: None, message, hint, problem: true }
}

/// What keeps an instance as a whole from receiving.
pub(super) fn of_instance(instance: &InstanceEvidence<'_>, has_sources: bool) -> Vec<Finding> {
    let name = instance.name;
    let mut findings = Vec::new();
    if let Some((word, reason)) = &instance.trouble {
        findings.push(finding("not-up", format!("`{name}` is {word}: {reason}"), None));
    }
    if has_sources && instance.packets == 0 && !instance.report.listens.is_empty() {
        findings.push(nothing_arrived(instance));
    }
    if instance.report.invalid_packets > 0 {
        let count = instance.report.invalid_packets;
        let verb = if count == 1 { "is" } else { "are" };
        findings.push(finding(
            "invalid-packets",
            format!(
                "{} that arrived at `{name}` {verb} not {}",
                counted(count, "packet"),
                protocol(instance.backend)
            ),
            Some("the log has the first one; check which program sends to this port".into()),
        ));
    }
    findings
}

fn protocol(backend: &str) -> &str {
    match backend {
        "osc" => "OSC",
        "artnet" => "Art-Net",
        "sacn" => "sACN",
        other => other,
    }
}

/// No packet has arrived: where to send one.
fn nothing_arrived(instance: &InstanceEvidence<'_>) -> Finding {
    let listens = &instance.report.listens;
    let ports: Vec<String> = listens
        .iter()
        .map(|end| format!("{} port {}", end.transport, end.address.port()))
        .collect();
    let message = format!("nothing has arrived at {}", ports.join(" or "));
    let port = listens[0].address.port();
    let bound = listens[0].address.ip();
    let hint = if bound.is_loopback() {
        format!(
            "only programs on this computer can send to {bound}: for a tablet, write \
             `bind = 0.0.0.0 {port}`"
        )
    } else {
        let is_reachable = |address: &&(String, IpAddr)| {
            bound.is_unspecified() && (bound.is_ipv6() || address.1.is_ipv4()) || address.1 == bound
        };
        let own: Vec<String> = instance
            .addresses
            .iter()
            .filter(is_reachable)
            .map(|(interface, address)| format!("{address} ({interface})"))
            .collect();
        let own = match own.as_slice() {
            [] => "this computer has no network address: connect it to the network".to_owned(),
            [one] => format!("send to this computer's address {one}, port {port}"),
            own => {
                format!("send to one of this computer's addresses, port {port}: {}", own.join(", "))
            }
        };
        let kind = listens[0].transport.to_lowercase();
        format!(
            "{own}; `sudo tcpdump -n -i any {kind} port {port}` shows whether packets reach this \
             computer: then look for a firewall"
        )
    };
    finding("nothing-arrived", message, Some(hint))
}

/// What keeps a source channel from working, or how far its last value came. `names_all`: also
/// report what is not a problem, and guesses.
pub(super) fn of_source(
    instance: &InstanceEvidence<'_>,
    source: &SourceEvidence<'_>,
    names_all: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    match source.value {
        None => findings.extend(why_no_value(instance, source, names_all)),
        Some(value) => {
            findings.extend(why_wrong_range(instance, source));
            if names_all {
                findings.push(arrived(source, value));
            }
        }
    }
    if source.value.is_some() || source.text.is_some() {
        for target in &source.targets {
            findings.extend(of_target(target, source.text.is_some(), names_all));
        }
    }
    for finding in &mut findings {
        finding.channel.get_or_insert_with(|| format!("{}.{}", instance.name, source.channel));
    }
    findings
}

/// The address of an OSC channel without the number of its argument.
fn address(channel: &str) -> &str {
    channel.rsplit_once(':').map_or(channel, |(address, _)| address)
}

/// How an unmatched input looks: `f 0.7 from 10.0.0.7:9000, 3 times`.
fn look(input: &UnmatchedReading) -> String {
    let value = format!("{} {}", input.types, input.raw);
    let value = if value.trim().is_empty() { "without a value" } else { value.trim() };
    let sender =
        if input.sender.is_empty() { String::new() } else { format!(" from {}", input.sender) };
    format!("{value}{sender}, {}", counted(input.count, "time"))
}

/// Why a channel has had no value.
fn why_no_value(
    instance: &InstanceEvidence<'_>,
    source: &SourceEvidence<'_>,
    names_all: bool,
) -> Option<Finding> {
    let channel = source.channel;
    let same = instance.unmatched.iter().find(|input| unquoted(&input.channel) == channel);
    if let Some(input) = same {
        let is_text = input.raw.starts_with('"');
        return Some(if is_text {
            finding(
                "text",
                format!("`{channel}` arrives as the text {}, not as a number", input.raw),
                Some(format!(
                    "let the sender send a number, or write `{} = n 0 1` in [{} {}] if the text \
                     is a number",
                    address(channel),
                    instance.backend,
                    instance.name
                )),
            )
        } else {
            finding(
                "no-value",
                format!(
                    "`{channel}` arrives with the type `{}` ({}), which has no value",
                    input.types, input.raw
                ),
                Some("let the sender send a number".into()),
            )
        });
    }
    if let Some(text) = source.text {
        return names_all.then(|| Finding {
            problem: false,
            ..finding(
                "text",
                format!("`{channel}` arrives as the text {text:?}, not as a number"),
                Some("a text goes only to targets that take texts".into()),
            )
        });
    }
    let sibling = instance.unmatched.iter().find(|input| {
        let other = unquoted(&input.channel);
        other != channel && address(other) == address(channel) && address(channel).starts_with('/')
    });
    if let Some(input) = sibling {
        let number = |channel: &str| match channel.rsplit_once(':') {
            Some((_, number)) => number.to_owned(),
            None => "0".to_owned(),
        };
        let other = unquoted(&input.channel);
        return Some(finding(
            "other-argument",
            format!(
                "`{}` arrives with a value in argument {} ({}), but argument {} is mapped",
                address(channel),
                number(other),
                look(input),
                number(channel)
            ),
            Some(format!("map `{}.{}`", instance.name, input.channel)),
        ));
    }
    if let Some(found) = similar_address(instance, source, names_all) {
        return Some(found);
    }
    if !names_all || instance.packets == 0 && !instance.report.listens.is_empty() {
        return None;
    }
    Some(nothing_for_channel(instance, channel))
}

/// An input whose channel is nearly that of the mapping.
fn similar_address(
    instance: &InstanceEvidence<'_>,
    source: &SourceEvidence<'_>,
    names_all: bool,
) -> Option<Finding> {
    let channel = source.channel;
    let inputs = || instance.unmatched.iter();
    let same_letters =
        inputs().find(|input| unquoted(&input.channel).eq_ignore_ascii_case(channel));
    let one_letter =
        || inputs().find(|input| has_one_difference(unquoted(&input.channel), channel));
    let slash = || {
        inputs().find(|input| {
            unquoted(&input.channel).trim_end_matches('/') == channel.trim_end_matches('/')
        })
    };
    let similar = || {
        let names = inputs().map(|input| unquoted(&input.channel));
        let nearest = consort_suggest::nearest(channel, names)?;
        inputs().find(|input| unquoted(&input.channel) == nearest)
    };
    let (input, difference, is_guess) = if let Some(input) = same_letters {
        (input, "they differ in upper and lower case", false)
    } else if let Some(input) = slash() {
        (input, "they differ in the slash at the end", false)
    } else if let Some(input) = one_letter() {
        let digits = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        let is_number = digits(unquoted(&input.channel)) == digits(channel);
        (
            input,
            if is_number { "they differ in a number" } else { "they differ in one letter" },
            is_number,
        )
    } else {
        (similar()?, "they are similar", true)
    };
    if is_guess && !names_all {
        return None;
    }
    let other = &input.channel;
    Some(Finding {
        problem: !is_guess,
        ..finding(
            "address-differs",
            format!(
                "nothing has arrived for `{channel}`, but `{other}` arrives ({}): {difference}",
                look(input)
            ),
            Some(format!("map `{}.{other}`, or change the address in the sender", instance.name)),
        )
    })
}

/// Packets arrive, but none for this channel.
fn nothing_for_channel(instance: &InstanceEvidence<'_>, channel: &str) -> Finding {
    let named: Vec<String> = instance
        .unmatched
        .iter()
        .take(MAX_NAMED_INPUTS)
        .map(|input| format!("`{}`", input.channel))
        .collect();
    let packets = match instance.packets {
        0 => "nothing".to_owned(),
        count => counted(count, "packet"),
    };
    let (message, hint) = match (instance.packets, named.is_empty()) {
        (0, _) => (
            format!("`{}` has received nothing yet", instance.name),
            "move the control, press the key, or check the connection of the device".to_owned(),
        ),
        (_, true) => (
            format!("{packets} arrived for other channels, but none for `{channel}` yet"),
            format!("move the control: its channel must be exactly `{channel}`"),
        ),
        (_, false) => (
            format!(
                "{packets} arrived, but none for `{channel}`; the last that no mapping uses: {}",
                named.join(", ")
            ),
            format!("`consort learn {}` prints lines for [map]", instance.name),
        ),
    };
    Finding {
        problem: instance.packets > 0 && !named.is_empty(),
        ..finding("other-channels", message, Some(hint))
    }
}

/// Whether the numbers that arrive do not fit the range that is scaled.
fn why_wrong_range(
    instance: &InstanceEvidence<'_>,
    source: &SourceEvidence<'_>,
) -> Option<Finding> {
    let input = source.input?;
    let ((low, high), expected) = (input.range?, input.expected?);
    let (bottom, top) = (expected.low.min(expected.high), expected.low.max(expected.high));
    let width = top - bottom;
    let option = |types: &str| {
        let verb = if expected.is_configured { "write" } else { "add" };
        format!(
            "{verb} `{} = {types}` in [{} {}]",
            address(source.channel),
            instance.backend,
            instance.name
        )
    };
    let is_float = matches!(input.types.as_str(), "f" | "d");
    let is_fraction = high.fract() != 0.0 || low.fract() != 0.0;
    if is_float
        && expected.is_configured
        && (low >= 0.0 && high <= 1.0)
        && width >= WIDE_RANGE
        && (is_fraction || source.events >= 3)
    {
        return Some(finding(
            "range-too-wide",
            format!(
                "`{}` arrives with numbers from {low} to {high}, but the option expects {bottom} \
                 to {top}: the value stays below {:.3}",
                source.channel,
                (high - bottom) / width
            ),
            Some(option(&format!("{} 0 1", input.types))),
        ));
    }
    let tolerance = width / 100.0;
    if high > top + tolerance || low < bottom - tolerance {
        let expects = if expected.is_configured {
            "the option expects"
        } else {
            "without an option the range is"
        };
        let suggested = suggested_range(&input.types, low, high);
        return Some(finding(
            "clipped",
            format!(
                "`{}` arrives with numbers from {low} to {high}, but {expects} {bottom} to {top}: \
                 numbers outside are cut off",
                source.channel
            ),
            Some(option(&suggested)),
        ));
    }
    None
}

/// The pattern option for numbers of a type in a range, such as `f 0 127`.
pub(crate) fn suggested_range(types: &str, low: f64, high: f64) -> String {
    const USUAL_ENDS: [f64; 8] = [1.0, 10.0, 100.0, 127.0, 255.0, 1_023.0, 16_383.0, 65_535.0];
    let letter = types.chars().find(|letter| "ifhd".contains(*letter)).unwrap_or('f');
    let end = |number: f64| {
        let usual = USUAL_ENDS.into_iter().find(|&end| number <= end);
        // A MIDI value is more usual than a number from 0 to 10 or to 100.
        match usual {
            Some(10.0 | 100.0) if "ih".contains(letter) && number > 10.0 => 127.0,
            Some(end) => end,
            None => number.ceil(),
        }
    };
    let (bottom, top) = match (low < 0.0, high > 0.0) {
        (false, _) => (0.0, end(high)),
        (true, true) => {
            let width = end(high.max(-low));
            (-width, width)
        }
        (true, false) => (-end(-low), 0.0),
    };
    format!("{letter} {bottom} {top}")
}

/// Name and value of the option that scales the numbers that arrived at an unmapped channel, if its
/// usual range does not fit them.
pub(crate) fn needed_option(
    backend: &str,
    channel: &str,
    types: &str,
    range: Option<(f64, f64)>,
) -> Option<(String, String)> {
    let (low, high) = range.filter(|_| backend == "osc" && types.len() == 1)?;
    let is_whole = matches!(types, "i" | "h");
    let (bottom, top) = usual_range(types);
    // A few of 256 steps are rather the numbers of a MIDI controller or of a switch.
    if low >= bottom && high <= top && !(is_whole && high <= 127.0) {
        return None;
    }
    let address = channel.rsplit_once(':').map_or(channel, |(address, _)| address);
    Some((address.to_owned(), suggested_range(types, low, high)))
}

/// The numbers that the osc backend scales to 0 and 1 without an option.
pub(crate) fn usual_range(types: &str) -> (f64, f64) {
    match types.chars().next() {
        Some('i') => (0.0, 255.0),
        Some('h') => (0.0, 1024.0),
        _ => (0.0, 1.0),
    }
}

fn arrived(source: &SourceEvidence<'_>, value: f64) -> Finding {
    let raw = source.input.map(|input| format!("{} {}, ", input.types, input.raw));
    Finding {
        problem: false,
        ..finding(
            "arrived",
            format!(
                "the last value is {value:.3} ({}{})",
                raw.unwrap_or_default(),
                counted(source.events, "value")
            ),
            None,
        )
    }
}

/// What keeps a target from sending, or what was sent.
pub(super) fn of_target(target: &TargetEvidence, is_text: bool, names_all: bool) -> Vec<Finding> {
    let channel = Some(target.name.clone());
    let mut findings = Vec::new();
    let mut report = |code: &str, message: String, hint: Option<String>| {
        findings.push(Finding { channel: channel.clone(), ..finding(code, message, hint) });
    };
    let instance = &target.instance;
    let destination: Vec<String> = target.sends.iter().map(|end| end.address.to_string()).collect();
    let destination = destination.join(", ");
    if let Some((word, reason)) = &target.trouble {
        report("target-not-up", format!("`{instance}` is {word}: {reason}"), None);
    } else if let Some(reason) = &target.sends_nothing {
        report("sends-nothing", format!("`{instance}` sends nothing: {reason}"), None);
    } else if target.refused > 0 {
        report(
            "nobody-listens",
            format!(
                "nobody listens at {destination}: {} of `{instance}` returned",
                counted(target.refused, "datagram")
            ),
            Some(
                "start the program that should receive, or correct the port in `destination`"
                    .into(),
            ),
        );
    } else if is_text && target.dropped > 0 && target.value.is_none() {
        report(
            "text-not-taken",
            format!("`{instance}` takes no texts: {} dropped", counted(target.dropped, "value")),
            Some("let the sender send a number".into()),
        );
    }
    if names_all && findings.is_empty() {
        let message = match (&target.output, target.value) {
            (Some(output), _) if destination.is_empty() => format!("left as {output}"),
            (Some(output), _) => format!("left as {output} to {destination}"),
            (None, Some(value)) => format!("passed to `{}` as {value:.3}", target.name),
            (None, None) => format!("`{}` has not had a value", target.name),
        };
        let left = finding("left", message, None);
        findings.push(Finding { channel: channel.clone(), problem: false, ..left });
    }
    findings
}

/// A channel without the quotes that the configuration needs around special characters.
fn unquoted(channel: &str) -> &str {
    channel.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(channel)
}

/// Whether two texts differ in exactly one character, which is replaced, added or missing.
fn has_one_difference(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 1 || a == b {
        return false;
    }
    let front = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[front..], &b[front..]);
    let back = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    a.len() - back <= 1 && b.len() - back <= 1
}

#[cfg(test)]
mod tests {
    use consort_router::inspect::ExpectedRange;
    use consort_router::unmatched::OwnedRawValue;

    use super::*;

    fn listening() -> InstanceReport {
        let address = ([0, 0, 0, 0], 8010).into();
        let listens = vec![Endpoint { transport: "UDP", address }];
        InstanceReport { listens, ..InstanceReport::default() }
    }

    fn unmatched(channel: &str, types: &str, raw: &str) -> UnmatchedReading {
        UnmatchedReading {
            channel: channel.into(),
            types: types.into(),
            raw: raw.into(),
            sender: "10.0.0.7:9000".into(),
            count: 3,
            ..UnmatchedReading::default()
        }
    }

    fn source<'a>(channel: &'a str) -> SourceEvidence<'a> {
        SourceEvidence {
            channel,
            value: None,
            events: 0,
            text: None,
            input: None,
            targets: Vec::new(),
        }
    }

    /// The findings about a channel of an instance that has received this.
    fn findings(source: &SourceEvidence<'_>, unmatched: &[UnmatchedReading]) -> Vec<Finding> {
        let report = listening();
        let addresses = [("wlan0".to_owned(), IpAddr::from([192, 168, 1, 23]))];
        let instance = InstanceEvidence {
            name: "tablet",
            backend: "osc",
            trouble: None,
            packets: unmatched.len() as u64 + source.events,
            report: &report,
            unmatched,
            addresses: &addresses,
        };
        let mut found = of_instance(&instance, true);
        found.extend(of_source(&instance, source, true));
        found
    }

    fn input(types: &str, range: (f64, f64), expected: (f64, f64, bool)) -> RawInput {
        RawInput {
            types: types.into(),
            raw: OwnedRawValue::Number(range.1),
            range: Some(range),
            expected: Some(ExpectedRange {
                low: expected.0,
                high: expected.1,
                is_configured: expected.2,
            }),
        }
    }

    fn target() -> TargetEvidence {
        TargetEvidence {
            name: "lamp./dim".into(),
            instance: "lamp".into(),
            trouble: None,
            value: Some(0.7),
            output: Some("/dim ,f 0.7".into()),
            sends: vec![Endpoint { transport: "UDP", address: ([10, 0, 0, 9], 9010).into() }],
            sends_nothing: None,
            refused: 0,
            dropped: 0,
        }
    }

    /// Each cause of "my fader does nothing" reads differently, with what to do.
    #[test]
    fn every_cause_reads_differently() {
        let fader = "/1/fader2";
        let with = |value: f64, events, input| SourceEvidence {
            value: Some(value),
            events,
            input,
            targets: vec![target()],
            ..source(fader)
        };
        let narrow = input("f", (0.0, 0.7), (0.0, 127.0, true));
        let wide = input("f", (0.0, 127.0), (0.0, 1.0, false));
        let mut unheard = with(0.7, 3, None);
        unheard.targets[0].refused = 3;
        let mut mute = with(0.7, 3, None);
        mute.targets[0].sends_nothing =
            Some("it has no destination: add `destination = HOST PORT`".into());
        let cases: Vec<(&str, Vec<Finding>)> = vec![
            ("nothing-arrived", findings(&source(fader), &[])),
            ("address-differs", findings(&source(fader), &[unmatched("/1/Fader2", "f", "0.7")])),
            ("address-differs", findings(&source(fader), &[unmatched("/1/fade2", "f", "0.7")])),
            ("other-argument", findings(&source("/1/xy:1"), &[unmatched("/1/xy", "f", "0.7")])),
            ("text", findings(&source(fader), &[unmatched(fader, "s", "\"0.5\"")])),
            ("range-too-wide", findings(&with(0.005, 3, Some(&narrow)), &[])),
            ("clipped", findings(&with(1.0, 3, Some(&wide)), &[])),
            ("nobody-listens", findings(&unheard, &[])),
            ("sends-nothing", findings(&mute, &[])),
        ];
        let mut texts = Vec::new();
        for (code, found) in &cases {
            let first = found.iter().find(|finding| finding.problem).expect("a problem");
            assert_eq!(&first.code, code, "{found:?}");
            texts.push((first.message.clone(), first.hint.clone()));
        }
        let count = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), count, "{texts:?}");
        let hint = |index: usize| cases[index].1[0].hint.clone().unwrap_or_default();
        assert!(hint(0).contains("192.168.1.23 (wlan0), port 8010"), "{}", hint(0));
        assert!(hint(1).contains("map `tablet./1/Fader2`"), "{}", hint(1));
        assert!(hint(3).contains("map `tablet./1/xy`"), "{}", hint(3));
        assert!(hint(5).contains("`/1/fader2 = f 0 1`"), "{}", hint(5));
        assert!(hint(6).contains("`/1/fader2 = f 0 127`"), "{}", hint(6));
    }

    #[test]
    fn a_value_that_arrived_and_left_is_traced() {
        let raw = input("f", (0.0, 0.7), (0.0, 1.0, false));
        let traced = SourceEvidence {
            value: Some(0.7),
            events: 2,
            input: Some(&raw),
            targets: vec![target()],
            ..source("/a")
        };
        let found = findings(&traced, &[]);
        assert!(found.iter().all(|finding| !finding.problem), "{found:?}");
        assert_eq!(found[0].message, "the last value is 0.700 (f 0.7, 2 values)");
        assert_eq!(found[1].message, "left as /dim ,f 0.7 to 10.0.0.9:9010");
    }

    #[test]
    fn a_channel_that_differs_in_a_number_is_a_guess() {
        let found = findings(&source("/1/fader1"), &[unmatched("/1/fader5", "f", "0.7")]);
        assert_eq!((found[0].code.as_str(), found[0].problem), ("address-differs", false));
        let report = listening();
        let instance = InstanceEvidence {
            name: "tablet",
            backend: "osc",
            trouble: None,
            packets: 1,
            report: &report,
            unmatched: &[unmatched("/1/fader5", "f", "0.7")],
            addresses: &[],
        };
        assert_eq!(of_source(&instance, &source("/1/fader1"), false), []);
    }

    #[test]
    fn ranges_are_suggested_from_what_was_seen() {
        for (types, low, high, expected) in [
            ("f", 0.0, 127.0, "f 0 127"),
            ("f", 3.0, 80.0, "f 0 100"),
            ("i", 0.0, 64.0, "i 0 127"),
            ("i", 0.0, 1.0, "i 0 1"),
            ("f", -20.5, -20.5, "f -100 0"),
            ("f", -0.5, 0.9, "f -1 1"),
            ("sf", 0.0, 300.0, "f 0 1023"),
            ("d", 0.0, 70_000.5, "d 0 70001"),
        ] {
            assert_eq!(suggested_range(types, low, high), expected);
        }
    }

    #[test]
    fn one_difference_is_one_character() {
        assert!(has_one_difference("/fader", "/fadr") && has_one_difference("/1/a", "/2/a"));
        assert!(!has_one_difference("/a", "/a") && !has_one_difference("/ab", "/ba"));
        assert!(!has_one_difference("/fader", "/fad"));
    }

    #[test]
    fn an_unmapped_channel_needs_an_option_when_its_numbers_do_not_fit() {
        let needed = |types: &str, low, high| {
            needed_option("osc", "/1/fader2:0", types, Some((low, high))).map(|(_, value)| value)
        };
        assert_eq!(needed("f", 0.0, 0.7), None);
        assert_eq!(needed("f", 0.0, 64.0).as_deref(), Some("f 0 100"));
        assert_eq!(needed("i", 0.0, 64.0).as_deref(), Some("i 0 127"));
        assert_eq!(needed("i", 0.0, 200.0), None);
        assert_eq!(needed("ff", 0.0, 64.0), None);
        assert_eq!(needed_option("midi", "ch0.cc1", "f", Some((0.0, 64.0))), None);
    }
}
