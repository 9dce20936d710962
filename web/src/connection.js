// The WebSocket with the control protocol: requests with their answers, deltas, reconnection.
import * as state from "./state.js";

const INTERVAL_MS = 50;
const PROBE_MS = 3000;
const ANSWER_MS = 8000;
const RELOAD_MS = 40000;
const FILES_ATTEMPTS = 10;
const FILES_RETRY_MS = 200;
const RETRY_MS = [300, 700, 1500, 3000];
const RELOADED = "the show was reloaded";

let socket = null;
/** Requests that wait for their answers, in order: {resolve, reject}. */
let waiting = [];
let attempts = 0;
let probe = null;
/** Until when the show may be busy with a reload, and does not answer. */
let busyUntil = 0;

/** Exchanges the token in the address, if there is one, and connects. */
export async function start() {
  const token = location.hash.slice(1);
  if (token) {
    // The token stays in no history and no screenshot.
    history.replaceState(null, "", location.pathname);
    await unlock(token);
    return;
  }
  await open();
}

/** Exchanges a token, or an address with one, for a session. Returns whether it was accepted. */
export async function unlock(entered) {
  const token = entered.includes("#") ? entered.slice(entered.lastIndexOf("#") + 1) : entered;
  let accepted = false;
  try {
    const response = await fetch("/session", { method: "POST", body: token.trim() });
    accepted = response.ok;
  } catch {
    accepted = false;
  }
  await open();
  return accepted;
}

async function open() {
  let response;
  try {
    response = await fetch("/session");
  } catch {
    return lost("the computer of the show does not answer");
  }
  if (!response.ok) {
    state.link.value = "locked";
    return undefined;
  }
  state.role.value = await response.text();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/control`);
  const current = socket;
  socket.onmessage = (message) => take(JSON.parse(message.data));
  socket.onclose = (event) => {
    if (socket === current) lost(event.reason || "the connection was lost");
  };
  socket.onopen = () => begin(current);
  return undefined;
}

/** Takes the layout and subscribes, at the start of a connection and after a reload. */
async function begin(current) {
  try {
    await subscribe();
    attempts = 0;
    state.link.value = "up";
    clearInterval(probe);
    probe = setInterval(watch, PROBE_MS);
  } catch (error) {
    if (socket !== current) return undefined;
    if (error.message === RELOADED) return begin(current);
    current.onclose = null;
    current.close();
    return lost(error.message);
  }
  return undefined;
}

async function subscribe() {
  const { layout } = await ask("layout");
  state.takeLayout(layout);
  await ask({
    subscribe: {
      generation: layout.generation,
      interval_ms: INTERVAL_MS,
      log_from: state.nextLogLine(),
      unmatched: true,
    },
  });
}

function watch() {
  if (waiting.length === 0) ask({ hello: { version: 2 } }).catch(() => {});
}

function lost(reason) {
  clearInterval(probe);
  socket = null;
  for (const request of waiting) request.reject(new Error(reason));
  waiting = [];
  state.link.value = "lost";
  state.linkReason.value = reason;
  setTimeout(open, RETRY_MS[Math.min(attempts, RETRY_MS.length - 1)]);
  attempts += 1;
  return undefined;
}

function take(message) {
  if (message.delta) {
    state.takeDelta(message.delta);
    return;
  }
  if (message.stale) {
    // The show was reloaded. Each request that names the layout before gets this answer, and the
    // subscription ends with it; all other requests on their way are carried out.
    if (!waiting[0]?.namesLayout) {
      begin(socket);
      return;
    }
    message = { error: RELOADED };
  }
  const request = waiting.shift();
  if (!request) return;
  clearTimeout(request.timer);
  if (message.error === undefined) request.resolve(message);
  else request.reject(new Error(message.error));
}

/** Whether a request names a layout, so that it has no effect after a reload. */
const namesLayout = (request) =>
  typeof request === "object" && Object.values(request)[0].generation !== undefined;

/** Sends a request; the answer comes as a promise. */
export function ask(request) {
  const current = socket;
  if (!current || current.readyState !== WebSocket.OPEN) {
    return Promise.reject(new Error("not connected to the show"));
  }
  return new Promise((resolve, reject) => {
    // A connection that does not answer is closed, which rejects all requests.
    const waits = { resolve, reject, namesLayout: namesLayout(request) };
    const giveUp = () => {
      if (socket !== current || !waiting.includes(waits)) return;
      if (performance.now() < busyUntil) {
        waits.timer = setTimeout(giveUp, ANSWER_MS);
        return;
      }
      current.onclose = null;
      current.close();
      lost("the show does not answer");
    };
    waits.timer = setTimeout(giveUp, ANSWER_MS);
    waiting.push(waits);
    current.send(JSON.stringify(request));
  });
}

const generation = () => state.layout.value.generation;

/** What keeps an instance, or a channel, from working. */
export async function why(instance, channel) {
  const request = { generation: generation(), instance };
  if (channel !== undefined) request.channel = channel;
  return (await ask({ why: request })).why;
}

/** The raw values at up to 256 channels. */
export async function inputs(instance, first) {
  return (await ask({ inputs: { generation: generation(), instance, first } })).inputs;
}

const sending = new Map();

/** Sets a channel. While a value is on its way, only the newest of the others is kept. */
export async function send(instance, channel, direction, number) {
  const key = `${instance} ${channel} ${direction}`;
  if (sending.has(key)) {
    sending.set(key, number);
    return;
  }
  sending.set(key, null);
  let next = number;
  try {
    while (next !== null) {
      const set = { generation: generation(), instance, channel, content: { value: next }, direction };
      await ask({ set });
      next = sending.get(key);
      sending.set(key, null);
    }
  } finally {
    sending.delete(key);
  }
}

/** The files of the configuration. Asks again when a reload has interrupted the request. */
export async function files() {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return (await ask("files")).files;
    } catch (error) {
      if (attempt === FILES_ATTEMPTS || state.link.value === "lost") throw error;
      await new Promise((resolve) => setTimeout(resolve, FILES_RETRY_MS));
    }
  }
}
/** Checks edits, saves them, and lets the running show take them. */
export async function edit(version, edits, { save = false, apply = false } = {}) {
  if (apply) busyUntil = performance.now() + RELOAD_MS;
  return (await ask({ edit: { version, edits, save, apply } })).edited;
}
/** Lets the running show take what the files contain. Returns why it could not, if so. */
export async function reload() {
  busyUntil = performance.now() + RELOAD_MS;
  const answer = await ask({ reload: {} });
  return answer.rejected?.text;
}
/** Undoes the last saved edit. */
export const undoEdit = async () => (await ask("undo_edit")).edited;
export const panic = () => ask("panic");
/** Lets the outputs keep their values, or ends that. */
export const hold = (on) => ask({ hold: { on } });
/** Switches a layer. */
export const switchLayer = (layer, on) => ask({ switch_layer: { generation: generation(), layer, on } });

/** Mutes, soloes or freezes a route, or ends that. */
export async function controlRoute(route, control, on) {
  await ask({ control_route: { generation: generation(), route, control, on } });
  // The show has it a moment later; the next reading shows what is so.
  await readRoutes([route]);
}

const ROUTES_AT_ONCE = 1024;

/** Reads what the routes with these numbers do: up to 1,024 from the first of each stretch on. */
export async function readRoutes(numbers) {
  const wanted = [...numbers].sort((one, other) => one - other);
  const read = new Map();
  let next = 0;
  for (const number of wanted) {
    if (number < next) continue;
    const answer = await ask({ routes: { generation: generation(), first: number } });
    for (const reading of answer.routes) read.set(reading.route, reading);
    next = number + ROUTES_AT_ONCE;
  }
  state.routes.value = read;
}
