// What has arrived and belongs to no mapping, the newest first: take one, take a target.
import { useState } from "preact/hooks";
import { Proposal } from "./proposal.jsx";
import { duration } from "./strip.jsx";
import * as state from "./state.js";

export function Arrived() {
  state.clock.value;
  const [taken, setTaken] = useState(null);
  const { instances } = state.layout.value;
  const chosen = instances.findIndex((instance) => instance.name === state.chosen.value);
  const items = state.arrived.value.filter((item) => chosen < 0 || item.instance === chosen);
  const key = (item) => `${item.instance} ${item.channel} ${item.sender ?? ""}`;
  return (
    <section class="arrived" aria-label="Just arrived">
      <h2>Just arrived</h2>
      {items.length === 0 && <p class="empty">Nothing has arrived that no mapping uses. Move a control to see it here.</p>}
      <ul>
        {items.map((item) => (
          <li key={key(item)}>
            <div class="input">
              <span class="name">{instances[item.instance].name}.{item.channel}</span>
              <span class="raw">{item.types} {item.raw}{item.range && item.range[0] !== item.range[1] && ` (${item.range[0]} to ${item.range[1]})`}</span>
              <span class="from">{item.sender && `${item.sender}, `}{item.count} ×, {duration(Math.max(0, state.now() - item.last))} ago</span>
              {state.canControl.value && (
                <button aria-expanded={taken === key(item)} onClick={() => setTaken(taken === key(item) ? null : key(item))}>Map…</button>
              )}
            </div>
            {taken === key(item) && <Take item={item} onSaved={() => setTaken(null)} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Take({ item, onSaved }) {
  const { instances } = state.layout.value;
  const [target, setTarget] = useState("");
  const [hasOption, setHasOption] = useState(true);
  const name = instances[item.instance].name;
  const targets = instances.flatMap((instance) =>
    instance.channels.filter((channel) => channel.target).map((channel) => `${instance.name}.${channel.name}`),
  ).slice(0, 1000);
  const line = `${name}.${item.channel} > ${target.trim()}`;
  const edits = [];
  if (item.option && hasOption) {
    const [option, value] = item.option;
    edits.push({ set_option: { instance: name, option, value } });
  }
  edits.push({ add_mapping: line });
  return (
    <form class="take" onSubmit={(event) => event.preventDefault()}>
      <label for="target">Target</label>
      <input id="target" class="code" list="targets" placeholder="INSTANCE.CHANNEL" autocapitalize="none" autocomplete="off" spellcheck={false} value={target} onInput={(event) => setTarget(event.target.value)} />
      <datalist id="targets">{targets.map((channel) => <option key={channel} value={channel} />)}</datalist>
      <div class="chips" aria-label="Instances">
        {instances.map((instance) => (
          <button key={instance.name} type="button" onClick={() => setTarget(`${instance.name}.`)}>{instance.name}.</button>
        ))}
      </div>
      {item.option && (
        <label class="check">
          <input type="checkbox" checked={hasOption} onChange={(event) => setHasOption(event.target.checked)} />
          Scale the numbers: <code>{item.option[0]} = {item.option[1]}</code>
        </label>
      )}
      {target.trim() && <Proposal edits={edits} onSaved={onSaved} />}
    </form>
  );
}
