//! `consort run --web` and `consort web`: the page of a show for web browsers.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use consort_backends::web as surface;
use consort_router::BackendDescriptor;
use consort_web::{Connect, Page, Role, Settings, SurfaceLink, SurfaceToken, Surfaces, Tokens};

use crate::errors::with_hint;
use crate::monitor::{self, Local};
use crate::signals;

/// The port of the page, unless one is given.
const DEFAULT_PORT: u16 = 8_088;

/// How often `consort web` looks whether it should end.
const END_CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The control surfaces that join the page of this process.
static SURFACES: LazyLock<Surfaces> = LazyLock::new(Surfaces::default);

/// The backend of control surfaces, which join the page and are announced in the terminal.
pub(crate) const SURFACE_BACKEND: BackendDescriptor = BackendDescriptor {
    create: || surface::backend(SURFACES.clone(), announce),
    ..surface::DESCRIPTOR
};

/// Options of `consort run` for the page.
#[derive(Args, Clone, Debug)]
pub(crate) struct WebOptions {
    /// Serve a page to web browsers [default: 127.0.0.1:8088]
    #[arg(long, value_name = "ADDRESS[:PORT]", num_args = 0..=1, require_equals = true,
          default_missing_value = "127.0.0.1", value_parser = parse_address)]
    web: Option<SocketAddr>,
    /// Let the page set channels and edit the configuration, not only view
    #[arg(long, requires = "web")]
    web_control: bool,
    /// Certificate chain (PEM) to serve the page by HTTPS
    #[arg(long, value_name = "FILE", requires_all = ["web", "web_key"])]
    web_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate
    #[arg(long, value_name = "FILE", requires = "web_cert")]
    web_key: Option<PathBuf>,
}

/// Arguments of `consort web`.
#[derive(Args, Debug)]
pub(crate) struct WebArgs {
    /// Address to listen on, with or without a port
    #[arg(long, value_name = "ADDRESS[:PORT]", default_value = "127.0.0.1:8088",
          value_parser = parse_address)]
    address: SocketAddr,
    /// Let the page set channels and edit the configuration, not only view
    #[arg(long)]
    control: bool,
    /// Certificate chain (PEM) to serve the page by HTTPS
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Configuration file of the running show [default: the only running show]
    file: Option<PathBuf>,
}

/// Reads `ADDRESS`, `ADDRESS:PORT` or `PORT`.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let unbracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(address) = unbracketed.unwrap_or(text).parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, DEFAULT_PORT));
    }
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    Err("expected an IP address such as 0.0.0.0 or 192.168.1.23:8088".into())
}

/// A page that has not started.
pub(crate) struct Prepared {
    settings: Settings,
    state: PathBuf,
}

impl WebOptions {
    /// The page that the options ask for, if any.
    ///
    /// # Errors
    /// When the tokens or the certificate cannot be used.
    pub(crate) fn page(&self) -> anyhow::Result<Option<Prepared>> {
        let Some(address) = self.web else { return Ok(None) };
        let files = self.web_cert.as_deref().zip(self.web_key.as_deref());
        let mut prepared = Prepared::new(address, self.web_control, files)?;
        let token = SurfaceToken::load(&prepared.state)?;
        prepared.settings.surfaces = Some((SURFACES.clone(), token));
        Ok(Some(prepared))
    }
}

impl Prepared {
    fn new(
        address: SocketAddr,
        has_control: bool,
        files: Option<(&Path, &Path)>,
    ) -> anyhow::Result<Self> {
        let state = state_folder()?;
        let tls = files.map(|(cert, key)| consort_web::server_config(cert, key)).transpose()?;
        let settings = Settings {
            address,
            highest_role: if has_control { Role::Control } else { Role::View },
            tokens: Tokens::load(&state)?,
            tls,
            surfaces: None,
        };
        Ok(Prepared { settings, state })
    }

    /// Serves the page of this process's show. A show also runs without it, so that a failure is
    /// only logged.
    pub(crate) fn serve_own(self, show: &Local) -> Option<Page> {
        let show = show.clone();
        match self.serve(Arc::new(move || monitor::attach(&show))) {
            Ok(page) => Some(page),
            Err(error) => {
                tracing::error!("the show runs without its page: {error:#}");
                None
            }
        }
    }

    /// Serves the page, and prints its addresses.
    fn serve(self, connect: Connect) -> anyhow::Result<Page> {
        let (role, tokens) = (self.settings.highest_role, self.settings.tokens.clone());
        let (wanted, is_tls) = (self.settings.address, self.settings.tls.is_some());
        let page = Page::start(self.settings, connect)
            .with_context(|| format!("cannot listen on {wanted} for the page"))?;
        let addresses = reachable(page.address());
        let scheme = if is_tls { "https" } else { "http" };
        let urls: Vec<String> =
            addresses.iter().map(|(address, _)| format!("{scheme}://{address}/")).collect();
        tracing::info!("the page ({}) is at {}", role.word(), urls.join(" "));
        if io::stdout().is_terminal() {
            // Tokens are printed for the user of the terminal alone, never into a log.
            let link = |address| consort_web::link(address, is_tls, tokens.of(role));
            let links = addresses.iter().map(|&(address, other)| (link(address), other));
            monitor::print(&invitation(links))?;
        } else {
            let path = Tokens::path(&self.state);
            tracing::info!("the page asks for a token; they are in {}", path.display());
        }
        Ok(page)
    }
}

/// Runs `consort web`: serves the page of a show in another process.
pub(crate) fn run(arguments: &WebArgs) -> anyhow::Result<ExitCode> {
    let files = arguments.cert.as_deref().zip(arguments.key.as_deref());
    let prepared = Prepared::new(arguments.address, arguments.control, files)?;
    let file = arguments.file.clone();
    let find = move || match &file {
        Some(file) => monitor::running_file(file)?.with_context(|| {
            format!("{} is not running; start it with `consort run`", file.display())
        }),
        None => monitor::find(None),
    };
    // Reports a wrong name at once. Later, the show may end and start again.
    drop(find()?);
    let connect: Connect =
        Arc::new(move || find().map_err(io::Error::other).and_then(|show| show.into_stream()));
    let has_quit = signals::flag_on_signals()?;
    let page = prepared.serve(connect)?;
    while !has_quit.load(Ordering::Acquire) {
        std::thread::sleep(END_CHECK_INTERVAL);
    }
    drop(page);
    Ok(ExitCode::SUCCESS)
}

/// The folder of the tokens: that of the service manager, or of the user.
fn state_folder() -> anyhow::Result<PathBuf> {
    consort_web::state_folder().ok_or_else(|| {
        with_hint(
            "there is no folder for the tokens of the page",
            "set XDG_STATE_HOME to a folder that you own",
        )
    })
}

/// Logs where a surface is; in a terminal, prints its addresses with the token and QR codes.
fn announce(instance: &str, link: &SurfaceLink) {
    let addresses = reachable(link.address);
    let urls: Vec<String> = addresses.iter().map(|&(address, _)| link.public(address)).collect();
    tracing::info!(instance, "the surface is at {}", urls.join(" "));
    if io::stdout().is_terminal() {
        let links = addresses.iter().map(|&(address, other)| (link.secret(address), other));
        // The show also runs without the print.
        let _ = monitor::print(&invitation(links));
    } else if let Some(folder) = consort_web::state_folder() {
        let path = SurfaceToken::path(&folder);
        tracing::info!(instance, "the surface asks for a token; it is in {}", path.display());
    }
}

/// The addresses at which browsers reach a listening address, and whether another device can.
fn reachable(listening: SocketAddr) -> Vec<(SocketAddr, bool)> {
    if !listening.ip().is_unspecified() {
        return vec![(listening, !listening.ip().is_loopback())];
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut addresses: Vec<(SocketAddr, bool)> = interfaces
        .iter()
        // Link-local addresses of IPv6 need a zone, which browsers do not accept.
        .filter(|interface| listening.is_ipv6() || interface.ip().is_ipv4())
        .filter(|interface| !(interface.ip().is_ipv6() && interface.is_link_local()))
        .map(|interface| {
            (SocketAddr::new(interface.ip(), listening.port()), !interface.is_loopback())
        })
        .collect();
    addresses.sort_by_key(|(address, is_reachable)| (!is_reachable, address.is_ipv6()));
    addresses
}

/// The addresses with a token; a QR code for each that another device can use.
fn invitation(links: impl Iterator<Item = (String, bool)>) -> String {
    let mut text = String::new();
    for (link, is_reachable) in links {
        let _ = writeln!(text, "{link}");
        if let Some(code) = consort_web::qr_code(&link).filter(|_| is_reachable) {
            text.push_str(&code);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port() {
        for (text, expected) in [
            ("127.0.0.1", "127.0.0.1:8088"),
            ("0.0.0.0:9000", "0.0.0.0:9000"),
            ("9000", "127.0.0.1:9000"),
            ("::", "[::]:8088"),
            ("[::1]", "[::1]:8088"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(
                parse_address(text).map(|address| address.to_string()).as_deref(),
                Ok(expected)
            );
        }
        for text in ["", "localhost", "1.2.3", "1.2.3.4:99999", "99999"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_other_devices_get_a_code() {
        let links = [("http://10.0.0.1:8088/#secret", true), ("http://127.0.0.1:8088/#x", false)];
        let text = invitation(links.into_iter().map(|(link, other)| (link.to_owned(), other)));
        assert!(text.starts_with("http://10.0.0.1:8088/#secret\n█"));
        assert!(text.ends_with("\nhttp://127.0.0.1:8088/#x\n"));
    }
}
