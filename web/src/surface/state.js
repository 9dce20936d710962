// What the surface shows: layout, values and texts by the name of their channel.
import { signal } from "@preact/signals";

/** `{title, columns, pages}`; none before the first connection. */
export const layout = signal(null);
/** `waiting`, `connected`, or `locked` when a token is needed. */
export const connection = signal("waiting");
/** Why the connection was refused, if it was. */
export const refusal = signal("");

/** How long the own value stays after a touch, so that older values in transit do not replace it. */
const OWN_MS = 400;

const signals = new Map();
const texts = new Map();
/** Channels that a finger of this phone moves, with the time until which they are its own. */
const own = new Map();

function entry(map, name, value) {
  let found = map.get(name);
  if (!found) {
    found = { shown: signal(value), arrived: value };
    map.set(name, found);
  }
  return found;
}

/** The signal with the value of a channel, 0 before the first. */
export const value = (name) => entry(signals, name, 0).shown;
/** The signal with the text of a channel, or its number as text; empty before the first. */
export const text = (name) => entry(texts, name, "").shown;

/** Takes values and texts from the show. */
export function receive(message) {
  for (const [name, arrived] of Object.entries(message.values)) {
    const found = entry(signals, name, 0);
    found.arrived = arrived;
    if (!own.has(name)) found.shown.value = arrived;
    if (name.startsWith("text.")) text(name).value = arrived.toFixed(3);
  }
  for (const [name, arrived] of Object.entries(message.texts)) {
    text(name).value = arrived;
  }
}

/** A finger has moved a channel. */
export function hold(name, moved) {
  clearTimeout(own.get(name));
  own.set(name, undefined);
  entry(signals, name, 0).shown.value = moved;
}

/** The finger has left. */
export function letGo(name) {
  if (!own.has(name)) return;
  clearTimeout(own.get(name));
  const show = () => {
    own.delete(name);
    const found = entry(signals, name, 0);
    found.shown.value = found.arrived;
  };
  own.set(name, setTimeout(show, OWN_MS));
}
