//! Warns of channels that no script of an instance can handle, without running one.

use consort_router::Problems;

use super::source::Source;

/// Words with which a script can define or read a name that its text does not contain.
const OPEN_WORDS: &[&str] = &["_G", "_ENV", "load", "loadfile", "loadstring", "require", "dofile"];

/// Warns of every target that the scripts do not mention: they neither define a function of this
/// name nor read it with `input_value`. Does nothing when a script may compute names.
pub(super) fn check(
    scripts: &[Source],
    channels: &[String],
    usage: &[u8],
    problems: &mut Problems,
) {
    let mut texts = Vec::with_capacity(scripts.len());
    for script in scripts {
        let Ok(bytes) = script.read() else { return };
        texts.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    if texts.iter().any(|text| may_compute_names(text)) {
        return;
    }
    let functions: Vec<&str> = texts.iter().flat_map(|text| functions(text)).collect();
    for (number, (channel, usage)) in channels.iter().zip(usage).enumerate() {
        if usage & 2 == 0 || texts.iter().any(|text| mentions(text, channel)) {
            continue;
        }
        let message = format!("no script of this instance defines the function `{channel}`");
        let problem = problems.warning(None, message).channel(number as u32);
        problem.hint(match consort_suggest::did_you_mean(channel, functions.iter().copied()) {
            Some(hint) => hint,
            None => "define it, or name a `default-handler`".to_owned(),
        });
    }
}

/// Whether a script may define or read names that its text does not contain.
fn may_compute_names(text: &str) -> bool {
    let reads = ["input_value", "input_channel", "input_text", "channels"];
    words(text).any(|word| OPEN_WORDS.contains(&word))
        || (words(text).any(|word| reads.contains(&word))
            && (text.contains("..") || words(text).any(|word| word == "format")))
}

/// The names and keywords of a text, also those in strings and comments.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |part: char| part.is_alphanumeric() || part == '_';
    text.split(move |part| !is_part(part)).filter(|word| !word.is_empty())
}

/// Whether a text contains a channel's name as a whole.
fn mentions(text: &str, channel: &str) -> bool {
    let is_name = channel.chars().all(|part| part.is_alphanumeric() || part == '_');
    if is_name { words(text).any(|word| word == channel) } else { text.contains(channel) }
}

/// The names that follow the keyword `function`.
fn functions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut previous = "";
    for word in words(text) {
        if previous == "function" {
            found.push(word);
        }
        previous = word;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(code: &str, channels: &[&str]) -> Vec<(Option<u32>, String, Option<String>)> {
        let channels: Vec<String> = channels.iter().map(|channel| (*channel).to_owned()).collect();
        let mut problems = Problems::new();
        check(&[Source::Code(code.to_owned())], &channels, &vec![2; channels.len()], &mut problems);
        problems
            .into_vec()
            .into_iter()
            .map(|problem| (problem.channel, problem.message, problem.hint))
            .collect()
    }

    #[test]
    fn a_function_that_no_script_mentions_is_reported_with_the_nearest() {
        let found = warnings("function fader(v) output('x', v) end", &["fader", "fadr"]);
        let [(channel, message, hint)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(*channel, Some(1));
        assert_eq!(message, "no script of this instance defines the function `fadr`");
        assert_eq!(hint.as_deref(), Some("did you mean `fader`?"));
    }

    #[test]
    fn scripts_that_may_compute_names_are_not_judged() {
        for code in [
            "_G['in' .. 1] = print",
            "local f = load('function in1() end') f()",
            "require 'handlers'",
            "dofile('x.lua')",
            "for i = 1, 2 do print(input_value('in' .. i)) end",
            "print(input_value(string.format('in%d', 1)))",
            "print(input_value('in1'))",
        ] {
            assert_eq!(warnings(code, &["in1"]), [], "{code}");
        }
    }
}
