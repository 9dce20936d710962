// The page: strip, routes, and beside them (or in tabs, on a phone) input, log and text.
import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { Arrived } from "./arrived.jsx";
import { unlock } from "./connection.js";
import { Log } from "./log.jsx";
import { Routes } from "./routes.jsx";
import { Strip } from "./strip.jsx";
import { Text } from "./text.jsx";
import * as state from "./state.js";

const tab = signal("routes");

const TABS = [
  ["routes", "Routes"],
  ["arrived", "Just arrived"],
  ["log", "Log"],
  ["text", "Text"],
];

/** Whether there is no space for anything beside the routes. */
const narrow = matchMedia("(max-width: 56rem)");
const isNarrow = signal(narrow.matches);
narrow.addEventListener("change", () => {
  isNarrow.value = narrow.matches;
});

/** The tabs: on a wide screen, the routes are always visible. */
const tabs = () => TABS.filter(([name]) => isNarrow.value || name !== "routes");
const selectedTab = () => (tab.value === "routes" && !isNarrow.value ? "arrived" : tab.value);

export function App() {
  const link = state.link.value;
  useEffect(() => {
    document.body.classList.toggle("alarm", state.hasLost.value);
  }, [state.hasLost.value]);
  if (link === "locked") return <Locked />;
  if (!state.layout.value) {
    return <main class="plain"><p role="status">{link === "lost" ? `Not connected: ${state.linkReason.value}. Trying again…` : "Connecting…"}</p></main>;
  }
  return (
    <>
      <Strip />
      {link === "lost" && (
        <p class="banner" role="alert">
          Not connected: {state.linkReason.value}. What you see is old. Trying again…
        </p>
      )}
      <Tabs />
      <main class={`panes show-${selectedTab()}`}>
        <Routes />
        <div class="side">
          {tab.value === "log" ? <Log /> : tab.value === "text" ? <Text /> : <Arrived />}
        </div>
      </main>
      <Notice />
    </>
  );
}

function Tabs() {
  const count = state.arrived.value.length;
  const selected = selectedTab();
  const choose = (event, step) => {
    const names = tabs().map(([name]) => name);
    const next = names[(names.indexOf(event.target.dataset.tab) + step + names.length) % names.length];
    tab.value = next;
    event.preventDefault();
    event.currentTarget.querySelector(`[data-tab=${next}]`)?.focus();
  };
  const key = (event) => {
    if (event.key === "ArrowRight") choose(event, 1);
    if (event.key === "ArrowLeft") choose(event, -1);
  };
  return (
    <nav class="tabs" role="tablist" aria-label="Parts of the page" onKeyDown={key}>
      {tabs().map(([name, title]) => (
        <button
          key={name}
          role="tab"
          data-tab={name}
          aria-selected={selected === name}
          tabIndex={selected === name ? 0 : -1}
          onClick={() => { tab.value = name; }}
        >
          {title}
          {name === "arrived" && count > 0 && <span class="badge">{count}</span>}
        </button>
      ))}
    </nav>
  );
}

function Locked() {
  const [token, setToken] = useState("");
  const [isWrong, setWrong] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setWrong(!(await unlock(token)));
  };
  return (
    <main class="plain">
      <h1>Consort</h1>
      <p>This page needs a token. Scan the QR code in the terminal of the show, or paste the address or the token here.</p>
      <form onSubmit={submit}>
        <label for="token">Address or token</label>
        <input id="token" type="password" autocomplete="off" value={token} onInput={(event) => setToken(event.target.value)} />
        <button class="primary" disabled={!token}>Open</button>
      </form>
      {isWrong && <p class="error" role="alert">The token was not accepted.</p>}
    </main>
  );
}

function Notice() {
  const notice = state.notice.value;
  useEffect(() => {
    if (!notice || notice.stays) return undefined;
    const timer = setTimeout(() => { state.notice.value = null; }, 15000);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <div class="notice" role="status" aria-live="polite" hidden={!notice}>
      {notice && <span>{notice.text}</span>}
      {notice?.action && <button onClick={notice.action}>{notice.label}</button>}
      {notice && <button aria-label="Close" onClick={() => { state.notice.value = null; }}>×</button>}
    </div>
  );
}
