//! The bodies of the fuzz targets, which the tests run on the committed corpora.

use consort_control::{REQUEST_LIMIT, Request};

use crate::access::{self, Role};
use crate::surface::message::{decode, delta};
use crate::surface::state::Seen;
use crate::{Layout, SurfaceChannel, SurfaceFeed};

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

/// Reads `bytes` as messages of two phones, one a line, of which each sends every second one.
///
/// # Panics
/// When a channel gets a value that is not from 0 to 1, one that phones may not set gets any, a button
/// is not released by the phones that leave, or what other phones get is not JSON.
pub fn surface_phone(bytes: &[u8]) {
    let channel = |name: &str, is_source, is_button| SurfaceChannel {
        name: name.to_owned(),
        is_source,
        is_button,
    };
    let channels = vec![
        channel("fader.a", true, false),
        channel("button.b", true, true),
        channel("meter.c", false, false),
    ];
    let layout = Layout { title: String::new(), columns: 1, pages: Vec::new() };
    let feed = SurfaceFeed::new(&layout, channels, Box::new(|| {}));
    let surface = feed.surface();
    let phones = [surface.join(), surface.join()];
    let mut is_pressed = false;
    let mut take = || {
        let has_more = feed.take(usize::MAX, |channel, value| {
            assert!(channel < 2 && (0.0..=1.0).contains(&value));
            if channel == 1 {
                assert_ne!(is_pressed, value > 0.0, "a press or release is repeated");
                is_pressed = value > 0.0;
            }
        });
        assert!(!has_more);
        is_pressed
    };
    for (line, index) in bytes.split(|&byte| byte == b'\n').zip(0..) {
        let Ok(text) = std::str::from_utf8(line) else { continue };
        let Ok(changes) = decode(text) else { continue };
        for (name, value) in changes {
            surface.set(phones[index % 2], &name, value);
        }
        take();
        if let Some(text) = delta(&surface.table(), &mut Seen::default()) {
            serde_json::from_str::<serde_json::Value>(&text).expect("JSON");
        }
    }
    for phone in phones {
        surface.leave(phone);
    }
    assert!(!take() && feed.phones() == 0);
}
