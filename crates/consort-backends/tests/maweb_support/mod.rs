//! A console for tests, written from the messages that public clients of the web remotes send and
//! expect: login, executors, keys, inquiries. `tests/maweb_consoles.rs` checks it with a foreign
//! client before it uses it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use md5::{Digest, Md5};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use socket2::{Domain, Socket, Type};
use tungstenite::{Message, WebSocket};

/// How long a thread of a console waits before it looks whether it is to end.
const POLL: Duration = Duration::from_millis(3);

/// The state of a console.
#[derive(Default)]
pub(crate) struct Model {
    /// `gma2` or `dot2`.
    pub(crate) kind: &'static str,
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    /// The faders and whether the executor runs, by page and executor, which count from 1.
    pub(crate) executors: BTreeMap<(u64, u64), (f64, bool)>,
    /// The executors that have a width of more than 1.
    pub(crate) wide: BTreeMap<(u64, u64), u64>,
    /// The commands and keys that were used.
    pub(crate) commands: Vec<String>,
    /// The buttons that were used: page, executor, button, pressed.
    pub(crate) buttons: Vec<(u64, u64, u64, bool)>,
    /// The inquiries, as they were sent.
    pub(crate) inquiries: Vec<Json>,
    /// How many of the next inquiries are not answered.
    pub(crate) ignored: usize,
    /// Whether the login is refused, whatever the password is.
    pub(crate) is_closed: bool,
    pub(crate) logins: usize,
    pub(crate) closes: usize,
    /// The session number that is used from the next answer on.
    pub(crate) session: i64,
}

impl Model {
    pub(crate) fn new(kind: &'static str, user: &'static str, password: &'static str) -> Self {
        Model { kind, user, password, session: 7, ..Model::default() }
    }

    /// The answers to a message.
    fn handle(&mut self, message: &Json, is_logged_in: &mut bool) -> Vec<Json> {
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        let number = |name: &str| message[name].as_u64().unwrap_or_default();
        let session = self.session;
        if message["session"] == 0 {
            return vec![json!({"realtime": false, "session": session, "forceLogin": true})];
        }
        match text("requestType") {
            "login" => {
                let mut sum = String::new();
                for byte in Md5::digest(self.password) {
                    let _ = write!(sum, "{byte:02x}");
                }
                *is_logged_in = !self.is_closed
                    && text("username") == self.user
                    && text("password") == sum
                    && message["session"] == session;
                self.logins += usize::from(*is_logged_in);
                let result = *is_logged_in;
                vec![json!({
                    "realtime": false, "responseType": "login", "result": result,
                    "prompt": "Welcome", "session": session
                })]
            }
            "close" => {
                self.closes += 1;
                Vec::new()
            }
            _ if !*is_logged_in => Vec::new(),
            "playbacks_userInput" => {
                assert_eq!(message["session"], session, "{message}");
                let place = (number("pageIndex") + 1, number("execIndex") + 1);
                let executor = self.executors.entry(place).or_default();
                match number("type") {
                    1 => executor.0 = message["faderValue"].as_f64().expect("a number"),
                    _ => {
                        let is_pressed = message["pressed"] == true;
                        assert_eq!(message["released"], !is_pressed, "{message}");
                        executor.1 |= is_pressed;
                        self.buttons.push((place.0, place.1, number("buttonId"), is_pressed));
                    }
                }
                Vec::new()
            }
            "playbacks" => {
                self.inquiries.push(message.clone());
                if self.ignored > 0 {
                    self.ignored -= 1;
                    return Vec::new();
                }
                vec![self.playbacks(message)]
            }
            "command" => {
                self.commands.push(text("command").to_owned());
                Vec::new()
            }
            _ if !text("keyname").is_empty() => {
                let (key, value, submit) =
                    (text("keyname"), number("value"), &message["autoSubmit"]);
                self.commands.push(format!("{key} {value} {submit}"));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn playbacks(&self, message: &Json) -> Json {
        let page = message["pageIndex"].as_u64().unwrap_or_default() + 1;
        let numbers = |name: &str| -> Vec<u64> {
            let list = message[name].as_array().expect("a list");
            list.iter().map(|number| number.as_u64().expect("a number")).collect()
        };
        let blocks = numbers("startIndex").into_iter().zip(numbers("itemsCount"));
        let view = message["view"].as_u64();
        let has_faders = numbers("itemsType").contains(&2);
        let mut groups = Vec::new();
        for ((start, count), kind) in blocks.zip(numbers("itemsType")) {
            // A dot2 reports buttons of this view only together with faders.
            if self.kind == "dot2" && view == Some(2) && !has_faders {
                continue;
            }
            let (mut items, mut index) = (Vec::new(), start);
            while index < start + count {
                let place = (page, index + 1);
                let width = self.wide.get(&place).copied().unwrap_or(1);
                let state = |offset: u64| {
                    self.executors.get(&(page, index + offset + 1)).copied().unwrap_or_default()
                };
                let faders: Vec<Json> = (0..width)
                    .map(|offset| json!({"button1": {"t": ""}, "fader": {"v": state(offset).0}}))
                    .collect();
                let mut item = json!({
                    "i": {"t": (index + 1).to_string(), "c": "#000000"}, "iExec": index,
                    "isRun": u8::from(state(0).1), "tt": {"t": "a \"name\" with \\ signs"}
                });
                match kind {
                    2 => item["executorBlocks"] = json!(faders),
                    _ => item["bottomButtons"] = json!({"items": faders}),
                }
                items.push(item);
                index += width;
            }
            let rows: Vec<&[Json]> = items.chunks(5).collect();
            groups.push(json!({"itemsType": kind, "cntPages": 1, "items": rows}));
        }
        json!({
            "realtime": false, "responseType": "playbacks", "responseSubType": view,
            "iPage": page, "itemGroups": groups, "session": self.session
        })
    }
}

/// A console that runs on threads of its own.
pub(crate) struct Console {
    pub(crate) model: Arc<Mutex<Model>>,
    pub(crate) port: u16,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Console {
    /// Starts a console on a port of this computer; 0 for any.
    pub(crate) fn start(model: Arc<Mutex<Model>>, port: u16) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("set");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("bound");
        socket.listen(4).expect("listens");
        let listener: TcpListener = socket.into();
        let port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("set");
        let end = Arc::<AtomicBool>::default();
        let (of_thread, end_of_thread) = (Arc::clone(&model), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            while !end_of_thread.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => serve(stream, &of_thread, &end_of_thread),
                    Err(_) => std::thread::sleep(POLL),
                }
            }
        });
        Console { model, port, end, thread: Some(thread) }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1 {}", self.port)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Serves one client until it closes the connection.
fn serve(stream: TcpStream, model: &Mutex<Model>, end: &AtomicBool) {
    stream.set_nonblocking(false).expect("set");
    stream.set_nodelay(true).expect("set");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    let Ok(mut socket) = tungstenite::accept(stream) else { return };
    socket.get_ref().set_read_timeout(Some(POLL)).expect("set");
    let send = |socket: &mut WebSocket<TcpStream>, answer: &Json| {
        socket.send(Message::text(answer.to_string())).is_ok()
    };
    let kind = model.lock().kind;
    send(&mut socket, &json!({"status": "server ready", "appType": kind}));
    let mut is_logged_in = false;
    // What has arrived is read before the end.
    loop {
        let message = match socket.read() {
            Ok(Message::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            Ok(_) => continue,
            Err(tungstenite::Error::Io(error))
                if error.kind() == std::io::ErrorKind::WouldBlock =>
            {
                if end.load(Ordering::Relaxed) {
                    return;
                }
                continue;
            }
            Err(_) => return,
        };
        let answers = model.lock().handle(&message, &mut is_logged_in);
        if !answers.iter().all(|answer| send(&mut socket, answer)) {
            return;
        }
    }
}
