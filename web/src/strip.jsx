// The top strip: a tile for each instance, and what ends everything that sounds.
import { useState } from "preact/hooks";
import { hold, panic, why } from "./connection.js";
import { Findings } from "./findings.jsx";
import * as state from "./state.js";

export function Strip() {
  const [findings, setFindings] = useState(null);
  const explain = async (number) => {
    const name = state.layout.value.instances[number].name;
    state.chosen.value = state.chosen.value === name ? null : name;
    if (state.chosen.value === null) {
      setFindings(null);
      return;
    }
    try {
      setFindings({ name, list: await why(number) });
    } catch (error) {
      setFindings({ name, list: [{ message: error.message, problem: true }] });
    }
  };
  const end = async () => {
    try {
      await panic();
      state.notice.value = { text: "Panic: everything that sounded or was held has ended. Lights keep their levels." };
    } catch (error) {
      state.notice.value = { text: `Panic was not sent: ${error.message}` };
    }
  };
  const changeHold = async () => {
    const on = !state.isHolding.value;
    try {
      await hold(on);
      state.notice.value = { text: on ? "Hold: the outputs keep their values until Hold is switched off." : "The routes pass values on again." };
    } catch (error) {
      state.notice.value = { text: `Hold was not changed: ${error.message}` };
    }
  };
  return (
    <header class="strip">
      <ul class="tiles" aria-label="Instances">
        {state.layout.value.instances.map((instance, number) => (
          <Tile key={instance.name} instance={instance} number={number} onClick={() => explain(number)} />
        ))}
      </ul>
      <div class="actions">
        {state.canControl.value && <button class="panic" onClick={end}>Panic</button>}
        {state.canControl.value && <button class="hold" aria-pressed={state.isHolding.value} onClick={changeHold}>Hold</button>}
        {!state.canControl.value && state.isHolding.value && <span class="hold" role="status">Hold</span>}
        <button aria-label={`Theme: ${state.theme.value}`} title="Theme" onClick={() => window.dispatchEvent(new Event("nexttheme"))}>◐</button>
      </div>
      {findings && state.chosen.value && (
        <section class="explanation" aria-label={`About ${findings.name}`}>
          <Findings list={findings.list} empty={`${findings.name} works.`} />
        </section>
      )}
    </header>
  );
}

function Tile({ instance, number, onClick }) {
  // Times and rates change without a delta.
  state.clock.value;
  const reading = state.instances.value[number] ?? { state: "starting" };
  const rate = state.rate(number);
  const isLost = state.link.value === "lost";
  const since = reading.last_input === undefined || reading.last_input === null
    ? null
    : Math.max(0, state.now() - reading.last_input);
  return (
    <li>
      <button
        class={`tile ${isLost ? "unknown" : reading.state}`}
        data-instance={instance.name}
        data-state={reading.state}
        aria-pressed={state.chosen.value === instance.name}
        onClick={onClick}
      >
        <strong>{instance.name}</strong>
        <span class="word">{isLost ? "unknown" : reading.state}</span>
        {since !== null && <span class="since">{duration(since)}</span>}
        {(rate.in >= 1 || rate.out >= 1) && <span class="rate">{rate.in >= 1 && `▸${perSecond(rate.in)}`} {rate.out >= 1 && `${perSecond(rate.out)}▸`}</span>}
        {reading.reason && <span class="reason">{reading.reason}</span>}
      </button>
    </li>
  );
}

const perSecond = (rate) => (rate >= 10_000 ? `${Math.round(rate / 1000)}k/s` : `${Math.round(rate)}/s`);

/** A time as a person says it: `0.2 s`, `41 s`, `3 min`. */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}
