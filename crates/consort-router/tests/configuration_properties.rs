//! Random configurations cause no panic, and the positions of diagnostics are inside the text.

use consort_router::config::{Expression, fuzz, load_text, syntax};
use proptest::collection::vec;
use proptest::prelude::*;

/// Fragments of valid configurations, and arbitrary text.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[fuzz a]\n".to_owned()),
        Just("[fuzz b]\n".to_owned()),
        Just("[backend fuzz]\n".to_owned()),
        Just("[map]\n".to_owned()),
        Just("[include show.cfg]\n".to_owned()),
        Just("a.{1..3} > b.{x,y,z}\n".to_owned()),
        Just("[map one]\ngroup = g\nselect = a.s\n".to_owned()),
        Just("[map two]\ngroup = g\nselector = a.v\nwhen = b.w\n".to_owned()),
        Just("a.x <> b.y | invert | takeover(scale)\n".to_owned()),
        Just("a.x > b.y | when(a.z > 1/2) | smooth(1 s)\n".to_owned()),
        "a\\.x [<>]{1,2} b\\.y \\| [a-z]{2,9}(\\([0-9.,/: a-z>]{0,12}\\)?)? ?(\\| toggle)?\n",
        "(group|select|selector|start|led|when|unless|takeover|held|off) = [a-z.| ()0-9]{0,12}\n",
        Just("rate = 5\n".to_owned()),
        Just("\r\n".to_owned()),
        "[ab]\\.[a-z{}.,0-9ü]{0,12} ?[<>]{1,2} ?[abc]\\.[a-z{}.,0-9;]{0,12}\n",
        "[a-z/ ]{0,6} ?= ?[^\n]{0,10}\n",
        "\\[[a-z .\\]]{0,12}\\]?\n",
        "\\PC{0,20}",
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn diagnostics_of_any_text_have_positions_inside_it(parts in vec(fragment(), 0..24)) {
        let text = parts.concat();
        fuzz::inspect(&load_text("show.cfg", &text, &[], &[&fuzz::BACKEND]));
    }

    #[test]
    fn any_bytes_are_loaded(bytes in vec(any::<u8>(), 0..400)) {
        fuzz::config(&bytes, &[&fuzz::BACKEND]);
    }

    #[test]
    fn there_are_at_most_as_many_statements_as_lines(parts in vec(fragment(), 0..24)) {
        let text = parts.concat();
        let loaded = load_text("show.cfg", &text, &[], &[]);
        prop_assert_eq!(loaded.sources.iter().next().map(|file| file.text()), Some(text.as_str()));
        let lines = text.split('\n').count();
        let statements = fuzz::statements(&text, syntax::Mode::Map);
        prop_assert!(statements.len() <= lines);
    }

    #[test]
    fn an_expression_expands_to_the_product_of_its_choices(
        parts in vec((any::<bool>(), 0_u64..40, 0_u64..40, vec("[a-zü][a-z ü.]{0,2}", 2..5)), 0..4),
        literal in "[a-z/.:ü]{0,5}",
    ) {
        let mut text = literal.clone();
        let mut all = vec![literal];
        for (is_range, first, last, words) in &parts {
            let choices: Vec<String> = if *is_range {
                text.push_str(&format!("{{{first}..{last}}}x"));
                let step = if first <= last { 1 } else { -1 };
                let (mut number, end) = (*first as i64, *last as i64);
                let mut numbers = vec![number.to_string()];
                while number != end {
                    number += step;
                    numbers.push(number.to_string());
                }
                numbers
            } else {
                text.push_str(&format!("{{{}}}x", words.join(",")));
                words.clone()
            };
            all = all
                .iter()
                .flat_map(|prefix| choices.iter().map(move |text| format!("{prefix}{text}x")))
                .collect();
        }
        let expression = Expression::parse(&text).expect("well formed");
        prop_assert_eq!(expression.count(), all.len() as u64);
        let mut out = String::new();
        for (index, expected) in all.iter().enumerate() {
            expression.write(index as u64, &mut out);
            prop_assert_eq!(&out, expected);
            prop_assert!(out.len() <= expression.longest());
            let whole = expression.locate(index as u64, 0..out.len());
            prop_assert!(whole.start <= whole.end && whole.end <= text.len());
        }
    }
}

#[test]
fn the_backend_of_the_fuzz_target_accepts_its_options() {
    let text = "[fuzz a]\nrate = 5\n/x = 1\n[map]\na.{1..3} > a.y\n";
    let loaded = load_text("show.cfg", text, &[], &[&fuzz::BACKEND]);
    assert_eq!(loaded.show.expect("a show").mappings.len(), 3);
}
