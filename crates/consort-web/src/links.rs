//! Addresses of the page, and their QR codes for a terminal.

use std::net::SocketAddr;

use qrcodegen::{QrCode, QrCodeEcc};

/// How many light modules a QR code needs around it (ISO/IEC 18004).
const QUIET_MODULES: i32 = 4;

/// The address of the page with a token in its fragment, which browsers do not send to servers.
pub fn link(address: SocketAddr, is_tls: bool, token: &str) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{address}/#{token}")
}

/// A QR code as text, two modules above each other a character, light modules drawn: for terminals
/// with a dark background. `None` if the text is too long.
pub fn qr_code(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let range = -QUIET_MODULES..code.size() + QUIET_MODULES;
    let mut lines = String::new();
    for y in range.clone().step_by(2) {
        for x in range.clone() {
            // Beyond the code, modules are light.
            lines.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (false, false) => '█',
                (false, true) => '▀',
                (true, false) => '▄',
                (true, true) => ' ',
            });
        }
        lines.push('\n');
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_the_token_in_its_fragment() {
        let address = "[fe80::1]:8088".parse().expect("an address");
        assert_eq!(link(address, true, "abc"), "https://[fe80::1]:8088/#abc");
        let address = "10.0.0.1:80".parse().expect("an address");
        assert_eq!(link(address, false, "abc"), "http://10.0.0.1:80/#abc");
    }

    #[test]
    fn a_code_is_as_wide_as_high() {
        let code = qr_code("http://10.0.0.1:8088/#0123456789abcdef").expect("short");
        let width = code.lines().next().expect("a line").chars().count();
        assert!(code.lines().all(|line| line.chars().count() == width));
        assert_eq!(code.lines().count(), width.div_ceil(2));
        // The quiet zone, then the edge of the top left finder pattern: seven dark modules.
        let third = code.lines().nth(2).expect("a line");
        assert!(third.starts_with("████ ▄▄▄▄▄ █"), "{third}");
        assert_eq!(qr_code(&"x".repeat(5_000)), None);
    }
}
