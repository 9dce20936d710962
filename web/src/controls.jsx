// Mute, solo and freeze of a route, and how far its takeover is off.
import { controlRoute } from "./connection.js";
import * as state from "./state.js";

const CONTROLS = [
  ["mute", "muted", "Mute", "passes nothing on"],
  ["solo", "soloed", "Solo", "all others pass nothing on"],
  ["freeze", "frozen", "Freeze", "the target keeps its value"],
];

export function Controls({ number }) {
  const reading = state.routes.value.get(number) ?? {};
  const change = async (control, on) => {
    try {
      await controlRoute(number, control, on);
    } catch (error) {
      state.notice.value = { text: `Not changed: ${error.message}` };
    }
  };
  return (
    <div class="controls" role="group" aria-label="Mute, solo, freeze">
      {CONTROLS.map(([control, field, title, help]) => (
        <button key={control} class={field} title={help} aria-pressed={Boolean(reading[field])} onClick={() => change(control, !reading[field])}>{title}</button>
      ))}
    </div>
  );
}

/** What a route does besides passing values on, in a few words; empty if nothing. */
export function Marks({ number }) {
  const reading = state.routes.value.get(number);
  const route = state.layout.value.routes[number];
  const layer = route.layer ?? null;
  const isAway = layer !== null && !state.layers.value.includes(layer);
  const { distance = null } = reading ?? {};
  return (
    <span class="marks">
      {CONTROLS.map(([, field, title]) => reading?.[field] && <span key={field} class={`mark ${field}`}>{title}</span>)}
      {distance !== null && !isAway && <span class="mark takeover" title="The fader waits until it reaches the target's value">{distance > 0 ? "▲" : "▼"} {Math.abs(distance).toFixed(2)}</span>}
      {layer !== null && <span class={`mark ${isAway ? "away" : "layer"}`}>{state.layout.value.layers[layer].name}{isAway && " off"}</span>}
    </span>
  );
}
