//! Addresses with their types, ranges and values, as JSON.

use serde_json::{Map, Value, json};

/// The value of an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryValue {
    /// No value has arrived or been sent yet, or it is not a number.
    Unknown,
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// One of the argument's words.
    Text(String),
}

impl QueryValue {
    fn encode(&self) -> Value {
        match self {
            QueryValue::Unknown => Value::Null,
            QueryValue::Integer(number) => Value::from(*number),
            QueryValue::Number(number) => Value::from(*number),
            QueryValue::Text(text) => Value::from(text.as_str()),
        }
    }
}

/// An argument of the messages of an address.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryArgument {
    /// Its OSC type tag.
    pub tag: char,
    /// The numbers of the values 0 and 1, if it is a number.
    pub range: Option<(f64, f64)>,
    /// The words that it can be, evenly spaced from 0 to 1; empty if it is not one of several.
    pub words: Vec<String>,
    /// The number of its channel, if it is mapped.
    pub channel: Option<u32>,
}

impl QueryArgument {
    /// The value of the argument for a channel's value from 0 to 1.
    fn value(&self, level: Option<f64>) -> QueryValue {
        let Some(level) = level else { return QueryValue::Unknown };
        if !self.words.is_empty() {
            let index = (level * (self.words.len() - 1) as f64).round() as usize;
            let word = self.words.get(index).or(self.words.last());
            return word.map_or(QueryValue::Unknown, |word| QueryValue::Text(word.clone()));
        }
        let Some((low, high)) = self.range else { return QueryValue::Unknown };
        let number = low + level * (high - low);
        match self.tag {
            'i' | 'h' => QueryValue::Integer(number.round() as i64),
            _ => QueryValue::Number(number),
        }
    }

    fn range(&self) -> Value {
        if !self.words.is_empty() {
            return json!({ "VALS": self.words });
        }
        match self.range {
            Some((low, high)) => json!({ "MIN": low.min(high), "MAX": low.max(high) }),
            None => json!({}),
        }
    }
}

/// An address.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryNode {
    /// The full address.
    pub address: String,
    /// What its messages contain.
    pub arguments: Vec<QueryArgument>,
    /// Whether the instance receives it.
    pub is_writable: bool,
}

impl QueryNode {
    /// The values of its arguments for the values of all channels.
    pub(crate) fn values(&self, levels: &[Option<f64>]) -> Vec<QueryValue> {
        let level = |argument: &QueryArgument| {
            argument.channel.and_then(|channel| levels.get(channel as usize).copied().flatten())
        };
        self.arguments.iter().map(|argument| argument.value(level(argument))).collect()
    }

    fn types(&self) -> String {
        self.arguments.iter().map(|argument| argument.tag).collect()
    }

    /// Reading is always possible; 2 is added if the instance receives it.
    fn access(&self) -> u8 {
        if self.is_writable { 3 } else { 1 }
    }

    fn encode(&self, levels: &[Option<f64>], into: &mut Map<String, Value>) {
        let values = self.values(levels);
        let ranges: Vec<Value> = self.arguments.iter().map(QueryArgument::range).collect();
        into.insert("ACCESS".into(), Value::from(self.access()));
        into.insert("TYPE".into(), Value::from(self.types()));
        if !ranges.is_empty() {
            into.insert("RANGE".into(), Value::from(ranges));
        }
        // Also when no value is known: clients do not accept a method without `VALUE`.
        if !values.is_empty() {
            let values: Vec<Value> = values.iter().map(QueryValue::encode).collect();
            into.insert("VALUE".into(), Value::from(values));
        }
    }
}

/// The namespace of an instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Namespace {
    /// The name of the instance.
    pub name: String,
    /// The port that receives OSC, if there is one.
    pub port: Option<u16>,
    /// Whether OSC is received over TCP.
    pub is_tcp: bool,
    /// Its addresses.
    pub nodes: Vec<QueryNode>,
}

impl Namespace {
    /// What the server can do, and where OSC is received.
    pub(crate) fn host_info(&self) -> Value {
        let mut info = json!({
            "NAME": self.name,
            "EXTENSIONS": {
                "ACCESS": true, "VALUE": true, "RANGE": true, "TYPE": true, "LISTEN": true,
                "PATH_CHANGED": false,
            },
        });
        if let Some(port) = self.port {
            info["OSC_PORT"] = Value::from(port);
            info["OSC_TRANSPORT"] = Value::from(if self.is_tcp { "TCP" } else { "UDP" });
        }
        info
    }

    /// Sorts the addresses, for [`find`](Self::find).
    pub(crate) fn sort(&mut self) {
        self.nodes.sort_by(|one, other| one.address.cmp(&other.address));
    }

    /// The index of an address, if the namespace is sorted.
    pub(crate) fn find(&self, address: &str) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.address.as_str().cmp(address)).ok()
    }

    /// The part of the tree that begins at an address, `/` for all of it; `None` if there is none.
    pub(crate) fn encode(&self, address: &str, levels: &[Option<f64>]) -> Option<Value> {
        let base = address.trim_end_matches('/');
        let mut tree = container(if base.is_empty() { "/" } else { base });
        let mut is_known = base.is_empty();
        for node in &self.nodes {
            let Some(rest) = node.address.strip_prefix(base) else { continue };
            if !(rest.is_empty() || rest.starts_with('/')) {
                continue;
            }
            is_known = true;
            let mut place = &mut tree;
            let mut path = base.to_owned();
            for part in rest.split('/').skip(1) {
                path = format!("{path}/{part}");
                place = child(child(place, "CONTENTS", None), part, Some(&path));
            }
            node.encode(levels, place);
        }
        is_known.then_some(Value::Object(tree))
    }
}

/// The object of that name, which is added if there is none: a node, if it has a path.
fn child<'m>(
    map: &'m mut Map<String, Value>,
    name: &str,
    path: Option<&str>,
) -> &'m mut Map<String, Value> {
    let new = || Value::Object(path.map(container).unwrap_or_default());
    map.entry(name).or_insert_with(new).as_object_mut().expect("only objects are added")
}

/// A node without a method.
fn container(path: &str) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("FULL_PATH".into(), Value::from(path));
    map.insert("ACCESS".into(), Value::from(0));
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(tag: char, low: f64, high: f64, channel: u32) -> QueryArgument {
        QueryArgument { tag, range: Some((low, high)), words: Vec::new(), channel: Some(channel) }
    }

    fn namespace() -> Namespace {
        let node = |address: &str, arguments, is_writable| QueryNode {
            address: address.into(),
            arguments,
            is_writable,
        };
        let words = vec!["off".to_owned(), "slow".to_owned(), "fast".to_owned()];
        let word = QueryArgument { tag: 's', range: None, words, channel: Some(2) };
        Namespace {
            name: "desk".into(),
            port: Some(9000),
            is_tcp: false,
            nodes: vec![
                node("/1/fader", vec![number('i', 127.0, 0.0, 0)], true),
                node("/1/xy", vec![number('f', -1.0, 1.0, 1)], false),
                node("/1", vec![word], true),
            ],
        }
    }

    #[test]
    fn the_tree_has_types_ranges_and_values() {
        let levels = [Some(0.25), None, Some(0.5)];
        let tree = namespace().encode("/", &levels).expect("the tree");
        assert_eq!(
            tree,
            json!({"FULL_PATH": "/", "ACCESS": 0, "CONTENTS": {
                "1": {"FULL_PATH": "/1", "ACCESS": 3, "TYPE": "s", "VALUE": ["slow"],
                      "RANGE": [{"VALS": ["off", "slow", "fast"]}], "CONTENTS": {
                    "fader": {"FULL_PATH": "/1/fader", "ACCESS": 3, "TYPE": "i", "VALUE": [95],
                              "RANGE": [{"MIN": 0.0, "MAX": 127.0}]},
                    "xy": {"FULL_PATH": "/1/xy", "ACCESS": 1, "TYPE": "f", "VALUE": [null],
                           "RANGE": [{"MIN": -1.0, "MAX": 1.0}]},
                }},
            }})
        );
        let fader = namespace().encode("/1/fader/", &levels).expect("a node");
        assert_eq!(fader["FULL_PATH"], "/1/fader");
        assert_eq!(fader, tree["CONTENTS"]["1"]["CONTENTS"]["fader"]);
        assert_eq!(namespace().encode("/1/f", &levels), None);
        let mut sorted = namespace();
        sorted.sort();
        assert_eq!(["/1", "/1/xy", "/2"].map(|a| sorted.find(a)), [Some(0), Some(2), None]);
        assert!(Namespace::default().encode("/", &[]).is_some());
    }
}
