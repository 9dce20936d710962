//! The options of an instance.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use consort_router::options::OptionEntry;
use consort_router::{InstanceConfig, Problems};
use consort_suggest::nearest;
use consort_web::WidgetKind;

use super::channels;
use crate::net::{Allow, HostPort};

/// The colours of the page's style sheet.
const COLOURS: [&str; 9] =
    ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "grey"];
/// The properties of a widget.
const PROPERTIES: [&str; 6] = ["label", "colour", "page", "order", "width", "height"];
/// The longest label of a widget or page, in bytes.
const MAX_LABEL_BYTES: usize = 100;
/// The most columns or rows of a widget.
const MAX_SPAN: u8 = 12;

/// What the configuration says about a widget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) label: Option<String>,
    pub(super) colour: Option<String>,
    pub(super) page: Option<String>,
    pub(super) order: Option<u16>,
    pub(super) width: Option<u8>,
    pub(super) height: Option<u8>,
    /// The first option about it.
    pub(super) position: usize,
}

/// The options of an instance.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) bind: Option<SocketAddr>,
    pub(super) allow: Allow,
    /// Files of the certificate and its key.
    pub(super) tls: Option<(PathBuf, PathBuf)>,
    pub(super) title: String,
    pub(super) columns: u8,
    pub(super) pages: Vec<String>,
    /// By widget.
    pub(super) looks: HashMap<String, Look>,
}

impl Config {
    /// Reads the options; `None` after reporting an error.
    pub(super) fn read(instance: &InstanceConfig, problems: &mut Problems) -> Option<Self> {
        let options = &instance.options;
        let (certificate, key) = (options.path("certificate"), options.path("key"));
        match (&certificate, &key) {
            (Some(_), None) => {
                problems
                    .error(options.position("certificate"), "missing option `key`")
                    .hint("a certificate needs its private key: add `key = FILE`");
            }
            (None, Some(_)) => {
                problems
                    .error(options.position("key"), "missing option `certificate`")
                    .hint("a key needs its certificate: add `certificate = FILE`");
            }
            _ => {}
        }
        let bind = options.text("bind").and_then(|text| HostPort::parse(text).ok()?.literal());
        if bind.is_none() {
            for name in ["allow", "certificate"] {
                if let Some(position) = options.position(name) {
                    problems
                        .warning(Some(position), format!("`{name}` has no effect without `bind`"))
                        .hint("the options of `consort run --web` count for the page");
                }
            }
        }
        let mut looks: HashMap<String, Look> = HashMap::new();
        for kind in WidgetKind::ALL {
            for (position, entry) in options.family(&format!("{}.", kind.word())) {
                if let Err((message, hint)) = property(entry, position, &mut looks) {
                    problems.error(Some(position), message).hint(hint);
                }
            }
        }
        problems.is_ok().then(|| Config {
            bind,
            allow: Allow::read(options),
            tls: certificate.zip(key),
            title: options.text("title").unwrap_or(&instance.name).to_owned(),
            columns: options.integer("columns").unwrap_or(4) as u8,
            pages: options.text("pages").map(pages).unwrap_or_default(),
            looks,
        })
    }
}

/// Reads `KIND.NAME.PROPERTY = VALUE` into the widget's entry.
///
/// # Errors
/// A message and a hint.
fn property(
    entry: &OptionEntry,
    position: usize,
    looks: &mut HashMap<String, Look>,
) -> Result<(), (String, String)> {
    let (name, value) = (entry.name.as_str(), entry.value.as_str());
    let (widget, property) = name.rsplit_once('.').unwrap_or((name, ""));
    let is_widget = widget.split_once('.').is_some_and(|(_, name)| channels::is_name(name));
    if !is_widget {
        return Err((
            format!("`{name}` is not a property of a widget"),
            format!("write WIDGET.PROPERTY, such as `{name}.label`"),
        ));
    }
    if !PROPERTIES.contains(&property) {
        let hint = match nearest(property, PROPERTIES) {
            Some(found) => format!("did you mean `{found}`?"),
            None => "use `label`, `colour`, `page`, `order`, `width` or `height`".to_owned(),
        };
        return Err((format!("a widget has no property `{property}`"), hint));
    }
    let new = || Look { position, ..Look::default() };
    let look = looks.entry(widget.to_owned()).or_insert_with(new);
    let hint = |hint: &str| hint.to_owned();
    let span = || match value.parse::<u8>() {
        Ok(span) if (1..=MAX_SPAN).contains(&span) => Ok(Some(span)),
        _ => Err((
            format!("expected a whole number from 1 to {MAX_SPAN}"),
            hint("it counts columns or rows"),
        )),
    };
    match property {
        "label" => look.label = Some(label(value)?),
        "page" => look.page = Some(label(value)?),
        "colour" => look.colour = Some(colour(value)?),
        "order" => {
            let order = value.parse().ok().filter(|order| *order <= 9_999);
            look.order = Some(order.ok_or_else(|| {
                let message = "expected a whole number from 0 to 9999".to_owned();
                (message, hint("widgets with lower numbers come first"))
            })?);
        }
        "width" => look.width = span()?,
        _ => look.height = span()?,
    }
    Ok(())
}

fn label(value: &str) -> Result<String, (String, String)> {
    if value.len() > MAX_LABEL_BYTES {
        let message = format!("expected at most {MAX_LABEL_BYTES} bytes");
        return Err((message, "write a shorter text".to_owned()));
    }
    Ok(value.to_owned())
}

fn colour(value: &str) -> Result<String, (String, String)> {
    let lower = value.to_ascii_lowercase();
    let digits = lower.strip_prefix('#').unwrap_or_default();
    let is_code = digits.len() == 6 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_code || COLOURS.contains(&lower.as_str()) {
        return Ok(lower);
    }
    let hint = match nearest(&lower, COLOURS) {
        Some(found) => format!("did you mean `{found}`?"),
        None => format!("use {}", COLOURS.map(|name| format!("`{name}`")).join(", ")),
    };
    Err((format!("`{value}` is not a colour: expected a name or `#rrggbb`"), hint))
}

/// The pages in a list.
fn pages(text: &str) -> Vec<String> {
    text.split(',').map(|page| page.trim().to_owned()).collect()
}

/// Validates the option `pages`.
pub(super) fn check_pages(text: &str) -> Result<(), String> {
    let pages = pages(text);
    if pages.iter().any(|page| page.is_empty() || page.len() > MAX_LABEL_BYTES) {
        return Err("expected names of pages, separated by commas, such as `Band, Light`".into());
    }
    match (1..pages.len()).find(|&index| pages[..index].contains(&pages[index])) {
        Some(index) => Err(format!("the page `{}` is in the list twice", pages[index])),
        None => Ok(()),
    }
}

/// Validates the option `bind`.
pub(super) fn check_bind(text: &str) -> Result<(), String> {
    let parsed = HostPort::parse(text)?;
    match parsed.literal() {
        Some(_) => Ok(()),
        None => Err(format!(
            "`{}` is not an address: expected one of this computer's, such as `0.0.0.0 8089`",
            parsed.host
        )),
    }
}
