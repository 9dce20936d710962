// What the page knows about the show. Values are kept outside of signals: many change at once, and
// `frame` is raised once for each frame in which any has changed.
import { computed, signal } from "@preact/signals";

/** `connecting`, `up`, `lost`, `locked` (no session) or `full` (too many pages). */
export const link = signal("connecting");
/** Why the connection was lost. */
export const linkReason = signal("");
/** `view` or `control`. */
export const role = signal("view");
export const canControl = computed(() => role.value === "control");
/** The layout of the control protocol, or null before the first one. */
export const layout = signal(null);
/** The readings of the instances, in the layout's order. */
export const instances = signal([]);
/** Counts the frames with changes. */
export const frame = signal(0);
/** Raised twice a second, for what shows a time. */
export const clock = signal(0);
/** Unmatched input with its instance, the newest first. */
export const arrived = signal([]);
export const log = signal([]);
/** The numbers of the active layers. */
export const layers = signal([]);
/** Whether the outputs keep their values. */
export const isHolding = signal(false);
/** What the routes in view do, by number: raw, value, distance, muted, soloed, frozen. */
export const routes = signal(new Map());
/** The instance whose log, routes and input are shown, or null for all. */
export const chosen = signal(null);
/** The theme: `dark`, `light` or `contrast`. */
export const theme = signal("dark");
/** A message for a few seconds: {text, action, label}. */
export const notice = signal(null);

const LOG_LINES = 2000;
const ARRIVED = 200;
const HISTORY_SECONDS = 10;
const HISTORY_POINTS = 256;

let values = new Float64Array(0);
let counts = new Float64Array(0);
/** The index of the first channel of each instance. */
let offsets = [];
let texts = new Map();
let histories = new Map();
let hasChanged = false;
let showSeconds = 0;
let showSecondsAt = 0;
let logNext = 0;
let process = 0;
/** Instances that were up since the page was opened. */
const wereUp = new Set();
/** Counters of a second ago by instance name: {at, incoming, outgoing, in, out}. */
const rates = new Map();

/** Takes a new layout; values follow with the first delta. */
export function takeLayout(next) {
  if (next.process !== process) {
    process = next.process;
    logNext = 0;
    log.value = [];
    rates.clear();
  }
  let count = 0;
  offsets = next.instances.map((instance) => {
    const first = count;
    count += instance.channels.length;
    return first;
  });
  values = new Float64Array(count);
  counts = new Float64Array(count);
  texts = new Map();
  histories = new Map();
  arrived.value = [];
  layers.value = [];
  routes.value = new Map();
  isHolding.value = false;
  instances.value = next.instances.map(() => ({ state: "starting", incoming: 0, outgoing: 0 }));
  layout.value = next;
}

/** The number of the first log line that is not known. */
export const nextLogLine = () => logNext;

/** Applies a delta. */
export function takeDelta(delta) {
  showSeconds = delta.seconds;
  showSecondsAt = performance.now();
  for (const [index, value, count] of delta.values ?? []) {
    values[index] = value;
    counts[index] = count;
    remember(index, value);
  }
  for (const [instance, channel, text] of delta.texts ?? []) {
    texts.set(offsets[instance] + channel, text);
  }
  if (delta.instances) {
    const next = instances.value.slice();
    for (const [number, reading] of delta.instances) {
      next[number] = reading;
      const name = layout.value.instances[number].name;
      if (reading.state === "up") wereUp.add(name);
    }
    instances.value = next;
  }
  if (delta.layers) layers.value = delta.layers;
  if (delta.holding !== undefined && delta.holding !== null) isHolding.value = delta.holding;
  if (delta.unmatched) arrived.value = mergeArrived(arrived.value, delta.unmatched);
  if (delta.log) {
    log.value = log.value.concat(delta.log).slice(-LOG_LINES);
  }
  logNext = delta.log_next;
  if (!hasChanged) {
    hasChanged = true;
    requestAnimationFrame(() => {
      hasChanged = false;
      frame.value += 1;
    });
  }
}

function mergeArrived(known, news) {
  const key = (item) => `${item.instance} ${item.channel} ${item.sender ?? ""}`;
  const byKey = new Map(known.map((item) => [key(item), item]));
  for (const [instance, inputs] of news) {
    for (const input of inputs) {
      const item = { ...input, instance };
      byKey.set(key(item), item);
    }
  }
  return [...byKey.values()].sort((one, other) => other.last - one.last).slice(0, ARRIVED);
}

function remember(index, value) {
  let history = histories.get(index);
  if (!history) {
    history = { times: new Float64Array(HISTORY_POINTS), values: new Float32Array(HISTORY_POINTS), next: 0, size: 0 };
    histories.set(index, history);
  }
  history.times[history.next] = performance.now() / 1000;
  history.values[history.next] = value;
  history.next = (history.next + 1) % HISTORY_POINTS;
  history.size = Math.min(history.size + 1, HISTORY_POINTS);
}

/** The values of the last ten seconds as [seconds ago, value], the oldest first. */
export function history(index) {
  const found = histories.get(index);
  if (!found) return [];
  const now = performance.now() / 1000;
  const points = [];
  for (let back = found.size; back > 0; back -= 1) {
    const slot = (found.next - back + HISTORY_POINTS) % HISTORY_POINTS;
    const age = now - found.times[slot];
    // The last point before the window gives the level at its start.
    if (age > HISTORY_SECONDS) points.length = 0;
    points.push([Math.min(age, HISTORY_SECONDS), found.values[slot]]);
  }
  return points;
}

/** The index of a channel among all. */
export const channelIndex = (instance, channel) => offsets[instance] + channel;
export const value = (index) => values[index] ?? 0;
export const count = (index) => counts[index] ?? 0;
export const text = (index) => texts.get(index);

/** `INSTANCE.CHANNEL` as a mapping has it. */
export function channelName(instance, channel) {
  const found = layout.value.instances[instance];
  return `${found.name}.${found.channels[channel].name}`;
}

/** Seconds from the start of the show to now. */
export const now = () => showSeconds + (performance.now() - showSecondsAt) / 1000;

/** Values a second, in and out, measured over at least a second. */
export function rate(number) {
  const name = layout.value.instances[number].name;
  const { incoming = 0, outgoing = 0 } = instances.value[number] ?? {};
  const at = performance.now() / 1000;
  const before = rates.get(name);
  if (!before) {
    rates.set(name, { at, incoming, outgoing, in: 0, out: 0 });
    return { in: 0, out: 0 };
  }
  const time = at - before.at;
  if (time >= 1) {
    before.in = Math.max(0, incoming - before.incoming) / time;
    before.out = Math.max(0, outgoing - before.outgoing) / time;
    Object.assign(before, { at, incoming, outgoing });
  }
  return before;
}

/** Whether something that was up is not up any more. */
export const hasLost = computed(() =>
  link.value === "lost" ||
  instances.value.some((reading, number) => {
    const name = layout.value?.instances[number]?.name;
    return reading.state !== "up" && wereUp.has(name);
  }),
);
