// The routes: only those in view are in the document.
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { inputs, readRoutes } from "./connection.js";
import { Marks } from "./controls.jsx";
import { Details } from "./details.jsx";
import { Layers } from "./layers.jsx";
import { Sparkline } from "./sparkline.jsx";
import * as state from "./state.js";

const ROW_HEIGHT = 60;
const MARGIN_ROWS = 4;
const RAW_INTERVAL_MS = 500;

export function Routes() {
  const search = useSignal("");
  const opened = useSignal(null);
  const top = useSignal(0);
  const height = useSignal(800);
  const raw = useSignal(new Map());
  const list = useRef(null);
  const input = useRef(null);

  const shown = useComputed(() => {
    const { routes, instances } = state.layout.value;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = instances.findIndex((instance) => instance.name === state.chosen.value);
    return routes.map((route, number) => ({ route, number })).filter(({ route }) => {
      if (chosen >= 0 && route.source[0] !== chosen && route.target[0] !== chosen) return false;
      if (words.length === 0) return true;
      const name = `${state.channelName(...route.source)} ${state.channelName(...route.target)}`.toLowerCase();
      return words.every((word) => name.includes(word));
    });
  });
  const first = Math.max(0, Math.floor(top.value / ROW_HEIGHT) - MARGIN_ROWS);
  const end = Math.ceil((top.value + height.value) / ROW_HEIGHT) + MARGIN_ROWS;
  const visible = shown.value.slice(first, end);

  useEffect(() => {
    const measure = () => { if (list.current) height.value = list.current.clientHeight; };
    const key = (event) => {
      const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      if (event.key === "/" && !isTyping) {
        event.preventDefault();
        input.current?.focus();
      }
      if (event.key === "Escape") opened.value = null;
    };
    measure();
    window.addEventListener("resize", measure);
    window.addEventListener("keydown", key);
    return () => {
      window.removeEventListener("resize", measure);
      window.removeEventListener("keydown", key);
    };
  }, []);

  // Raw values of what is in view.
  const sources = useRef([]);
  sources.current = visible.map(({ route }) => route.source);
  const numbers = useRef([]);
  numbers.current = visible.map(({ number }) => number);
  useEffect(() => {
    const timer = setInterval(async () => {
      if (state.link.value !== "up" || document.hidden) return;
      const lowest = new Map();
      for (const [instance, channel] of sources.current) {
        lowest.set(instance, Math.min(channel, lowest.get(instance) ?? channel));
      }
      const next = new Map();
      try {
        for (const [instance, channel] of lowest) {
          for (const reading of await inputs(instance, channel)) {
            next.set(state.channelIndex(instance, reading.channel), reading);
          }
        }
        raw.value = next;
        await readRoutes(numbers.current);
      } catch {
        // The next reading comes soon, or the connection is lost, which the page shows.
      }
    }, RAW_INTERVAL_MS);
    return () => clearInterval(timer);
  }, []);

  const open = opened.value !== null ? state.layout.value.routes[opened.value] : null;
  return (
    <section class="routes" aria-label="Routes">
      <div class="search">
        <input ref={input} type="search" placeholder="Search routes ( / )" aria-label="Search routes" value={search.value} onInput={(event) => { search.value = event.target.value; }} />
        <span class="count">{shown.value.length} of {state.layout.value.routes.length}</span>
      </div>
      <Layers />
      <div class="list" ref={list} onScroll={(event) => { top.value = event.target.scrollTop; }}>
        {shown.value.length === 0 && <p class="empty">No route {search.value ? `contains “${search.value}”` : "yet: take something that has just arrived"}.</p>}
        <ul ref={(element) => element?.style.setProperty("height", `${shown.value.length * ROW_HEIGHT}px`)}>
          {visible.map(({ route, number }, index) => (
            <Row key={number} route={route} number={number} place={first + index} raw={raw.value} isOpen={opened.value === number} onOpen={() => { opened.value = opened.value === number ? null : number; }} />
          ))}
        </ul>
      </div>
      {open && <Details key={opened.value} number={opened.value} route={open} onTrace={(number) => { opened.value = number; }} onClose={() => { opened.value = null; }} />}
    </section>
  );
}

function Row({ route, number, place, raw, isOpen, onOpen }) {
  state.frame.value;
  const source = state.channelIndex(...route.source);
  const target = state.channelIndex(...route.target);
  const reading = raw.get(source);
  return (
    <li class="row" ref={(element) => element?.style.setProperty("top", `${place * ROW_HEIGHT}px`)}>
      <button class={closed(number)} aria-expanded={isOpen} onClick={onOpen} data-route={number}>
        <span class="end">
          <span class="name">{state.channelName(...route.source)}</span>
          <Level index={source} note={reading && `${reading.types} ${reading.raw}`} />
        </span>
        <Sparkline index={source} />
        <span class="arrow" aria-hidden="true">→{route.stages && <em>{route.stages}</em>}</span>
        <span class="end">
          <span class="name">{state.channelName(...route.target)}</span>
          <Level index={target} note={<Marks number={number} />} />
        </span>
        <span class="total">{state.count(source)}</span>
      </button>
    </li>
  );
}

/** `closed` if a route passes nothing on. */
function closed(number) {
  const { muted, frozen } = state.routes.value.get(number) ?? {};
  const { layer = null } = state.layout.value.routes[number];
  const isAway = layer !== null && !state.layers.value.includes(layer);
  return muted || frozen || isAway || state.isHolding.value ? "closed" : "";
}

function Level({ index, note }) {
  const value = state.value(index);
  const count = state.count(index);
  const text = state.text(index);
  return (
    <span class="level">
      <span class="bar"><span ref={(element) => element?.style.setProperty("transform", `scaleX(${value})`)} /></span>
      <span class="number">{text !== undefined ? `“${text}”` : count === 0 ? "–" : value.toFixed(3)}</span>
      {note && <span class="raw">{note}</span>}
    </span>
  );
}
