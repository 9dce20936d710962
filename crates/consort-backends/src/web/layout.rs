//! Pages of widgets from channels and options.

use std::collections::HashMap;

use consort_web::{Layout, SurfaceChannel, SurfacePage, Widget, WidgetKind};

use super::channels::Channel;
use super::config::{Config, Look};

/// A mapped channel.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) channel: Channel,
    /// Whether a mapping reads it.
    pub(super) is_source: bool,
}

/// The channels as `consort_web` needs them.
pub(super) fn channels(entries: &[Entry]) -> Vec<SurfaceChannel> {
    let channel = |entry: &Entry| SurfaceChannel {
        name: entry.channel.name.clone(),
        is_source: entry.is_source,
        is_button: entry.channel.kind == WidgetKind::Button,
    };
    entries.iter().map(channel).collect()
}

/// The pages with their widgets.
pub(super) fn layout(config: &Config, entries: &[Entry]) -> Layout {
    let default = Look::default();
    let mut widgets: Vec<(&Look, Widget)> = Vec::new();
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    for Entry { channel, is_source } in entries {
        if let Some(&number) = numbers.get(channel.widget.as_str()) {
            widgets[number].1.is_source |= is_source;
            continue;
        }
        numbers.insert(&channel.widget, widgets.len());
        let look = config.looks.get(&channel.widget).unwrap_or(&default);
        let (width, height) = size(channel.kind, config.columns);
        let name = channel.widget.split_once('.').map_or("", |(_, name)| name);
        widgets.push((
            look,
            Widget {
                name: channel.widget.clone(),
                kind: channel.kind,
                label: look.label.clone().unwrap_or_else(|| name.to_owned()),
                colour: look.colour.clone(),
                width: look.width.unwrap_or(width).min(config.columns),
                height: look.height.unwrap_or(height),
                is_source: *is_source,
            },
        ));
    }
    // Stable: widgets without a number stay in the order of the mappings.
    widgets.sort_by_key(|(look, _)| look.order.unwrap_or(u16::MAX));
    let mut pages: Vec<SurfacePage> = config.pages.iter().map(|label| page(label)).collect();
    for (look, widget) in widgets {
        let index = match &look.page {
            Some(label) => {
                pages.iter().position(|page| page.label == *label).unwrap_or_else(|| {
                    pages.push(page(label));
                    pages.len() - 1
                })
            }
            None if pages.is_empty() => {
                pages.push(page(&config.title));
                0
            }
            None => 0,
        };
        pages[index].widgets.push(widget);
    }
    pages.retain(|page| !page.widgets.is_empty());
    Layout { title: config.title.clone(), columns: config.columns, pages }
}

fn page(label: &str) -> SurfacePage {
    SurfacePage { label: label.to_owned(), widgets: Vec::new() }
}

/// The usual width and height of a widget.
fn size(kind: WidgetKind, columns: u8) -> (u8, u8) {
    match kind {
        WidgetKind::Fader | WidgetKind::Meter => (1, 3),
        WidgetKind::Xy => (2, 3),
        WidgetKind::Text => (columns, 1),
        WidgetKind::Knob | WidgetKind::Button | WidgetKind::Toggle => (1, 1),
    }
}
