// The WebSocket of the surface: changes out, values in, and reconnection.
import { connection, layout, receive, refusal } from "./state.js";

/** The least time between two messages, in milliseconds. */
const SEND_INTERVAL_MS = 8;
/** With more bytes than this waiting in the browser, only the newest values wait as well. */
const MAX_BUFFERED_BYTES = 4096;
/** How many changes one message may have; the server allows 64. */
const MAX_CHANGES = 60;
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 4000;

let socket = null;
let retry = FIRST_RETRY_MS;
let retryTimer = 0;
let waiting = [];
let sendTimer = 0;
let lastSent = 0;

/** Sends a value. Values of a level that still wait are replaced; presses and releases are kept. */
export function send(name, value, isButton) {
  if (!isButton) waiting = waiting.filter((change) => change[0] !== name);
  waiting.push([name, value]);
  flush();
}

function flush() {
  if (sendTimer || !waiting.length) return;
  if (socket?.readyState !== WebSocket.OPEN) {
    // What was touched while there was no connection does not happen later.
    waiting = [];
    return;
  }
  const due = lastSent + SEND_INTERVAL_MS - performance.now();
  if (due > 0 || socket.bufferedAmount > MAX_BUFFERED_BYTES) {
    sendTimer = setTimeout(() => {
      sendTimer = 0;
      flush();
    }, Math.max(due, SEND_INTERVAL_MS / 2));
    return;
  }
  lastSent = performance.now();
  socket.send(JSON.stringify({ set: waiting.splice(0, MAX_CHANGES) }));
  flush();
}

function connect() {
  clearTimeout(retryTimer);
  if (socket || document.hidden) return;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const opened = new WebSocket(`${scheme}//${location.host}${location.pathname}/socket`);
  socket = opened;
  opened.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.layout) {
      layout.value = message.layout;
      document.title = message.layout.title;
      connection.value = "connected";
      retry = FIRST_RETRY_MS;
    } else {
      receive(message);
    }
  };
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = null;
    waiting = [];
    if (connection.value !== "locked") connection.value = "waiting";
    retryTimer = setTimeout(open, retry);
    retry = Math.min(retry * 2, LONGEST_RETRY_MS);
  };
}

/** Connects if there is a session; otherwise asks for a token. */
async function open() {
  if (document.hidden) return;
  try {
    const response = await fetch("/surface-session");
    if (response.status === 403) {
      connection.value = "locked";
      return;
    }
    connect();
  } catch {
    retryTimer = setTimeout(open, retry);
    retry = Math.min(retry * 2, LONGEST_RETRY_MS);
  }
}

/** Exchanges a token, or an address that contains one, for a session. */
export async function unlock(entered) {
  const token = entered.trim().split("#").pop();
  refusal.value = "";
  try {
    const response = await fetch("/surface-session", { method: "POST", body: token });
    if (response.ok) {
      connection.value = "waiting";
      open();
      return;
    }
    refusal.value = "The token was not accepted.";
  } catch {
    refusal.value = "The show cannot be reached.";
  }
  connection.value = "locked";
}

function leave() {
  clearTimeout(retryTimer);
  const closing = socket;
  socket = null;
  waiting = [];
  // The show releases what this phone holds as soon as the connection is closed.
  closing?.close();
  if (connection.value === "connected") connection.value = "waiting";
}

/** Connects now, and whenever the page is visible. */
export function start() {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", location.pathname);
    unlock(token);
  } else {
    open();
  }
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      leave();
    } else {
      retry = FIRST_RETRY_MS;
      open();
    }
  });
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (event) => event.persisted && open());
}
