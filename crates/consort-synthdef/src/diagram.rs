//! Pictures of graphs: boxes in columns, as SVG and as text for Graphviz.

use std::fmt::Write as _;

/// Boxes and the links between them, which can be drawn.
///
/// ```
/// use consort_synthdef::prelude::*;
///
/// let synthdef = SynthDef::build("hum", |_| Out::ar(0, SinOsc::ar(50.0) * 0.1))?;
/// assert!(synthdef.diagram().svg().starts_with("<svg"));
/// assert!(synthdef.diagram().graphviz().contains("SinOsc.ar"));
/// # Ok::<(), SynthDefError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagram {
    boxes: Vec<DiagramBox>,
    links: Vec<Link>,
}

/// A box of a [`Diagram`]: a title, and rows for inputs and outputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiagramBox {
    /// The first line.
    pub title: String,
    /// Rows on the left.
    pub inputs: Vec<String>,
    /// Rows on the right, below the inputs.
    pub outputs: Vec<String>,
    /// The colour of the border and of the links from the box, as in CSS.
    pub color: &'static str,
}

/// A link from a box to another one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Link {
    from: usize,
    output: Option<usize>,
    to: usize,
    input: Option<usize>,
}

/// The size of a character of the pictures, and the distances, in pixels.
const CHARACTER: f64 = 7.3;
const ROW: f64 = 16.0;
const MARGIN: f64 = 8.0;
const COLUMN_GAP: f64 = 56.0;
const BOX_GAP: f64 = 14.0;

impl DiagramBox {
    fn rows(&self) -> usize {
        1 + self.inputs.len() + self.outputs.len()
    }

    fn height(&self) -> f64 {
        self.rows() as f64 * ROW + MARGIN
    }

    fn width(&self) -> f64 {
        let texts = [&self.title].into_iter().chain(&self.inputs).chain(&self.outputs);
        let characters = texts.map(|text| text.chars().count()).max().unwrap_or(0);
        characters as f64 * CHARACTER + 2.0 * MARGIN
    }

    /// The height of the middle of a row, below the top of the box.
    fn row_middle(&self, row: usize) -> f64 {
        (row as f64 + 0.5) * ROW + MARGIN / 2.0
    }
}

/// Where a box is drawn.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    x: f64,
    y: f64,
    width: f64,
}

impl Diagram {
    /// A diagram without boxes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a box, and returns its number.
    pub fn add(&mut self, diagram_box: DiagramBox) -> usize {
        self.boxes.push(diagram_box);
        self.boxes.len() - 1
    }

    /// Adds a link from a box to one that was added later; others are left out. `output` and `input` are
    /// rows, or `None` for the titles.
    pub fn link(
        &mut self,
        (from, output): (usize, Option<usize>),
        (to, input): (usize, Option<usize>),
    ) {
        if from < to && to < self.boxes.len() {
            self.links.push(Link { from, output, to, input });
        }
    }

    /// The boxes, in the order in which they were added.
    pub fn boxes(&self) -> &[DiagramBox] {
        &self.boxes
    }

    /// The column of each box: right of all boxes from which links lead to it.
    fn columns(&self) -> Vec<usize> {
        let mut columns = vec![0; self.boxes.len()];
        let mut links: Vec<&Link> = self.links.iter().collect();
        links.sort_by_key(|link| link.to);
        for link in links {
            columns[link.to] = columns[link.to].max(columns[link.from] + 1);
        }
        columns
    }

    /// Where each box is, and the size of the picture.
    fn layout(&self) -> (Vec<Place>, f64, f64) {
        let columns = self.columns();
        let count = columns.iter().max().map_or(0, |last| last + 1);
        let mut sources: Vec<Vec<&Link>> = vec![Vec::new(); self.boxes.len()];
        self.links.iter().for_each(|link| sources[link.to].push(link));
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
        columns.iter().enumerate().for_each(|(index, column)| members[*column].push(index));
        let mut places = vec![Place::default(); self.boxes.len()];
        let (mut x, mut height) = (MARGIN, 0.0_f64);
        for column in members {
            let width = column.iter().map(|index| self.boxes[*index].width()).fold(0.0, f64::max);
            // Each box is beside the middle of its sources, as far as there is space.
            let mut wishes: Vec<(f64, usize)> = column
                .into_iter()
                .map(|index| {
                    let links = &sources[index];
                    let sum: f64 = links.iter().map(|link| self.start(&places, link).1).sum();
                    let middle = if links.is_empty() { 0.0 } else { sum / links.len() as f64 };
                    (middle - self.boxes[index].height() / 2.0, index)
                })
                .collect();
            wishes.sort_by(|one, other| one.0.total_cmp(&other.0));
            let mut next = MARGIN;
            for (wish, index) in wishes {
                let y = wish.max(next);
                places[index] = Place { x, y, width };
                next = y + self.boxes[index].height() + BOX_GAP;
                height = height.max(next);
            }
            x += width + COLUMN_GAP;
        }
        (places, (x - COLUMN_GAP + MARGIN).max(0.0), height)
    }

    /// The point at which a link starts.
    fn start(&self, places: &[Place], link: &Link) -> (f64, f64) {
        let (place, source) = (places[link.from], &self.boxes[link.from]);
        let row = link.output.map_or(0, |output| 1 + source.inputs.len() + output);
        (place.x + place.width, place.y + source.row_middle(row))
    }

    /// The diagram as an SVG picture, with links from left to right.
    pub fn svg(&self) -> String {
        let (places, width, height) = self.layout();
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"monospace\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        for link in &self.links {
            let (x1, y1) = self.start(&places, link);
            let place = places[link.to];
            let row = link.input.map_or(0, |input| 1 + input);
            let (x2, y2) = (place.x, place.y + self.boxes[link.to].row_middle(row));
            let bend = (x2 - x1) / 2.0;
            let _ = writeln!(
                out,
                "<path d=\"M{x1:.1} {y1:.1}C{:.1} {y1:.1} {:.1} {y2:.1} {x2:.1} {y2:.1}\" \
                 fill=\"none\" stroke=\"{}\" stroke-width=\"1.4\"/>",
                x1 + bend,
                x2 - bend,
                self.boxes[link.from].color
            );
        }
        for (diagram_box, place) in self.boxes.iter().zip(&places) {
            let (Place { x, y, width }, height) = (*place, diagram_box.height());
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"4\" \
                 fill=\"#fafafa\" stroke=\"{}\" stroke-width=\"1.4\"/>",
                diagram_box.color
            );
            let mut row = 0;
            let mut text = |text: &str, x: f64, style: &str| {
                let baseline = y + diagram_box.row_middle(row) + 4.0;
                let text = escape(text);
                let _ =
                    writeln!(out, "<text x=\"{x:.1}\" y=\"{baseline:.1}\"{style}>{text}</text>");
                row += 1;
            };
            text(&diagram_box.title, x + MARGIN, " font-weight=\"bold\"");
            for input in &diagram_box.inputs {
                text(input, x + MARGIN, "");
            }
            for output in &diagram_box.outputs {
                text(output, x + width - MARGIN, " text-anchor=\"end\"");
            }
        }
        out.push_str("</svg>\n");
        out
    }

    /// The diagram as text for the programs of Graphviz, such as `dot -Tpdf`.
    pub fn graphviz(&self) -> String {
        let mut out = String::from(
            "digraph {\n  rankdir = LR\n  node [shape = record, fontname = monospace]\n",
        );
        for (index, diagram_box) in self.boxes.iter().enumerate() {
            let rows = |rows: &[String], letter: char| -> Vec<String> {
                let rows = rows.iter().enumerate();
                rows.map(|(row, text)| format!("<{letter}{row}> {}", quote(text))).collect()
            };
            let columns: Vec<String> =
                [rows(&diagram_box.inputs, 'i'), rows(&diagram_box.outputs, 'o')]
                    .into_iter()
                    .filter(|rows| !rows.is_empty())
                    .map(|rows| format!(" | {{ {} }}", rows.join(" | ")))
                    .collect();
            let (title, columns) = (quote(&diagram_box.title), columns.concat());
            let color = diagram_box.color;
            let _ = writeln!(out, "  n{index} [color = \"{color}\", label = \"{title}{columns}\"]");
        }
        for Link { from, output, to, input } in &self.links {
            let output = output.map_or(String::new(), |row| format!(":o{row}"));
            let input = input.map_or(String::new(), |row| format!(":i{row}"));
            let color = self.boxes[*from].color;
            let _ = writeln!(out, "  n{from}{output} -> n{to}{input} [color = \"{color}\"]");
        }
        out.push_str("}\n");
        out
    }
}

/// Text within SVG. Characters that XML does not allow are replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            character if character.is_control() => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}

/// Text within a record of Graphviz.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' | '{' | '}' | '|' | '<' | '>' => out.extend(['\\', character]),
            character if character.is_control() => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titled(title: &str) -> DiagramBox {
        DiagramBox {
            title: title.into(),
            inputs: vec!["in".into()],
            outputs: vec![],
            color: "#000",
        }
    }

    #[test]
    fn boxes_are_right_of_their_sources_and_do_not_overlap() {
        let mut diagram = Diagram::new();
        for index in 0..12 {
            diagram.add(titled(&format!("box {index}")));
        }
        for index in 1..12 {
            diagram.link((index / 3, None), (index, Some(0)));
        }
        diagram.link((5, None), (5, None));
        assert_eq!(diagram.links.len(), 11, "a link back is left out");
        let (places, width, height) = diagram.layout();
        for link in &diagram.links {
            let from = places[link.from];
            assert!(places[link.to].x >= from.x + from.width + COLUMN_GAP);
        }
        for (one, place) in places.iter().enumerate() {
            let bottom = place.y + diagram.boxes[one].height();
            assert!(place.x + place.width <= width && bottom <= height);
            for other in &places[one + 1..] {
                assert!(place.x != other.x || other.y >= bottom || place.y > other.y);
            }
        }
    }

    #[test]
    fn texts_are_escaped() {
        let mut diagram = Diagram::new();
        diagram.add(titled("a<b>&{c}|\"d\"\u{1}"));
        assert!(diagram.svg().contains("a&lt;b&gt;&amp;{c}|\"d\"\u{fffd}"));
        assert!(diagram.graphviz().contains(r#"a\<b\>&\{c\}\|\"d\""#));
    }
}
