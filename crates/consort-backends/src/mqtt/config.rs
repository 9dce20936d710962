//! The options of an instance.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::IpAddr;

use consort_router::{InstanceConfig, Options, Problems};
use consort_suggest::nearest;

use super::encode::{Qos, Version};
use super::link::LinkConfig;
use super::session::Identity;
use super::share::{OnLoss, ShareConfig};
use super::tls::{self, TlsFiles};
use super::topics::{check_channel, check_topic};
use super::values::Format;
use crate::net::HostPort;

/// The words that begin a topic option.
const FORMATS: &[&str] = &["range", "discrete", "switch"];

/// The longest identifier that every broker accepts, in bytes.
const MAX_CLIENT_ID_BYTES: usize = 23;

/// A topic and what is published there.
pub(super) type Announcement = (String, String);

/// Options that a reload can change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) decimals: u8,
    pub(super) birth: Option<Announcement>,
    pub(super) will: Option<Announcement>,
    /// What becomes of shared values of a show that is gone.
    pub(super) on_loss: OnLoss,
}

/// The validated options of an instance.
pub(super) struct Config {
    pub(super) link: LinkConfig,
    pub(super) settings: Settings,
    pub(super) share: Option<ShareConfig>,
    /// The formats of the topic options, by channel.
    pub(super) formats: HashMap<String, Format>,
}

/// The option `host`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Broker {
    pub(super) address: HostPort,
    pub(super) is_encrypted: bool,
    user: Option<String>,
    password: Option<String>,
}

impl Broker {
    /// Reads `[mqtt://|mqtts://][USER[:PASSWORD]@]HOST[:PORT]`.
    pub(super) fn parse(text: &str) -> Result<Broker, String> {
        let (is_encrypted, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("mqtt", rest)) => (false, rest),
            Some(("mqtts", rest)) => (true, rest),
            Some((scheme, _)) => {
                return Err(format!("unknown scheme `{scheme}`: expected `mqtt` or `mqtts`"));
            }
        };
        let (credentials, host) = match rest.rsplit_once('@') {
            None => (None, rest),
            Some((credentials, host)) => (Some(credentials), host),
        };
        let (user, password) = match credentials.map(|text| text.split_once(':').ok_or(text)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
            Some(Err(user)) => (Some(user), None),
        };
        if host.is_empty() {
            return Err("the host is missing; expected `mqtt://HOST:PORT`".into());
        }
        let default_port = if is_encrypted { 8883 } else { 1883 };
        let has_port =
            !host.ends_with(']') && host.parse::<IpAddr>().is_err() && host.contains(':');
        let address = if has_port {
            HostPort::parse(host)
        } else {
            HostPort::parse(&format!("{} {default_port}", host.trim_matches(['[', ']'])))
        };
        let address = address.map_err(|error| format!("{error}; expected `mqtt://HOST:PORT`"))?;
        if address.port == 0 {
            return Err("cannot connect to port 0".into());
        }
        let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Broker { address, is_encrypted, user: owned(user), password: owned(password) })
    }

    /// Validates the option, for its table.
    pub(super) fn check(text: &str) -> Result<(), String> {
        Broker::parse(text).map(drop)
    }

    /// Whether what is sent there stays on this computer.
    fn is_local(&self) -> bool {
        self.address.host == "localhost"
            || self.address.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// Reads `TOPIC PAYLOAD`; the content may be empty.
fn parse_announcement(text: &str) -> Result<Announcement, String> {
    let (topic, payload) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if check_topic(topic)? {
        return Err("expected a topic without wildcards".into());
    }
    Ok((topic.to_owned(), payload.trim_start().to_owned()))
}

/// Validates the options `birth` and `will`.
pub(super) fn check_announcement(text: &str) -> Result<(), String> {
    parse_announcement(text).map(drop)
}

/// Validates the option `clientid`.
pub(super) fn check_client_id(text: &str) -> Result<(), String> {
    match text.len() {
        0 => Err("expected an identifier".into()),
        1..=65_535 => Ok(()),
        _ => Err("expected at most 65535 bytes".into()),
    }
}

/// Validates the option `prefix`.
pub(super) fn check_prefix(text: &str) -> Result<(), String> {
    if check_topic(text)? || text.starts_with('$') || text.ends_with('/') {
        return Err("expected a topic such as `stage/bus`".into());
    }
    Ok(())
}

/// Random bytes as hexadecimal digits.
pub(super) fn random_digits(count: usize) -> String {
    let mut bytes = [0; 16];
    // If the system has no random numbers, the process still tells programs apart.
    if rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).is_err() {
        bytes[..4].copy_from_slice(&std::process::id().to_ne_bytes());
    }
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.truncate(count);
    text
}

/// An identifier that is unique and that every broker accepts.
fn client_id(instance: &str) -> String {
    let digits = random_digits(8);
    let name: String = instance.chars().filter(char::is_ascii_alphanumeric).collect();
    let length = name.len().min(MAX_CLIENT_ID_BYTES - digits.len() - 2);
    format!("C-{}{digits}", &name[..length])
}

impl Config {
    /// Reads the options. `None` if one of them has an error, which is then in `problems`.
    pub(super) fn read(config: &InstanceConfig, problems: &mut Problems) -> Option<Config> {
        let options = &config.options;
        // Without a host there is a diagnostic already.
        let broker = Broker::parse(options.text("host")?).ok()?;
        // The last value of a shared channel must arrive.
        let default_qos = if options.flag("share") { Qos::AtLeastOnce } else { Qos::AtMostOnce };
        let qos = options.integer("qos").and_then(|number| Qos::from_number(number as u8));
        let announcement = |name| options.text(name).and_then(|text| parse_announcement(text).ok());
        let settings = Settings {
            qos: qos.unwrap_or(default_qos),
            retain: options.flag("retain"),
            decimals: options.integer("decimals").unwrap_or_default() as u8,
            birth: announcement("birth"),
            will: announcement("will"),
            on_loss: options.text("on-loss").and_then(OnLoss::parse).unwrap_or(OnLoss::Hold),
        };
        let share = options.flag("share").then(|| ShareConfig {
            prefix: match options.text("prefix") {
                Some(prefix) => prefix.to_owned(),
                None => format!("consort/{}", config.name),
            },
            name: options.text("name").map_or_else(host_name, str::to_owned),
        });
        check_share(options, share.is_some(), problems);
        let formats = read_formats(options, share.is_some(), problems);
        let tls = read_tls(options, &broker, problems);
        let user = options.text("user").map(str::to_owned).or(broker.user.clone());
        let password = options.text("password").map(str::to_owned).or(broker.password.clone());
        if user.is_none() && password.is_some() {
            problems
                .error(options.position("password"), "a password needs a user")
                .hint("add `user = NAME`");
        }
        if password.is_some() && tls.is_none() && !broker.is_local() {
            let position = options.position("password").or(options.position("host"));
            problems
                .warning(position, "the password is sent unencrypted")
                .hint("use `mqtts://` in `host`, if the broker supports TLS");
        }
        let keep_alive = options.integer("keep-alive").unwrap_or(20) as u16;
        let identity = Identity {
            client_id: options
                .text("clientid")
                .map_or_else(|| client_id(&config.name), str::to_owned),
            user,
            password,
            keep_alive: match share {
                Some(_) => wire_keep_alive(keep_alive),
                None => keep_alive,
            },
        };
        let version = match options.text("protocol") {
            Some("3.1.1") => Version::V311,
            _ => Version::V5,
        };
        let link = LinkConfig { broker: broker.address, tls, identity, version };
        problems.is_ok().then_some(Config { link, settings, share, formats })
    }
}

/// The time that a broker is asked for, so that it notices a lost connection within one and a half
/// times the option: brokers allow for that much, and look for silent clients only from time to
/// time (mosquitto every 5 s).
fn wire_keep_alive(seconds: u16) -> u16 {
    (seconds - seconds.div_ceil(5)).min(seconds.saturating_sub(4)).max(1)
}

/// The name of this computer.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Reports options that need or exclude `share`.
fn check_share(options: &Options, is_shared: bool, problems: &mut Problems) {
    let (names, message): (&[&str], _) = match is_shared {
        true => (&["birth", "will", "decimals"], "has no effect with `share = on`"),
        false => (&["prefix", "on-loss", "name"], "has an effect only with `share = on`"),
    };
    for name in names {
        if let Some(position) = options.position(name) {
            problems.warning(Some(position), format!("`{name}` {message}"));
        }
    }
    if is_shared && options.integer("keep-alive") == Some(0) {
        problems
            .error(options.position("keep-alive"), "`share = on` needs a keep-alive time")
            .hint("the other shows are notified by it when this one is lost");
    }
}

/// Reads the topic options.
fn read_formats(
    options: &Options,
    is_shared: bool,
    problems: &mut Problems,
) -> HashMap<String, Format> {
    let mut formats: HashMap<String, Format> = HashMap::new();
    let names = || options.specs().iter().map(|spec| spec.name);
    let entries = options.entries().iter().enumerate();
    for (position, entry) in entries.filter(|(_, entry)| names().all(|name| name != entry.name)) {
        let keyword = entry.value.split_whitespace().next().unwrap_or_default();
        if !FORMATS.contains(&keyword) {
            let message = format!(
                "`{}` is not an option, and `{keyword}` not a format of a topic",
                entry.name
            );
            let hint = nearest(&entry.name, names()).map_or_else(
                || format!("write `{} = range 0 1`, `discrete 0 0.5 TEXT` or `switch`", entry.name),
                |found| format!("did you mean the option `{found}`?"),
            );
            problems.error(Some(position), message).hint(hint);
            continue;
        }
        if is_shared {
            problems
                .error(Some(position), "formats of topics have no effect with `share = on`")
                .hint("use another instance for topics of other programs");
            continue;
        }
        let result = check_channel(&entry.name)
            .and_then(|()| Format::parse(&entry.value, formats.remove(&entry.name)));
        match result {
            Ok(format) => {
                formats.insert(entry.name.clone(), format);
            }
            Err(message) => {
                problems.error(Some(position), message);
            }
        }
    }
    formats
}

/// Reads the TLS options; `None` without TLS.
fn read_tls(
    options: &Options,
    broker: &Broker,
    problems: &mut Problems,
) -> Option<std::sync::Arc<rustls::ClientConfig>> {
    let names = ["ca", "certificate", "key", "insecure"];
    if !broker.is_encrypted {
        let is_given = |name: &&str| match *name {
            "insecure" => options.flag("insecure"),
            name => options.is_set(name),
        };
        for name in names.iter().filter(|name| is_given(name)) {
            problems
                .error(options.position(name), format!("`{name}` needs TLS"))
                .hint("write `host = mqtts://…`");
        }
        return None;
    }
    let (authority, certificate, key) =
        (options.path("ca"), options.path("certificate"), options.path("key"));
    let files = TlsFiles {
        authority: authority.as_deref(),
        certificate: certificate.as_deref(),
        key: key.as_deref(),
        is_insecure: options.flag("insecure"),
    };
    if files.is_insecure {
        problems
            .warning(options.position("insecure"), "the broker's certificate is not checked")
            .hint("anyone on the network can pretend to be the broker; use `ca = FILE`");
    }
    match tls::configure(&files) {
        Ok(config) => Some(config),
        Err((option, message)) => {
            problems.error(options.position(option), message);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_written_as_a_uri_or_a_host() {
        for (text, host, port, is_encrypted, user, password) in [
            ("localhost", "localhost", 1883, false, None, None),
            ("mqtt://10.0.0.1", "10.0.0.1", 1883, false, None, None),
            ("mqtts://b.example", "b.example", 8883, true, None, None),
            ("mqtt://me@b:1884", "b", 1884, false, Some("me"), None),
            ("me:a@b:c@b:1884", "b", 1884, false, Some("me"), Some("a@b:c")),
            ("mqtt://[::1]:99", "::1", 99, false, None, None),
            ("[::1]", "::1", 1883, false, None, None),
            ("::1", "::1", 1883, false, None, None),
        ] {
            let expected = Broker {
                address: HostPort { host: host.into(), port },
                is_encrypted,
                user: user.map(str::to_owned),
                password: password.map(str::to_owned),
            };
            assert_eq!(Broker::parse(text), Ok(expected), "{text}");
        }
        for text in ["", "ws://b", "mqtt://", "b:0", "b:x", "b/path", "a b"] {
            assert!(Broker::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mosquitto_notices_a_lost_show_within_one_and_a_half_times_the_keep_alive() {
        for seconds in 5..1_000 {
            let noticed = f64::from(wire_keep_alive(seconds)) * 1.5 + 5.0;
            assert!(noticed <= f64::from(seconds) * 1.5, "{seconds}");
        }
        assert_eq!([1, 4, 20, 65_535].map(wire_keep_alive), [1, 1, 16, 52_428]);
    }

    #[test]
    fn client_identifiers_are_unique_and_short() {
        let (first, second) = (client_id("lämp 1 of the long row of lamps"), client_id("x"));
        assert!(first.len() <= MAX_CLIENT_ID_BYTES && first.is_ascii(), "{first}");
        assert_ne!(client_id("x"), second);
    }
}
