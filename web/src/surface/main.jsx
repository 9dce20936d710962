import { signal } from "@preact/signals";
import { render } from "preact";
import { start, unlock } from "./connection.js";
import { connection, layout, refusal } from "./state.js";
import { Widget } from "./widgets.jsx";

/** The label of the page that is shown. */
const shown = signal("");

function Unlock() {
  const submit = (event) => {
    event.preventDefault();
    unlock(new FormData(event.target).get("token"));
  };
  return (
    <form class="unlock" onSubmit={submit}>
      <p>Scan the code that the show has printed, or enter its address or token.</p>
      <label>
        Address or token
        <input name="token" autocomplete="off" autocapitalize="off" required />
      </label>
      <button type="submit">Open</button>
      {refusal.value && <p class="error">{refusal.value}</p>}
    </form>
  );
}

function Tabs({ pages, current }) {
  return (
    <nav role="tablist">
      {pages.map((page) => (
        <button
          key={page.label}
          role="tab"
          aria-selected={page === current}
          onClick={() => {
            shown.value = page.label;
          }}
        >
          {page.label}
        </button>
      ))}
    </nav>
  );
}

function Surface() {
  if (connection.value === "locked") return <Unlock />;
  const { title, columns, pages } = layout.value ?? { title: "", columns: 1, pages: [] };
  const current = pages.find((page) => page.label === shown.value) ?? pages[0];
  const isWaiting = connection.value !== "connected";
  return (
    <>
      <header>
        <h1>{title}</h1>
        {pages.length > 1 && <Tabs pages={pages} current={current} />}
      </header>
      {isWaiting && (
        <p class="banner" role="alert">
          Not connected to the show; trying again.
        </p>
      )}
      {layout.value && !current && <p class="empty">No mapping uses this surface.</p>}
      <main key={current?.label} class={isWaiting ? "waiting" : ""} style={{ "--columns": columns }}>
        {current?.widgets.map((widget) => (
          <Widget key={widget.name} widget={widget} />
        ))}
      </main>
    </>
  );
}

render(<Surface />, document.getElementById("surface"));
start();
