//! OSCQuery: the namespace of an instance for other programs; the option `query`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use consort_osc::MessageBuilder;
use consort_router::Context;
use consort_web::{
    Admission, EncodePacket, Namespace, QueryArgument, QueryFeed, QueryNode, QueryServer,
    QuerySettings, QueryValue,
};

use super::config::{Kind, Parameter};
use super::patterns::{Constant, Shape};
use crate::net::{Allow, HostPort, Wake};

/// The key of the pipe through which the server wakes the router. The transports use small numbers.
pub(super) const QUERY: u32 = crate::mdns::FOUND - 1;

/// The value of the option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Query {
    #[default]
    Off,
    /// TCP, with the address and port of `bind`.
    On,
    /// An address of its own.
    At(SocketAddr),
}

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "off" | "false" | "no" | "0" => return Ok(Query::Off),
            "on" | "true" | "yes" | "1" => return Ok(Query::On),
            _ => {}
        }
        let address = HostPort::parse(text).ok().and_then(|bind| bind.literal());
        address.map(Query::At).ok_or_else(|| {
            "expected `on`, `off`, or an address of this computer with a port, such as \
             `0.0.0.0 8000`"
                .into()
        })
    }

    /// Validates the option.
    pub(super) fn check(text: &str) -> Result<(), String> {
        Query::parse(text).map(drop)
    }
}

/// An argument of an address, by its shape; `None` stands for an argument without an option.
pub(super) fn argument(shape: Option<&Shape>, channel: Option<u32>) -> QueryArgument {
    let tag = |kind| match kind {
        Kind::Int => 'i',
        Kind::Float => 'f',
        Kind::Long => 'h',
        Kind::Double => 'd',
    };
    let number = |parameter: &Parameter| {
        (tag(parameter.kind), Some((parameter.low, parameter.high)), Vec::new())
    };
    let (tag, range, words) = match shape {
        None => number(&Parameter::FLOAT),
        Some(Shape::Number(parameter)) => number(parameter),
        Some(Shape::Constant(Constant::Number(parameter))) => number(parameter),
        Some(Shape::NumberText(_) | Shape::Text) => ('s', None, Vec::new()),
        Some(Shape::Words(words)) => {
            ('s', None, words.iter().map(|word| (**word).to_owned()).collect())
        }
        Some(Shape::Constant(Constant::Text(text))) => ('s', None, vec![(**text).to_owned()]),
        Some(Shape::Constant(Constant::Blob(_))) => ('b', None, Vec::new()),
        Some(Shape::Constant(Constant::Tag(tag))) => (char::from(*tag), None, Vec::new()),
    };
    QueryArgument { tag, range, words, channel }
}

/// The served namespace of a running instance.
pub(super) struct QueryService {
    feed: QueryFeed,
    woken: Wake,
    _server: QueryServer,
}

impl QueryService {
    /// Listens, and serves a namespace.
    ///
    /// # Errors
    /// That of the operating system.
    pub(super) fn start(
        address: SocketAddr,
        allow: Allow,
        namespace: Namespace,
        context: &mut Context<'_>,
    ) -> io::Result<Self> {
        let (woken, wake) = Wake::new(QUERY, context)?;
        let feed = QueryFeed::new(namespace, wake);
        let admission: Admission = Arc::new(move |host| allow.contains(host));
        let encode: EncodePacket = Arc::new(encode);
        let settings = QuerySettings { address, admission: Some(admission), encode };
        let server = QueryServer::start(settings, &feed)?;
        tracing::info!(
            instance = context.name(),
            "the namespace is at http://{}/",
            server.address()
        );
        Ok(QueryService { feed, woken, _server: server })
    }

    /// Copies the last values, which a client wants.
    pub(super) fn ready(&mut self, context: &mut Context<'_>) {
        self.woken.clear();
        self.feed.fill(|channel| context.last_value(channel));
    }

    /// Takes the namespace of a reloaded configuration.
    pub(super) fn replace(&mut self, namespace: Namespace) {
        self.feed.replace(namespace);
    }
}

/// The message of an address; `None` if one of its values is not known.
fn encode(node: &QueryNode, values: &[QueryValue]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut message = MessageBuilder::new(&mut bytes, &node.address);
    for (argument, value) in node.arguments.iter().zip(values) {
        match (argument.tag, value) {
            ('i', QueryValue::Integer(number)) => message.int(i32::try_from(*number).ok()?),
            ('h', QueryValue::Integer(number)) => message.long(*number),
            ('f', QueryValue::Number(number)) => message.float(*number as f32),
            ('d', QueryValue::Number(number)) => message.double(*number),
            ('s', QueryValue::Text(text)) => message.string(text),
            _ => return None,
        };
    }
    message.finish().ok()?;
    drop(message);
    Some(bytes)
}
