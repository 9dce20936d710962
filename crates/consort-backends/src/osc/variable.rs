//! Messages whose size changes: those with texts. They are encoded when they are sent.

use consort_osc::{MessageBuilder, OscPacket};

use super::patterns::Shape;

/// The message to one address.
pub(super) struct VariableMessage {
    address: String,
    shapes: Vec<Shape>,
    /// The last value of each argument, or the text.
    contents: Vec<Content>,
    /// A bit for each argument that has had a value.
    known: u64,
    is_always: bool,
    bytes: Vec<u8>,
}

/// What an argument has at present.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Value(f64),
    Text(String),
}

impl VariableMessage {
    pub(super) fn new(address: &str, shapes: &[Shape], is_always: bool) -> Self {
        VariableMessage {
            address: address.to_owned(),
            contents: shapes.iter().map(|_| Content::Value(0.0)).collect(),
            shapes: shapes.to_vec(),
            known: 0,
            is_always,
            bytes: Vec::new(),
        }
    }

    /// Takes a value of an argument; returns whether the message is to be sent.
    pub(super) fn set(&mut self, number: u8, value: f64) -> bool {
        let index = usize::from(number);
        let new = Content::Value(match &self.shapes[index] {
            Shape::Words(words) => {
                let last = (words.len() - 1) as f64;
                (value * last).round() / last
            }
            Shape::Text => return false,
            _ => value,
        });
        let is_repeated = self.known & 1 << number != 0 && self.contents[index] == new;
        self.contents[index] = new;
        self.known |= 1 << number;
        self.is_always || !is_repeated
    }

    /// Takes a text of an argument; returns whether the argument takes texts.
    pub(super) fn set_text(&mut self, number: u8, text: &str) -> bool {
        let index = usize::from(number);
        if !self.shapes[index].is_variable() || text.contains('\0') {
            return false;
        }
        self.contents[index] = Content::Text(text.to_owned());
        self.known |= 1 << number;
        true
    }

    /// Makes the next value of an argument count as a change.
    pub(super) fn forget(&mut self, number: u8) {
        self.known &= !(1 << number);
    }

    /// Whether any argument has had a value.
    pub(super) fn is_known(&self) -> bool {
        self.known != 0
    }

    /// Encodes the message.
    pub(super) fn encode(&mut self) -> &[u8] {
        self.bytes.clear();
        let mut message =
            MessageBuilder::with_tags(&mut self.bytes, &self.address, self.shapes.len());
        for (shape, content) in self.shapes.iter().zip(&self.contents) {
            match (shape, content) {
                (Shape::Constant(constant), _) => constant.append(&mut message),
                (_, Content::Text(text)) => drop(message.string(text)),
                (Shape::Number(parameter), Content::Value(value)) => {
                    parameter.append(*value, &mut message);
                }
                (Shape::NumberText(parameter), Content::Value(value)) => {
                    message.string(&parameter.number(*value).to_string());
                }
                (Shape::Words(words), Content::Value(value)) => {
                    let index = (value * (words.len() - 1) as f64).round() as usize;
                    message.string(&words[index.min(words.len() - 1)]);
                }
                (Shape::Text, Content::Value(_)) => drop(message.string("")),
            }
        }
        let is_valid = message.finish().is_ok();
        drop(message);
        if !is_valid {
            self.bytes.clear();
        }
        &self.bytes
    }

    /// The message in the notation of `consort-osc`, unless it has had no value.
    pub(super) fn notation(&self) -> Option<String> {
        let bytes = self.is_known().then_some(&self.bytes)?;
        Some(OscPacket::decode(bytes).ok()?.to_string())
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Takes over what the receiver has from the message to the same address before a reload.
    pub(super) fn adopt(&mut self, old: &VariableMessage) {
        if self.address == old.address && self.shapes == old.shapes {
            self.contents.clone_from(&old.contents);
            self.known = old.known;
        }
    }
}
