//! A SynthDef as a diagram.

use crate::builtin::is_control;
use crate::diagram::{Diagram, DiagramBox};
use crate::dump::{control_of, input_name, label};
use crate::model::{CompiledInput, SynthDef};
use crate::rate::Rate;

/// The colour of each rate.
fn color(rate: Rate) -> &'static str {
    match rate {
        Rate::Audio => "#1f5fa8",
        Rate::Control => "#2e7d32",
        Rate::Demand => "#a0522d",
        Rate::Scalar => "#666666",
    }
}

impl SynthDef {
    /// The graph as a diagram: a box for each UGen with its inputs, in the colour of its rate. Numbers
    /// are written beside their input.
    pub fn diagram(&self) -> Diagram {
        let ugens = self.ugens();
        let mut diagram = Diagram::new();
        for ugen in &ugens {
            let inputs = ugen.inputs.iter().enumerate().map(|(position, input)| {
                let name = input_name(ugen, position);
                match input {
                    CompiledInput::Constant(value) => format!("{name}: {value}"),
                    CompiledInput::Output { .. } => name,
                }
            });
            let names_outputs = ugen.outputs.len() > 1 || is_control(&ugen.name);
            let outputs = (0..ugen.outputs.len() as u32).filter(|_| names_outputs).map(|output| {
                let control = control_of(self.controls(), ugen, output);
                control.unwrap_or_else(|| output.to_string())
            });
            diagram.add(DiagramBox {
                title: label(ugen),
                inputs: inputs.collect(),
                outputs: outputs.collect(),
                color: color(ugen.rate),
            });
        }
        for (to, ugen) in ugens.iter().enumerate() {
            for (input, source) in ugen.inputs.iter().enumerate() {
                if let CompiledInput::Output { ugen: from, output } = *source {
                    let (from, output) = (from as usize, output as usize);
                    let has_rows = !diagram.boxes()[from].outputs.is_empty();
                    diagram.link((from, has_rows.then_some(output)), (to, Some(input)));
                }
            }
        }
        diagram
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_synthdef_is_drawn_with_its_controls_and_numbers() {
        let synthdef = SynthDef::build("test", |controls| {
            let frequency = controls.control("frequency", 440.0);
            Out::ar(0, Pan2::ar(SinOsc::ar(frequency)).position(0.25));
        })
        .expect("a valid SynthDef");
        let diagram = synthdef.diagram();
        let titles: Vec<&str> = diagram.boxes().iter().map(|found| found.title.as_str()).collect();
        assert_eq!(titles, ["Control.kr", "SinOsc.ar", "Pan2.ar", "Out.ar"]);
        assert_eq!(diagram.boxes()[0].outputs, ["frequency"]);
        assert_eq!(diagram.boxes()[2].inputs, ["source", "position: 0.25", "level: 1"]);
        let text = diagram.graphviz();
        assert!(text.contains("n0:o0 -> n1:i0") && text.contains("n2:o1 -> n3:i2"), "{text}");
        let picture = diagram.svg();
        assert_eq!(picture.matches("<path").count(), 4, "{picture}");
        assert!(picture.contains(">position: 0.25</text>"), "{picture}");
    }
}
