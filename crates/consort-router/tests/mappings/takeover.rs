//! Takeover, encoders and echoes: the tests T1, T2, T3 and T5 with their exact numbers.

use crate::support::Played;

fn send_bytes(show: &mut Played, channel: &str, bytes: &[u8]) {
    for &byte in bytes {
        show.byte(channel, byte).wait(10);
    }
}

#[test]
fn pickup_passes_what_reaches_or_crosses_the_target() {
    let mut show = Played::new("[map]\nd.f > l.x | takeover(pickup)\n");
    show.set("l.x", 64.0 / 127.0);
    show.take();
    send_bytes(&mut show, "d.f", &[20, 28, 36, 44, 52, 60]);
    assert_eq!(show.texts(), [""; 0]);
    send_bytes(&mut show, "d.f", &[66, 73, 80]);
    assert_eq!(show.texts(), ["l.x 0.519685", "l.x 0.574803", "l.x 0.629921"]);
    show.set("l.x", 0.2).wait(1_000);
    show.take();
    send_bytes(&mut show, "d.f", &[81, 74, 67, 60, 53, 46, 39, 32]);
    assert_eq!(show.texts(), [""; 0]);
    send_bytes(&mut show, "d.f", &[24, 17]);
    assert_eq!(show.texts(), ["l.x 0.188976", "l.x 0.133858"]);
}

#[test]
fn pickup_needs_no_time_window() {
    for pause in [1, 10, 1_000, 60_000] {
        let mut show = Played::new("[map]\nd.f > l.x | takeover(pickup)\n");
        show.set("l.x", 64.0 / 127.0);
        show.byte("d.f", 30).wait(pause);
        show.take();
        show.byte("d.f", 90);
        assert_eq!(show.bytes("l.x"), [90], "{pause} ms");
    }
}

#[test]
fn a_waiting_fader_is_shown_with_side_and_distance() {
    let mut show = Played::new("[map]\nd.f > l.x | takeover(pickup)\n");
    show.set("l.x", 0.5).send("d.f", 0.25);
    let live = show.router.handle().live();
    assert_eq!(live.route_state(0).distance, Some(0.25));
    show.send("d.f", 0.75);
    assert_eq!((live.route_state(0).distance, live.route_state(0).value), (None, Some(0.75)));
}

#[test]
fn scale_moves_the_target_in_proportion() {
    let play = |target: u8, start: u8, bytes: &[u8]| {
        let mut show = Played::new("[map]\nd.f > l.x | takeover(scale)\n");
        show.set("l.x", f64::from(target) / 127.0);
        show.byte("d.f", start);
        show.take();
        send_bytes(&mut show, "d.f", bytes);
        show.texts()
    };
    assert_eq!(play(32, 64, &[96, 127, 64]), ["l.x 0.631921", "l.x 1", "l.x 0.503937"]);
    assert_eq!(play(96, 64, &[32, 0]), ["l.x 0.377953", "l.x 0"]);
    let values = play(32, 64, &[96, 64, 32, 0]);
    let byte = |text: &String| (text[4..].parse::<f64>().unwrap() * 127.0).round() as u8;
    assert_eq!(values.iter().map(byte).collect::<Vec<_>>(), [80, 54, 27, 0]);
    let all: Vec<u8> = (65..=127).collect();
    assert_eq!(play(32, 64, &all).last().unwrap(), "l.x 1");
}

fn encoder(stage: &str, start: f64, bytes: &[u8]) -> Vec<String> {
    let mut show = Played::new(&format!("[map]\nd.enc > l.x | {stage}\n"));
    show.set("l.x", start);
    show.take();
    for &byte in bytes {
        show.byte("d.enc", byte);
    }
    show.texts().into_iter().map(|text| text[4..].to_owned()).collect()
}

#[test]
fn encoders_of_all_three_kinds_move_the_target() {
    let play =
        |encoding: &str, bytes: &[u8]| encoder(&format!("relative(0.01, {encoding})"), 0.5, bytes);
    assert_eq!(
        play("twos", &[0x01, 0x7F, 0x03, 0x7D, 0x3F, 0x41]),
        ["0.51", "0.5", "0.53", "0.5", "1", "0.37"]
    );
    assert_eq!(play("offset", &[0x41, 0x3F, 0x40, 0x7F, 0x00]), ["0.51", "0.5", "1", "0.36"]);
    assert_eq!(play("sign", &[0x01, 0x41, 0x47, 0x40, 0x00]), ["0.51", "0.5", "0.43"]);
    assert_eq!(play("twos", &[1, 1, 1]), ["0.51", "0.52", "0.53"], "equal values count");
    let up = encoder("relative(0.01, twos)", 0.0, &[0x01; 100]);
    assert_eq!(up.last().unwrap(), "1");
    let down = encoder("relative(0.01, twos)", 1.0, &[0x7F; 100]);
    assert_eq!(down.last().unwrap(), "0");
}

#[test]
fn an_encoder_goes_on_through_a_coarse_echo() {
    let mut show = Played::new("[map]\nd.enc > l.f | relative(0.002, twos)\n");
    show.set("l.f", 0.5);
    show.take();
    let mut last = 0.0;
    for _ in 0..10 {
        show.byte("d.enc", 1);
        last = show.take().last().expect("a value").1;
        show.send("l.f", (last * 127.0_f64).round() / 127.0);
    }
    assert_eq!(((last * 1e9).round() / 1e9, (last * 127.0).round()), (0.52, 66.0));
}

/// A motor fader with 128 values and a light with 65,536, in two layers.
const LIGHT: &str = "[map one]\ngroup = g\nselect = d.pad1\nd.f <> l.l16\n\
                     [map two]\ngroup = g\nselect = d.pad2\nstart = on\nd.f <> l.x\n";

fn press(show: &mut Played, pad: &str) {
    show.byte(pad, 127).byte(pad, 0);
}

#[test]
fn what_a_motor_fader_returns_is_not_routed() {
    let mut show = Played::new(LIGHT);
    show.set("l.l16", 20_316.0 / 65_535.0);
    show.take();
    press(&mut show, "d.pad1");
    assert_eq!(show.bytes("d.f"), [39]);
    show.wait(5).byte("d.f", 39).wait(494).byte("d.f", 39).wait(401).byte("d.f", 39);
    assert_eq!(show.bytes("l.l16"), [], "the light stays");
    show.set("l.l16", 0.5).wait(10).set("l.l16", 0.55);
    assert_eq!(show.bytes("d.f"), [64, 70]);
    show.wait(100).byte("d.f", 64).wait(300).byte("d.f", 70);
    assert_eq!(show.bytes("l.l16"), [], "late echoes");
    show.byte("d.f", 40);
    let light = show.take();
    assert_eq!((light[0].1 * 65_535.0).round(), 20_641.0);
}

#[test]
fn a_hundred_switches_leave_the_light_as_it_is() {
    let mut show = Played::new(LIGHT);
    let light = 20_316.0 / 65_535.0;
    show.set("l.l16", light).set("l.x", 0.9);
    show.take();
    for _ in 0..100 {
        for (pad, expected) in [("d.pad1", 39), ("d.pad2", 114)] {
            press(&mut show, pad);
            let received = show.take();
            let fader: Vec<_> = received.iter().filter(|(name, _)| name == "d.f").collect();
            assert_eq!(fader.len(), 1, "one message for each switch");
            let byte = (fader[0].1 * 127.0).round() as u8;
            assert_eq!(byte, expected);
            assert!(!received.iter().any(|(name, _)| name == "l.l16" || name == "l.x"));
            show.wait(3).byte("d.f", byte);
            assert!(!show.take().iter().any(|(name, _)| name.starts_with("l.")), "an echo");
            show.wait(600);
        }
    }
    let (instance, channel) = show.find("l.l16");
    let live = show.router.handle().live();
    assert_eq!(live.channel(instance, channel).unwrap().0, light);
}
