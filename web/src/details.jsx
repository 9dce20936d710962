// One route: what happened to its last value, a fader for each end, and its mapping.
import { useEffect, useState } from "preact/hooks";
import { files, send, why } from "./connection.js";
import { Controls, Marks } from "./controls.jsx";
import { Findings } from "./findings.jsx";
import { Proposal } from "./proposal.jsx";
import { Trace } from "./trace.jsx";
import * as state from "./state.js";

export function Details({ number, route, onClose, onTrace }) {
  const [findings, setFindings] = useState([]);
  const [error, setError] = useState("");
  const source = state.channelIndex(...route.source);
  const count = state.count(source);
  const update = async () => {
    try {
      setFindings(await why(...route.source));
      setError("");
    } catch (problem) {
      setError(problem.message);
    }
  };
  useEffect(() => {
    update();
  }, [route]);
  state.frame.value;
  return (
    <section class="details" aria-label="Route">
      <h2>
        {state.channelName(...route.source)} → {state.channelName(...route.target)}
        <button aria-label="Close" onClick={onClose}>×</button>
      </h2>
      {state.canControl.value ? <Controls number={number} /> : <Marks number={number} />}
      {state.canControl.value && (
        <div class="faders">
          <Fader end={route.source} direction="source" label={`Send as ${state.channelName(...route.source)}`} />
          <Fader end={route.target} direction="target" label={`Send to ${state.channelName(...route.target)}`} />
        </div>
      )}
      {error && <p class="error" role="alert">{error}</p>}
      <Findings list={findings} empty={count > 0 ? "No problem found." : "Nothing has arrived."} />
      <button onClick={update}>Explain again</button>
      <Trace number={number} onTrace={onTrace} />
      {state.canControl.value && <Mapping route={route} />}
    </section>
  );
}

function Fader({ end, direction, label }) {
  const index = state.channelIndex(...end);
  const [moving, setMoving] = useState(null);
  const move = (event) => {
    const value = Number(event.target.value);
    setMoving(value);
    send(...end, direction, value).catch((error) => {
      state.notice.value = { text: `The value was not sent: ${error.message}` };
    });
  };
  return (
    <label class="fader">
      <span>{label}</span>
      <input type="range" min="0" max="1" step="0.001" value={moving ?? state.value(index)} onInput={move} onChange={() => setMoving(null)} />
    </label>
  );
}

/** The mapping of a route. One line can make several routes, which are edited together. */
function Mapping({ route }) {
  const [found, setFound] = useState(undefined);
  const [text, setText] = useState("");
  useEffect(() => {
    files().then((configuration) => {
      const names = [state.channelName(...route.source), state.channelName(...route.target)];
      const index = configuration.mappings.findIndex((mapping) => isMappingOf(mapping.text, names));
      setFound(index < 0 ? null : { configuration, index });
      if (index >= 0) setText(configuration.mappings[index].text);
    }).catch(() => setFound(null));
  }, [route]);
  if (found === undefined) return null;
  if (found === null) return <p>The line of this route was not found: edit it as text.</p>;
  const { configuration, index } = found;
  const mapping = configuration.mappings[index];
  const isChanged = text !== mapping.text;
  return (
    <div class="mapping">
      {mapping.text.includes("..") && <p class="hint">This line makes several routes. The change applies to all of them.</p>}
      <label for="mapping">Mapping in line {mapping.line} of {configuration.files[mapping.file].path}</label>
      <input id="mapping" class="code" value={text} onInput={(event) => setText(event.target.value)} />
      {isChanged && <Proposal edits={[{ change_mapping: { index, text } }]} version={configuration.version} />}
    </div>
  );
}

/** Whether a line makes a route between these channels. */
export function isMappingOf(text, [source, target]) {
  const plain = text.split(/ \|(?= ?[a-z])/)[0].replaceAll('"', "");
  const sides = plain.split(/\s*(<>|>|<)\s*/);
  if (sides.length !== 3) return false;
  const [left, arrow, right] = sides.map((side) => side.trim());
  const isForward = () => isPair(left, right, source, target);
  const isBackward = () => isPair(left, right, target, source);
  return arrow === ">" ? isForward() : arrow === "<" ? isBackward() : isForward() || isBackward();
}

/** Whether the n-th channel of one side is `one` and that of the other side is `other`. */
function isPair(left, right, one, other) {
  const [first, second] = [place(left, one), place(right, other)];
  if (!first || !second) return false;
  // A side with one channel goes with every channel of the other side.
  return first.count === 1 || second.count === 1 || first.index === second.index;
}

const RANGE = /\{(\d+)\.\.(\d+)\}/;

/** The place of a channel among those of a side such as `desk.ch{0..7}.cc{1..4}`, or null. */
function place(side, name) {
  const parts = side.split(RANGE);
  let rest = name;
  let [index, count] = [0, 1];
  for (let part = 0; part < parts.length; part += 3) {
    if (!rest.startsWith(parts[part])) return null;
    rest = rest.slice(parts[part].length);
    if (part + 2 >= parts.length) break;
    const [first, last] = [Number(parts[part + 1]), Number(parts[part + 2])];
    const digits = /^\d+/.exec(rest)?.[0];
    if (digits === undefined) return null;
    const number = Number(digits);
    if (number < Math.min(first, last) || number > Math.max(first, last)) return null;
    const size = Math.abs(last - first) + 1;
    index = index * size + Math.abs(number - first);
    count *= size;
    rest = rest.slice(digits.length);
  }
  return rest === "" ? { index, count } : null;
}
