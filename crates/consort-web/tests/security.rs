//! What is refused: other pages, other names, wrong tokens, and clients without end.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use consort_web::Role;
use support::{WAIT_TIMEOUT, closed, serve, text};
use tungstenite::Message;

#[test]
fn a_token_is_exchanged_for_a_cookie_that_scripts_cannot_read() {
    let served = serve(Role::Control);
    let headers = served.headers(None);
    for role in [Role::View, Role::Control] {
        let token = served.tokens.of(role);
        let answer = served.ask("POST /session", &headers, token);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let lower = answer.to_ascii_lowercase();
        let cookie = format!(
            "set-cookie: consort={token}; path=/; max-age=34560000; httponly; samesite=strict\r\n"
        );
        assert!(lower.contains(&cookie), "{answer}");
        assert!(answer.ends_with(role.word()), "{answer}");
        let answer = served.ask("GET /session", &served.headers(Some(role)), "");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(role.word()), "{answer}");
    }
}

#[test]
fn a_wrong_token_is_refused() {
    let served = serve(Role::Control);
    let headers = served.headers(None);
    let right = served.tokens.of(Role::Control);
    for token in ["", "x", &right[1..], &format!("{right}0"), &"0".repeat(32)] {
        let answer = served.ask("POST /session", &headers, token);
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("cookie"), "{answer}");
    }
    let answer = served.ask("POST /session", &headers, &"x".repeat(10_000));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = served.ask("GET /session", &format!("{headers}Cookie: consort=x\r\n"), "");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[test]
fn other_pages_and_other_names_are_refused() {
    let served = serve(Role::Control);
    let host = served.address().to_string();
    let own = format!("http://{host}");
    let cookie = format!("consort={}", served.tokens.of(Role::Control));
    let evil = format!("evil.example:{}", served.address().port());
    let evil_origin = format!("http://{evil}");
    let refused = [
        (host.as_str(), None, Some(cookie.as_str())),
        (&host, Some(evil_origin.as_str()), Some(&cookie)),
        (&host, Some("null"), Some(&cookie)),
        (&evil, Some(&evil_origin), Some(&cookie)),
        (&host, Some(&own), None),
        (&host, Some(&own), Some("consort=x")),
    ];
    for (host, origin, cookie) in refused {
        assert_eq!(served.refused(host, origin, cookie), 403, "{host} {origin:?} {cookie:?}");
    }
    assert_eq!(served.refused(&host, Some(&own), Some(&cookie)), 101);
    let token = served.tokens.of(Role::Control);
    let answer = served.ask("POST /session", &format!("Host: {host}\r\n"), token);
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("missing origin"), "{answer}");
    let answer = served.ask("GET /", &format!("Host: {evil}\r\n"), "");
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("unknown host"), "{answer}");
}

#[test]
fn every_answer_has_the_headers_of_a_closed_page() {
    let served = serve(Role::View);
    for line in ["GET /", "GET /app.js", "GET /app.css", "GET /icon.svg", "GET /none", "POST /x"] {
        let answer = served.ask(line, &served.headers(None), "").to_ascii_lowercase();
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(answer.contains(header), "{line}: {answer}");
        }
    }
}

#[test]
fn a_session_for_view_cannot_set_anything() {
    let served = serve(Role::Control);
    let mut socket = served.connect(Role::View);
    let _show = served.show();
    socket.send(Message::text(r#""panic""#)).expect("sent");
    let (texts, code) = closed(&mut socket);
    assert_eq!(code, 1008);
    assert_eq!(texts, [r#"{"error":"a session for `view` does not allow this request"}"#]);
}

#[test]
fn without_control_its_token_gives_a_view() {
    let served = serve(Role::View);
    let answer = served.ask("GET /session", &served.headers(Some(Role::Control)), "");
    assert!(answer.ends_with("view"), "{answer}");
    let mut socket = served.connect(Role::Control);
    let _show = served.show();
    socket.send(Message::text(r#""files""#)).expect("sent");
    assert_eq!(closed(&mut socket).1, 1008);
}

#[test]
fn a_message_that_is_too_long_or_malformed_ends_the_connection() {
    let served = serve(Role::Control);
    for (message, expected) in [
        (Message::text("x".repeat(100)), Some(1008)),
        (Message::binary(vec![0; 10]), Some(1003)),
        (Message::text("x".repeat(100_000)), None),
    ] {
        let mut socket = served.connect(Role::Control);
        let _show = served.show();
        socket.send(message).expect("sent");
        match expected {
            Some(code) => assert_eq!(closed(&mut socket).1, code),
            None => assert!(
                std::iter::from_fn(|| Some(socket.read()))
                    .take(10)
                    .any(|read| { !matches!(read, Ok(Message::Ping(_) | Message::Text(_))) })
            ),
        }
    }
    // Others are served.
    let mut socket = served.connect(Role::Control);
    let show = served.show();
    (&show).write_all(b"\"done\"\n").expect("sent");
    assert_eq!(text(&mut socket), "\"done\"");
}

#[test]
fn more_pages_than_the_limit_are_refused() {
    let served = serve(Role::View);
    let mut sockets: Vec<_> = (0..16).map(|_| served.connect(Role::View)).collect();
    let host = served.address().to_string();
    let (origin, cookie) =
        (format!("http://{host}"), format!("consort={}", served.tokens.of(Role::View)));
    assert_eq!(served.refused(&host, Some(&origin), Some(&cookie)), 503);
    drop(sockets.pop());
    let begun = Instant::now();
    while served.refused(&host, Some(&origin), Some(&cookie)) != 101 {
        assert!(begun.elapsed() < WAIT_TIMEOUT, "a place becomes free");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_request_without_end_is_disconnected() {
    let served = serve(Role::View);
    let mut stream = TcpStream::connect(served.address()).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ").expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("closed by the server");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn headers_that_are_too_long_are_refused() {
    let served = serve(Role::View);
    let long = format!("{}X: {}\r\n", served.headers(None), "x".repeat(100_000));
    let mut stream = TcpStream::connect(served.address()).expect("connected");
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).expect("set");
    // The server may close before everything is written.
    let _ = write!(stream, "GET / HTTP/1.1\r\n{long}\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
