//! The channels of an instance by topic, and the matching of incoming topics.

use std::collections::HashMap;

use consort_router::{ChannelError, Usage};

use super::encode::MAX_STRING_BYTES;
use super::json;
use super::values::Format;

/// A channel: a topic, or a member of the JSON documents of a topic.
#[derive(Debug)]
pub(super) struct Channel {
    /// The channel as the configuration writes it.
    pub(super) name: String,
    /// The number of its topic.
    pub(super) topic: u32,
    pub(super) pointer: Option<Box<[String]>>,
    pub(super) format: Format,
    pub(super) is_source: bool,
    pub(super) is_target: bool,
}

/// A topic or a filter with its channels.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: String,
    is_filter: bool,
    pub(super) channels: Vec<u32>,
    pub(super) has_source: bool,
    pub(super) has_target: bool,
}

/// All topics and channels of an instance.
#[derive(Debug, Default)]
pub(super) struct Topics {
    pub(super) channels: Vec<Channel>,
    pub(super) list: Vec<Topic>,
    by_name: HashMap<String, u32>,
    by_channel: HashMap<String, u32>,
    /// The topics that are filters with wildcards.
    filters: Vec<u32>,
    /// The formats of the topic options, by channel.
    formats: HashMap<String, Format>,
}

/// Splits a channel into its topic and the JSON pointer behind `#`.
fn split_pointer(specification: &str) -> (&str, Option<&str>) {
    match specification.find("#/") {
        // `a/##/b` is the member `/b` of the topics `a/#`.
        Some(offset) if specification[offset..].starts_with("##/") => {
            (&specification[..=offset], Some(&specification[offset + 2..]))
        }
        Some(offset) => (&specification[..offset], Some(&specification[offset + 1..])),
        None => (specification, None),
    }
}

/// Checks a topic or filter; returns whether it has wildcards.
pub(super) fn check_topic(topic: &str) -> Result<bool, String> {
    if topic.is_empty() {
        return Err("the topic is empty".into());
    }
    if topic.len() > MAX_STRING_BYTES {
        return Err(format!("a topic has at most {MAX_STRING_BYTES} bytes"));
    }
    if topic.contains('\0') {
        return Err("a topic cannot contain a zero character".into());
    }
    if topic.starts_with("$share/") {
        return Err("shared subscriptions are not supported: every show gets every value".into());
    }
    let mut has_wildcard = false;
    let mut levels = topic.split('/').peekable();
    while let Some(level) = levels.next() {
        match level {
            "+" => has_wildcard = true,
            "#" if levels.peek().is_none() => has_wildcard = true,
            "#" => return Err("`#` must be the last level of a topic".into()),
            _ if level.contains(['+', '#']) => {
                return Err("`+` and `#` must be a level of their own, such as `lamp/+/on`".into());
            }
            _ => {}
        }
    }
    Ok(has_wildcard)
}

/// Checks the name of a channel, for topic options.
pub(super) fn check_channel(specification: &str) -> Result<(), String> {
    let (topic, pointer) = split_pointer(specification);
    check_topic(topic)?;
    pointer.map_or(Ok(()), |pointer| json::parse_pointer(pointer).map(drop).map_err(str::to_owned))
}

/// Whether a filter matches a topic, or all topics of another filter.
pub(super) fn filter_matches(filter: &str, topic: &str) -> bool {
    // Wildcards do not match topics such as `$SYS/…` in their first level.
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for pattern in filter.split('/') {
        if pattern == "#" {
            return true;
        }
        match levels.next() {
            Some("#") | None => return false,
            Some(level) if pattern != "+" && pattern != level => return false,
            Some(_) => {}
        }
    }
    levels.next().is_none()
}

impl Topics {
    /// Topics whose options describe formats, by channel.
    pub(super) fn new(formats: HashMap<String, Format>) -> Self {
        Topics { formats, ..Topics::default() }
    }

    /// Finds or adds a channel.
    pub(super) fn channel(
        &mut self,
        specification: &str,
        usage: Usage,
    ) -> Result<u32, ChannelError> {
        let (topic, pointer) = split_pointer(specification);
        let is_filter = check_topic(topic)
            .map_err(|message| ChannelError::new(message).with_range(0, topic.len()))?;
        if is_filter && usage == Usage::Target {
            return Err(ChannelError::new("values cannot be published to a topic with wildcards")
                .with_hint("name one topic; wildcards are for sources"));
        }
        let pointer = match pointer.map(json::parse_pointer) {
            None => None,
            Some(Ok(pointer)) => Some(pointer),
            Some(Err(message)) => {
                return Err(
                    ChannelError::new(message).with_range(topic.len() + 1, specification.len())
                );
            }
        };
        let number = match self.by_channel.get(specification) {
            Some(&number) => number,
            None => self.add(specification, topic, pointer, is_filter),
        };
        let channel = &mut self.channels[number as usize];
        let topic = &mut self.list[channel.topic as usize];
        match usage {
            Usage::Source => (channel.is_source, topic.has_source) = (true, true),
            Usage::Target => (channel.is_target, topic.has_target) = (true, true),
        }
        Ok(number)
    }

    fn add(
        &mut self,
        specification: &str,
        topic: &str,
        pointer: Option<Box<[String]>>,
        is_filter: bool,
    ) -> u32 {
        let number = self.channels.len() as u32;
        let topic = match self.by_name.get(topic) {
            Some(&index) => index,
            None => {
                let index = self.list.len() as u32;
                self.by_name.insert(topic.to_owned(), index);
                if is_filter {
                    self.filters.push(index);
                }
                self.list.push(Topic {
                    name: topic.to_owned(),
                    is_filter,
                    channels: Vec::new(),
                    has_source: false,
                    has_target: false,
                });
                index
            }
        };
        self.list[topic as usize].channels.push(number);
        let format = self.formats.get(specification).cloned().unwrap_or(Format::Plain);
        self.by_channel.insert(specification.to_owned(), number);
        let name = specification.to_owned();
        self.channels.push(Channel {
            name,
            topic,
            pointer,
            format,
            is_source: false,
            is_target: false,
        });
        number
    }

    /// Calls `handle` with the channels of every topic and filter that an incoming topic matches.
    #[inline]
    pub(super) fn matching(&self, topic: &str, mut handle: impl FnMut(&[u32])) {
        if let Some(&index) = self.by_name.get(topic) {
            let exact = &self.list[index as usize];
            if !exact.is_filter {
                handle(&exact.channels);
            }
        }
        for &index in &self.filters {
            let filter = &self.list[index as usize];
            if filter_matches(&filter.name, topic) {
                handle(&filter.channels);
            }
        }
    }

    /// The topic with that name.
    pub(super) fn find(&self, topic: &str) -> Option<&Topic> {
        self.by_name.get(topic).map(|&index| &self.list[index as usize])
    }

    /// The number of a channel.
    pub(super) fn number(&self, channel: &str) -> Option<u32> {
        self.by_channel.get(channel).copied()
    }

    /// The number of a topic.
    pub(super) fn index(&self, topic: &str) -> Option<u32> {
        self.by_name.get(topic).copied()
    }

    /// The filters to subscribe to: those of all sources, except those that another one covers.
    /// `everything` adds all topics, for showing what could be mapped.
    pub(super) fn subscriptions(&self, everything: bool) -> Vec<String> {
        let wildcards: Vec<&str> = self
            .filters
            .iter()
            .map(|&index| &self.list[index as usize])
            .filter(|topic| topic.has_source)
            .map(|topic| topic.name.as_str())
            .chain(everything.then_some("#"))
            .collect();
        let is_covered = |name: &str| {
            wildcards.iter().any(|filter| *filter != name && filter_matches(filter, name))
        };
        let mut list: Vec<String> = self
            .list
            .iter()
            .filter(|topic| topic.has_source && !is_covered(&topic.name))
            .map(|topic| topic.name.clone())
            .collect();
        if everything && !list.iter().any(|filter| filter == "#") {
            list.push("#".into());
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_follows_the_topic() {
        for (specification, topic, pointer) in [
            ("wled/api#/bri", "wled/api", Some("/bri")),
            ("a/##/x/y", "a/#", Some("/x/y")),
            ("##/x", "#", Some("/x")),
            ("a/#", "a/#", None),
            ("/in.1", "/in.1", None),
        ] {
            assert_eq!(split_pointer(specification), (topic, pointer), "{specification}");
        }
    }

    #[test]
    fn filters_match_as_the_specification_says() {
        for (filter, topic, is_match) in [
            ("a/b", "a/b", true),
            ("/in", "/inv", false),
            ("/inv", "/in", false),
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a/b/d/c", false),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("#", "$SYS/uptime", false),
            ("+/uptime", "$SYS/uptime", false),
            ("$SYS/#", "$SYS/uptime", true),
            ("a/+", "a/#", false),
            ("a/#", "a/+", true),
        ] {
            assert_eq!(filter_matches(filter, topic), is_match, "{filter} {topic}");
        }
    }

    #[test]
    fn topics_are_checked() {
        for topic in ["a", "/", "a b/ä", "$SYS/x", "a//b"] {
            assert_eq!(check_topic(topic), Ok(false), "{topic}");
        }
        for topic in ["#", "+", "a/+/b/#"] {
            assert_eq!(check_topic(topic), Ok(true), "{topic}");
        }
        for topic in ["", "a/#/b", "a+", "a/b#", "x\0", "$share/g/a"] {
            assert!(check_topic(topic).is_err(), "{topic}");
        }
    }

    #[test]
    fn a_covered_filter_is_not_subscribed_to() {
        let mut topics = Topics::default();
        for name in ["a/b", "a/+", "c", "d#/x", "$SYS/x"] {
            topics.channel(name, Usage::Source).expect(name);
        }
        topics.channel("out", Usage::Target).expect("a target");
        assert_eq!(topics.subscriptions(false), ["a/+", "c", "d", "$SYS/x"]);
        assert_eq!(topics.subscriptions(true), ["$SYS/x", "#"]);
        assert!(topics.channel("a/+", Usage::Target).is_err());
    }
}
