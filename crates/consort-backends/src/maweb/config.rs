//! The options of an instance.

use std::fmt::Write;
use std::net::IpAddr;

use consort_router::{InstanceConfig, Problems};
use md5::{Digest, Md5};

use crate::net::HostPort;

/// The port of the web remote.
const PORT: u16 = 80;

/// The most hosts of an instance.
const MAX_HOSTS: usize = 16;

/// Where keys are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandLine {
    /// In a command line of the web remote's own.
    Remote,
    /// In the console's command line.
    Console,
    /// In the console's, or in the web remote's for keys and consoles that do not have it.
    Downgrade,
}

/// The validated options of an instance.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// The hosts, in the order in which they are tried.
    pub(super) hosts: Vec<HostPort>,
    pub(super) user: String,
    /// The MD5 sum of the password, in hexadecimal, as it is sent.
    pub(super) password: String,
    pub(super) command_line: CommandLine,
}

/// Reads `HOST [PORT]`.
pub(super) fn parse_host(text: &str) -> Result<HostPort, String> {
    let text = text.trim();
    let is_name_alone = !text.contains(char::is_whitespace)
        && (text.parse::<IpAddr>().is_ok() || !text.contains(':'));
    let host = match text {
        "" => return Err("expected a host, such as `10.0.0.5` or `10.0.0.5 80`".into()),
        _ if is_name_alone => HostPort::parse(&format!("{text} {PORT}")),
        _ => HostPort::parse(text),
    }?;
    match host.port {
        0 => Err("cannot connect to port 0".into()),
        _ => Ok(host),
    }
}

/// Validates the option `host`.
pub(super) fn check_host(text: &str) -> Result<(), String> {
    parse_host(text).map(drop)
}

/// The MD5 sum of a password, as the web remote expects it. It only hides the password from a
/// glance: whoever sees the sum can use it to log in.
fn hash(password: &str) -> String {
    let mut text = String::with_capacity(32);
    for byte in Md5::digest(password.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Config {
    /// Reads the options. `None` if one of them has an error, which is then in `problems`.
    pub(super) fn read(config: &InstanceConfig, problems: &mut Problems) -> Option<Config> {
        let options = &config.options;
        let hosts: Vec<HostPort> =
            options.all("host").filter_map(|(_, entry)| parse_host(&entry.value).ok()).collect();
        if hosts.len() > MAX_HOSTS {
            problems.error(options.position("host"), format!("at most {MAX_HOSTS} hosts"));
        }
        let command_line = match options.text("cmdline").unwrap_or_default() {
            word if word.eq_ignore_ascii_case("console") => CommandLine::Console,
            word if word.eq_ignore_ascii_case("downgrade") => CommandLine::Downgrade,
            _ => CommandLine::Remote,
        };
        let user = options.text("user").unwrap_or_default().to_owned();
        let password = hash(options.text("password").unwrap_or_default());
        let is_usable = problems.is_ok() && !hosts.is_empty();
        is_usable.then_some(Config { hosts, user, password, command_line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_port_80() {
        for (text, host, port) in [
            ("10.23.42.21 80", "10.23.42.21", 80),
            ("10.23.42.21", "10.23.42.21", 80),
            ("console.local", "console.local", 80),
            ("console.local:8080", "console.local", 8080),
            ("fe80::1", "fe80::1", 80),
            ("[::1]:81", "::1", 81),
            ("8080", "8080", 80),
        ] {
            assert_eq!(parse_host(text), Ok(HostPort { host: host.into(), port }), "{text}");
        }
        for text in ["", "a 0", "a b", "a 80 81", "a! 80"] {
            assert!(parse_host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_password_is_sent_as_its_md5_sum() {
        assert_eq!(hash("midimonster"), "2807623134739142b119aff358f8a219");
        assert_eq!(hash("remote"), "2c18e486683a3db1e645ad8523223b72");
    }
}
