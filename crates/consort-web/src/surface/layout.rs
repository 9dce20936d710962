//! What a surface looks like.

use serde_json::{Value, json};

/// What a widget is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WidgetKind {
    /// A level that is moved along a line.
    Fader,
    /// A level that is turned.
    Knob,
    /// Pressed while it is touched.
    Button,
    /// On or off, changed by each touch.
    Toggle,
    /// Two levels that one finger moves.
    Xy,
    /// A level that is shown.
    Meter,
    /// A text or number that is shown.
    Text,
}

impl WidgetKind {
    /// All kinds.
    pub const ALL: [WidgetKind; 7] = [
        WidgetKind::Fader,
        WidgetKind::Knob,
        WidgetKind::Button,
        WidgetKind::Toggle,
        WidgetKind::Xy,
        WidgetKind::Meter,
        WidgetKind::Text,
    ];

    /// The word for it in configurations and messages.
    pub fn word(self) -> &'static str {
        match self {
            WidgetKind::Fader => "fader",
            WidgetKind::Knob => "knob",
            WidgetKind::Button => "button",
            WidgetKind::Toggle => "toggle",
            WidgetKind::Xy => "xy",
            WidgetKind::Meter => "meter",
            WidgetKind::Text => "text",
        }
    }
}

/// One widget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Widget {
    /// Its name, such as `fader.volume`, unique in the surface. Its channel has the same name, or
    /// this with `.x` or `.y`.
    pub name: String,
    /// What it is.
    pub kind: WidgetKind,
    /// What is written on it.
    pub label: String,
    /// One of the colours of the page's style sheet, or `#rrggbb`.
    pub colour: Option<String>,
    /// How many columns it covers.
    pub width: u8,
    /// How many rows it covers.
    pub height: u8,
    /// Whether it can be touched.
    pub is_source: bool,
}

/// A page of a surface; one is shown at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurfacePage {
    /// What is written on its tab.
    pub label: String,
    /// Its widgets in their order.
    pub widgets: Vec<Widget>,
}

/// What a surface looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The heading.
    pub title: String,
    /// The number of columns on an upright phone.
    pub columns: u8,
    /// The pages in their order.
    pub pages: Vec<SurfacePage>,
}

impl Layout {
    /// The message that describes it.
    pub(crate) fn encode(&self) -> String {
        let widget = |widget: &Widget| -> Value {
            json!({
                "name": widget.name,
                "kind": widget.kind.word(),
                "label": widget.label,
                "colour": widget.colour,
                "width": widget.width,
                "height": widget.height,
                "source": widget.is_source,
            })
        };
        let page = |page: &SurfacePage| -> Value {
            let widgets: Vec<Value> = page.widgets.iter().map(widget).collect();
            json!({ "label": page.label, "widgets": widgets })
        };
        let pages: Vec<Value> = self.pages.iter().map(page).collect();
        json!({ "layout": { "title": self.title, "columns": self.columns, "pages": pages } })
            .to_string()
    }
}
