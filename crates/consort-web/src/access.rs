//! Who may do what: roles, and the checks of headers and requests.

use std::net::IpAddr;

use consort_control::{REQUEST_LIMIT, Request};

/// What a session is allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See states, values, input and the log.
    View,
    /// Set channels, panic, and change the configuration as well.
    Control,
}

impl Role {
    /// `view` or `control`.
    pub fn word(self) -> &'static str {
        match self {
            Role::View => "view",
            Role::Control => "control",
        }
    }

    /// The longest message that is read from a browser, in bytes. Texts of configurations are long.
    pub(crate) fn max_message_bytes(self) -> usize {
        match self {
            Role::View => 8 << 10,
            Role::Control => 1 << 20,
        }
    }

    /// Whether the role includes a request. The configuration can contain passwords, so that
    /// reading it needs [`Role::Control`].
    fn allows(self, request: &Request) -> bool {
        match request {
            Request::Hello { .. }
            | Request::Layout
            | Request::Read { .. }
            | Request::Subscribe { .. }
            | Request::Unsubscribe
            | Request::Unmatched { .. }
            | Request::Inputs { .. }
            | Request::Why { .. }
            | Request::Routes { .. }
            | Request::Get { .. } => true,
            Request::Set { .. }
            | Request::ControlRoute { .. }
            | Request::SwitchLayer { .. }
            | Request::Hold { .. }
            | Request::Panic
            | Request::Reload(_)
            | Request::Files
            | Request::Edit { .. }
            | Request::UndoEdit => self == Role::Control,
        }
    }
}

/// The shortest interval of a page's subscription, in milliseconds: 20 deltas a second.
const MIN_INTERVAL_MS: u32 = 50;

/// The line to pass on to the show for a message of a browser.
///
/// # Errors
/// Why the message is refused.
pub(crate) fn admit(role: Role, message: &[u8]) -> Result<Vec<u8>, String> {
    let mut request = Request::decode(message).map_err(|error| error.to_string())?;
    if !role.allows(&request) {
        return Err(format!("a session for `{}` does not allow this request", role.word()));
    }
    if let Request::Subscribe { interval_ms, .. } = &mut request {
        *interval_ms = (*interval_ms).max(MIN_INTERVAL_MS);
    }
    // Encoded anew, because a message may contain line ends and the show reads lines.
    let line = request.encode();
    if line.len() > REQUEST_LIMIT + 1 {
        return Err(format!("a request is longer than {REQUEST_LIMIT} bytes"));
    }
    Ok(line)
}

/// Whether a `Host` header names this computer: by an address, or by one of its names. A page of
/// another name that resolves to this computer is refused (DNS rebinding).
pub(crate) fn is_own_host(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            return is_port(port) && address.parse::<std::net::Ipv6Addr>().is_ok();
        }
        None => match host.split_once(':') {
            Some((name, port)) if is_port(&format!(":{port}")) => name,
            Some(_) => return false,
            None => host,
        },
    };
    matches!(name.parse(), Ok(IpAddr::V4(_)))
        || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether this is nothing, or a colon and a port.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Whether an `Origin` header is the page itself.
pub(crate) fn is_own_origin(origin: &str, host: &str, is_tls: bool) -> bool {
    let scheme = if is_tls { "https://" } else { "http://" };
    origin.strip_prefix(scheme) == Some(host)
}

/// The value of a cookie in a `Cookie` header.
pub(crate) fn cookie<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// The names that this computer has in local networks.
pub(crate) fn own_names() -> Vec<String> {
    let mut names = vec!["localhost".to_owned()];
    // Linux: the name of gethostname(2).
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if !name.is_empty() {
        names.push(name.to_owned());
        // As mDNS announces it.
        let short = name.split('.').next().unwrap_or(name);
        names.push(format!("{short}.local"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_own_names_are_own_hosts() {
        let names = ["localhost".to_owned(), "stage.local".to_owned()];
        for host in
            ["192.168.1.2:8088", "10.0.0.1", "[fe80::1]:80", "[::1]", "localhost:1", "Stage.local"]
        {
            assert!(is_own_host(host, &names), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8088",
            "localhost.evil.example",
            "1.2.3.4.evil.example",
            "[::1",
            "[evil]",
            "[::1]x",
            "localhost:",
            "localhost:99999",
            "1.2.3.4:80:80",
            "@localhost",
        ] {
            assert!(!is_own_host(host, &names), "{host}");
        }
    }

    #[test]
    fn only_the_page_itself_is_its_origin() {
        assert!(is_own_origin("http://10.0.0.1:8088", "10.0.0.1:8088", false));
        assert!(is_own_origin("https://10.0.0.1", "10.0.0.1", true));
        for origin in
            ["https://10.0.0.1:8088", "http://10.0.0.1", "null", "", "http://evil.example"]
        {
            assert!(!is_own_origin(origin, "10.0.0.1:8088", false), "{origin}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        assert_eq!(cookie("a=1; consort=xyz; b=2", "consort"), Some("xyz"));
        assert_eq!(cookie("xconsort=1; consort2=2", "consort"), None);
        assert_eq!(cookie("consort", "consort"), None);
    }

    #[test]
    fn a_view_can_read_and_nothing_else() {
        for request in [
            r#"{"set":{"generation":1,"instance":0,"channel":0,"content":{"value":1}}}"#,
            r#""panic""#,
            r#""files""#,
            r#"{"edit":{"version":"x","edits":[],"save":true}}"#,
            r#""undo_edit""#,
        ] {
            assert!(admit(Role::View, request.as_bytes()).is_err(), "{request}");
            assert!(admit(Role::Control, request.as_bytes()).is_ok(), "{request}");
        }
        for request in [r#""layout""#, r#"{"why":{"generation":1,"instance":0}}"#] {
            assert!(admit(Role::View, request.as_bytes()).is_ok(), "{request}");
        }
    }

    #[test]
    fn what_is_passed_on_is_one_line_of_bounded_length() {
        let spaced = b"{\n\"hello\"\n:\n{\"version\":\n2}}";
        assert_eq!(admit(Role::View, spaced).expect("admitted"), b"{\"hello\":{\"version\":2}}\n");
        assert!(admit(Role::Control, b"\"panic\"\n\"panic\"").is_err());
        let text = "x".repeat(REQUEST_LIMIT);
        let long = format!(r#"{{"edit":{{"version":"","edits":[{{"add_mapping":"{text}"}}]}}}}"#);
        assert!(admit(Role::Control, long.as_bytes()).is_err());
    }

    #[test]
    fn a_subscription_is_at_most_20_hz() {
        let fast = br#"{"subscribe":{"generation":1,"interval_ms":1,"log_from":0}}"#;
        let line = String::from_utf8(admit(Role::View, fast).expect("admitted")).expect("text");
        assert!(line.contains(r#""interval_ms":50,"#), "{line}");
    }
}
