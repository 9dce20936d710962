//! The body of the fuzz target, which the tests also run on the committed corpus. Not part of the
//! public interface.

use std::time::{Duration, Instant};

use consort_router::Usage;

use super::channels::Channel;
use super::config::{CommandLine, Config};
use super::session::{Entry, Event, Session};

/// Lets a console send any lines as messages, after a login or instead of it. The first byte
/// chooses which, and the values that the show sends meanwhile.
pub fn maweb_messages(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let config = Config {
        hosts: Vec::new(),
        user: "a \"user\"".into(),
        password: "0".into(),
        command_line: CommandLine::Downgrade,
    };
    let names = ["page1.fader1", "page1.button2", "page2.fader101", "page1.upper3", "CLEAR", "X1"];
    let entries = names.iter().filter_map(|name| {
        let channel = Channel::parse(name, Usage::Target, config.command_line).ok()?;
        let is_source = Channel::parse(name, Usage::Source, config.command_line).is_ok();
        let mut entry = Entry::new(channel);
        entry.is_source = is_source;
        Some(entry)
    });
    let mut now = Instant::now();
    let mut session = Session::new(&config, entries.collect(), now);
    session.begin(now);
    let login = [
        "{\"status\":\"server ready\",\"appType\":\"gma2\"}",
        "{\"session\":7}",
        "{\"responseType\":\"login\",\"result\":true}",
    ];
    let login = login.iter().take(if choice & 1 == 1 { 3 } else { 0 }).map(|text| text.to_string());
    let text = String::from_utf8_lossy(bytes);
    for line in login.chain(text.lines().map(str::to_owned)) {
        now += Duration::from_millis(u64::from(choice) * 4);
        let mut check = |event: Event| {
            if let Event::Value(channel, value) = event {
                assert!((channel as usize) < names.len() && (0.0..=1.0).contains(&value));
            }
        };
        if session.message(&line, now, &mut check).is_err()
            || session.tick(now, &mut check).is_err()
        {
            session.begin(now);
        }
        for index in 0..names.len() {
            session.set(index, f64::from(choice.wrapping_mul(index as u8)) / 255.0);
        }
        session.flush();
        let mut count = 0;
        while let Some(message) = session.next() {
            count += 1;
            let json: serde_json::Value = serde_json::from_str(&message).expect("valid JSON");
            assert!(json.is_object() && count < 64, "{message}");
        }
    }
    if let Err(error) = Channel::parse(&text, Usage::Target, CommandLine::Remote) {
        assert!(!error.message.is_empty());
    }
}
