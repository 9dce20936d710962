//! The body of the fuzz target, which the tests run on the committed corpus.

use consort_control::{REQUEST_LIMIT, Request};

use crate::access::{self, Role};

/// Reads `bytes` as what a browser sends: a host, an origin, a cookie and a message, separated by
/// line ends.
///
/// # Panics
/// When a host or an origin of others is accepted, or a message is passed on that the role does not
/// allow, that has several lines, or that the show would read differently.
pub fn page_client(bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |&byte| byte == b'\n');
    let mut header = || std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let (host, origin, cookies) = (header(), header(), header());
    let message = parts.next().unwrap_or_default();
    let names = ["localhost".to_owned(), "stage.local".to_owned()];
    if access::is_own_host(host, &names) {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let is_address = name.starts_with('[')
            || host.starts_with('[')
            || name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let lower = name.to_ascii_lowercase();
        assert!(is_address || names.contains(&lower), "{host:?}");
        if access::is_own_origin(origin, host, false) {
            assert_eq!(origin, format!("http://{host}"));
        }
    }
    if let Some(value) = access::cookie(cookies, "consort") {
        assert!(cookies.contains(&format!("consort={value}")) && !value.contains(';'));
    }
    for role in [Role::View, Role::Control] {
        let Ok(line) = access::admit(role, message) else { continue };
        let (end, line) = line.split_last().expect("not empty");
        assert!(*end == b'\n' && !line.contains(&b'\n') && line.len() <= REQUEST_LIMIT);
        let request = Request::decode(line).expect("what was written");
        let changes = matches!(
            request,
            Request::Set { .. }
                | Request::ControlRoute { .. }
                | Request::SwitchLayer { .. }
                | Request::Hold { .. }
                | Request::Panic
                | Request::Reload(_)
                | Request::Files
                | Request::Edit { .. }
                | Request::UndoEdit
        );
        assert!(role == Role::Control || !changes, "{request:?}");
    }
}
