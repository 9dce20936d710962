//! Tests of a session in virtual time, of options, and of the corpus. Consoles are in
//! `tests/maweb_consoles.rs`.

use std::time::{Duration, Instant};

use consort_router::Usage;
use consort_router::testing::TestShow;

use super::DESCRIPTOR;
use super::channels::Channel;
use super::config::{CommandLine, Config};
use super::session::{Entry, Event, Failure, Model, Session};

/// A session whose console is the test.
struct Desk {
    session: Session,
    now: Instant,
    names: Vec<String>,
}

fn entries(sources: &[&str], targets: &[&str]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (names, usage) in [(sources, Usage::Source), (targets, Usage::Target)] {
        for name in names {
            let channel = Channel::parse(name, usage, CommandLine::Downgrade).expect(name);
            let mut entry = Entry::new(channel);
            entry.is_source = usage == Usage::Source;
            entries.push(entry);
        }
    }
    entries
}

impl Desk {
    /// A session before the greeting.
    fn closed(sources: &[&str], targets: &[&str]) -> Self {
        let config = Config {
            hosts: Vec::new(),
            user: "me \"and\" \\ you".into(),
            password: "0123".into(),
            command_line: CommandLine::Downgrade,
        };
        let now = Instant::now();
        let session = Session::new(&config, entries(sources, targets), now);
        let names = sources.iter().chain(targets).map(|name| (*name).to_owned()).collect();
        Desk { session, now, names }
    }

    /// A session after the login.
    fn open(kind: &str, sources: &[&str], targets: &[&str]) -> Self {
        let mut desk = Desk::closed(sources, targets);
        desk.log_in(kind);
        desk
    }

    fn log_in(&mut self, kind: &str) {
        self.receive(&format!("{{\"status\":\"server ready\",\"appType\":\"{kind}\"}}"));
        self.receive("{\"session\":7,\"forceLogin\":true}");
        self.sent();
        let model = if kind == "dot2" { Model::Dot2 } else { Model::GrandMa2 };
        let events = self.receive("{\"responseType\":\"login\",\"result\":true}");
        assert_eq!(events, [Event::Open(model)]);
    }

    fn receive(&mut self, text: &str) -> Vec<Event> {
        let mut events = Vec::new();
        self.session.message(text, self.now, &mut |event| events.push(event)).expect(text);
        events
    }

    fn fail(&mut self, text: &str) -> String {
        let Failure(reason) = self.session.message(text, self.now, &mut |_| {}).expect_err(text);
        reason
    }

    fn sent(&mut self) -> Vec<String> {
        self.session.flush();
        std::iter::from_fn(|| self.session.next()).collect()
    }

    fn set(&mut self, name: &str, value: f64) -> u64 {
        let index = self.names.iter().position(|other| other == name).expect(name);
        self.session.set(index, value)
    }

    /// Lets time pass. Returns what happens then.
    fn wait(&mut self, time: Duration) -> Result<Vec<Event>, Failure> {
        self.now += time;
        let mut events = Vec::new();
        self.session.tick(self.now, &mut |event| events.push(event))?;
        Ok(events)
    }
}

const NOTHING: [&str; 0] = [];

/// An answer with one fader executor.
fn fader(executor: u16, value: f64) -> String {
    let index = executor - 1;
    format!(
        "{{\"responseType\":\"playbacks\",\"responseSubType\":2,\"iPage\":1,\"itemGroups\":[{{\
         \"itemsType\":2,\"items\":[[{{\"iExec\":{index},\"isRun\":0,\"executorBlocks\":[{{\
         \"fader\":{{\"v\":{value}}}}}]}}]]}}]}}"
    )
}

#[test]
fn a_login_has_the_documented_messages() {
    for greeting in ["{\"status\":\"server ready\",\"appType\":\"gma2\"}", "server ready"] {
        let mut desk = Desk::closed(&[], &["page1.fader3"]);
        desk.set("page1.fader3", 1.0 / 3.0);
        assert_eq!(desk.receive(greeting), []);
        assert_eq!(desk.sent(), ["{\"session\":0}"]);
        desk.receive("{\"session\":7,\"forceLogin\":true}");
        let login = "{\"requestType\":\"login\",\"username\":\"me \\\"and\\\" \\\\ you\",\
                     \"password\":\"0123\",\"session\":7}";
        assert_eq!(desk.sent(), [login]);
        desk.receive("{\"responseType\":\"login\",\"result\":true,\"session\":8}");
        // What was set before is sent now, in the newest session.
        let fader = "{\"requestType\":\"playbacks_userInput\",\"execIndex\":2,\"pageIndex\":0,\
                     \"faderValue\":0.333333,\"type\":1,\"session\":8}";
        assert_eq!(desk.sent(), [fader]);
        desk.wait(Duration::from_secs(10)).expect("open");
        assert_eq!(desk.sent(), ["{\"session\":8}"]);
        // The console may ask for the login again.
        desk.receive("{\"session\":9,\"forceLogin\":true}");
        assert!(desk.sent()[0].contains("\"requestType\":\"login\""));
    }
}

#[test]
fn a_console_that_refuses_is_a_failure() {
    let mut desk = Desk::closed(&[], &[]);
    desk.receive("server ready");
    assert!(desk.fail("{\"session\":-1}").contains("no free session"));
    let mut desk = Desk::closed(&[], &[]);
    desk.receive("server ready");
    desk.receive("{\"session\":3}");
    let reason = desk.fail("{\"responseType\":\"login\",\"result\":false}");
    assert!(reason.contains("refuses the login of `me"), "{reason}");
    let mut desk = Desk::closed(&[], &[]);
    assert!(desk.wait(Duration::from_secs(9)).is_ok());
    assert!(desk.wait(Duration::from_secs(1)).is_err());
}

#[test]
fn faders_are_coalesced_and_buttons_are_not() {
    let mut desk = Desk::open("gma2", &[], &["page1.fader1", "page1.button2", "page2.upper3"]);
    desk.set("page1.fader1", 0.1);
    assert_eq!(desk.set("page1.fader1", 0.5), 1, "one value is replaced");
    for value in [1.0, 1.0, 0.9, 0.0] {
        assert_eq!(desk.set("page1.button2", value), 0);
    }
    desk.set("page2.upper3", 1.0);
    let button = |executor: u16, page: u16, button: u8, pressed: bool| {
        let released = !pressed;
        format!(
            "{{\"requestType\":\"playbacks_userInput\",\"execIndex\":{executor},\
             \"pageIndex\":{page},\"buttonId\":{button},\"pressed\":{pressed},\
             \"released\":{released},\"type\":0,\"session\":7}}"
        )
    };
    let fader = "{\"requestType\":\"playbacks_userInput\",\"execIndex\":0,\"pageIndex\":0,\
                 \"faderValue\":0.500000,\"type\":1,\"session\":7}";
    let expected = [
        button(1, 0, 0, true),
        button(1, 0, 0, false),
        button(1, 0, 0, false),
        button(2, 1, 2, true),
        fader.to_owned(),
    ];
    assert_eq!(desk.sent(), expected);
    desk.set("page1.fader1", 0.5);
    assert_eq!(desk.sent(), NOTHING, "an equal value is not sent again");
    // What is pressed is released with a panic and at the end.
    desk.session.release_all();
    assert_eq!(desk.sent(), [button(2, 1, 2, false)]);
    desk.session.close();
    assert_eq!(desk.sent(), ["{\"requestType\":\"close\",\"session\":7}"]);
}

#[test]
fn a_reload_releases_what_a_removed_channel_holds() {
    let mut desk = Desk::open("gma2", &["page1.fader1"], &["page1.button2", "CLEAR"]);
    desk.receive(&fader(1, 0.25));
    desk.set("CLEAR", 1.0);
    desk.set("page1.button2", 1.0);
    desk.sent();
    desk.session.adopt(entries(&["page1.fader1"], &["page1.button2"]));
    let clear = "{\"command\":\"LUA 'gma.canbus.hardkey(105, false, false)'\",\
                 \"requestType\":\"command\",\"session\":7}";
    assert_eq!(desk.sent(), [clear]);
    assert_eq!(desk.receive(&fader(1, 0.25)), [], "an equal value is not emitted again");
}

#[test]
fn sources_are_asked_for_as_the_consoles_expect() {
    let request = |session: &mut Desk| -> Vec<String> {
        session.wait(Duration::from_millis(10)).expect("open");
        session.sent()
    };
    let sources = ["page1.fader3", "page1.fader12", "page1.button101", "page2.fader1"];
    let mut desk = Desk::open("gma2", &sources, &[]);
    let expected = |start: &str, count: &str, page: u16, kinds: &str, view: u8| {
        format!(
            "{{\"requestType\":\"playbacks\",\"startIndex\":[{start}],\"itemsCount\":[{count}],\
             \"pageIndex\":{page},\"itemsType\":[{kinds}],\"view\":{view},\
             \"execButtonViewMode\":2,\"buttonsViewMode\":0,\"session\":7}}"
        )
    };
    assert_eq!(
        request(&mut desk),
        [
            expected("0", "15", 0, "2", 2),
            expected("100", "5", 0, "3", 3),
            expected("0", "5", 1, "2", 2),
        ]
    );
    let sources = ["page1.fader3", "page1.button122", "page1.button301", "page2.button201"];
    let mut desk = Desk::open("dot2", &sources, &[]);
    assert_eq!(
        request(&mut desk),
        [
            expected("2,121", "1,1", 0, "2,3", 2),
            expected("300", "1", 0, "3", 3),
            expected("0,200", "1,1", 1, "2,3", 2),
        ]
    );
}

#[test]
fn inquiries_never_stop() {
    let mut desk = Desk::open("gma2", &["page1.fader1"], &[]);
    desk.session.configure(Duration::from_millis(200), false);
    desk.wait(Duration::ZERO).expect("open");
    assert_eq!(desk.sent().len(), 1);
    desk.receive(&fader(1, 0.5));
    assert_eq!(desk.wait(Duration::from_millis(199)), Ok(vec![]));
    assert_eq!(desk.sent(), NOTHING);
    desk.wait(Duration::from_millis(1)).expect("open");
    assert_eq!(desk.sent().len(), 1);
    // An answer for no page is one, too.
    desk.receive("{\"responseType\":\"playbacks\",\"iPage\":0}");
    desk.wait(Duration::from_millis(200)).expect("open");
    assert_eq!(desk.sent().len(), 1);
    for _ in 0..5 {
        assert_eq!(desk.wait(Duration::from_secs(1)), Ok(vec![Event::Unanswered]));
        assert!(!desk.sent().is_empty());
    }
    assert!(desk.session.deadline() <= desk.now + Duration::from_secs(1));
    assert!(desk.wait(Duration::from_secs(11)).is_err(), "silent for too long");
}

#[test]
fn odd_answers_are_ignored() {
    let mut desk = Desk::open("gma2", &["page1.fader1", "page1.button2"], &[]);
    for text in [
        "{\"responseType\":\"playbacks\"}",
        "{\"responseType\":\"playbacks\",\"iPage\":-1,\"itemGroups\":3}",
        "{\"responseType\":\"playbacks\",\"iPage\":1,\"itemGroups\":[{\"items\":[[{\"iExec\":\"x\"}]]}]}",
        "{\"responseType\":\"playbacks\",\"iPage\":1,\"itemGroups\":[{\"items\":[3,[4],[{\"iExec\":65535,\
         \"executorBlocks\":[{},{}]}]]}]}",
        "[]",
        "3",
    ] {
        assert_eq!(desk.receive(text), [], "{text}");
    }
    assert_eq!(desk.receive("not JSON"), [Event::Refused]);
    assert_eq!(desk.receive(&fader(1, 7.0)), [Event::Value(0, 1.0)]);
    // An executor without a channel is reported when it changes.
    assert_eq!(desk.receive(&fader(5, 0.0)), []);
    let events = desk.receive(&fader(5, 0.5));
    assert!(
        matches!(events[..], [Event::Unmatched { page: 1, executor: 5, value: 0.5, .. }]),
        "{events:?}"
    );
}

#[test]
fn a_user_is_needed_only_by_a_grandma2() {
    let mut desk = Desk::closed(&[], &[]);
    desk.receive("{\"status\":\"server ready\",\"appType\":\"dot2\"}");
    desk.receive("{\"session\":1}");
    assert!(desk.sent()[1].contains("\"username\":\"remote\""));
}

#[test]
fn options_that_do_not_fit_are_reported() {
    let mut show = TestShow::new();
    let hosts = vec![("host", "console"); 17];
    let problems = show.try_instance(&DESCRIPTOR, "ma", &hosts).expect_err("too many");
    assert_eq!(problems[0].message, "at most 16 hosts");
}

/// The corpus of the fuzz target.
mod corpus {
    use proptest::prelude::*;

    use super::super::fuzz::maweb_messages;

    #[test]
    fn the_committed_corpus_passes() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/maweb_messages");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("a corpus") {
            maweb_messages(&std::fs::read(entry.expect("an entry").path()).expect("a file"));
            count += 1;
        }
        assert!(count > 5);
    }

    proptest! {
        #[test]
        fn any_bytes_are_handled(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            maweb_messages(&bytes);
        }
    }
}
