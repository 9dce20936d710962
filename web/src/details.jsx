// One route: what happened to its last value, a fader for each end, and its mapping.
import { useEffect, useState } from "preact/hooks";
import { files, send, why } from "./connection.js";
import { Findings } from "./findings.jsx";
import { Proposal } from "./proposal.jsx";
import * as state from "./state.js";

export function Details({ route, onClose }) {
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
      {state.canControl.value && (
        <div class="faders">
          <Fader end={route.source} direction="source" label={`Send as ${state.channelName(...route.source)}`} />
          <Fader end={route.target} direction="target" label={`Send to ${state.channelName(...route.target)}`} />
        </div>
      )}
      {error && <p class="error" role="alert">{error}</p>}
      <Findings list={findings} empty={count > 0 ? "No problem found." : "Nothing has arrived."} />
      <button onClick={update}>Explain again</button>
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

/** The mapping of a route, if it is written as one line of its own. */
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
  if (found === null) return <p>This route comes from a mapping of several channels: edit it as text.</p>;
  const { configuration, index } = found;
  const mapping = configuration.mappings[index];
  const isChanged = text !== mapping.text;
  return (
    <div class="mapping">
      <label for="mapping">Mapping in line {mapping.line} of {configuration.files[mapping.file].path}</label>
      <input id="mapping" class="code" value={text} onInput={(event) => setText(event.target.value)} />
      {isChanged && <Proposal edits={[{ change_mapping: { index, text } }]} version={configuration.version} />}
    </div>
  );
}

function isMappingOf(text, [source, target]) {
  const plain = text.split("|")[0].replaceAll('"', "");
  const sides = plain.split(/\s*(<>|>|<)\s*/);
  if (sides.length !== 3) return false;
  const [left, arrow, right] = sides.map((side) => side.trim());
  const isForward = left === source && right === target;
  const isBackward = left === target && right === source;
  return arrow === ">" ? isForward : arrow === "<" ? isBackward : isForward || isBackward;
}
