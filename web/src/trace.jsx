// The ways of values to a route and from it, through instances that pass them on or answer.
import * as state from "./state.js";

const LIMIT = 50;

/** The routes before or behind one, with their distance: each once, the nearest first. */
export function trace(number, direction) {
  const { routes } = state.layout.value;
  const [from, to] = direction === "up" ? ["source", "target"] : ["target", "source"];
  const found = [];
  const seen = new Set([number]);
  let ends = [routes[number][from]];
  for (let depth = 1; ends.length > 0 && found.length < LIMIT; depth += 1) {
    const next = [];
    routes.forEach((route, other) => {
      if (seen.has(other) || found.length >= LIMIT) return;
      if (ends.some((end) => continues(end, route[to]))) {
        seen.add(other);
        found.push({ number: other, depth });
        next.push(route[from]);
      }
    });
    ends = next;
  }
  return found;
}

/** Whether what arrives at one channel can be what leaves at another: the same one, or one of a script. */
function continues(one, other) {
  if (one[0] !== other[0]) return false;
  return one[1] === other[1] || ["python", "lua"].includes(state.layout.value.instances[one[0]].backend);
}

export function Trace({ number, onTrace }) {
  const up = trace(number, "up");
  const down = trace(number, "down");
  if (up.length === 0 && down.length === 0) return null;
  return (
    <section class="trace" aria-label="Ways of the values">
      <Ways title="Comes from" list={up} onTrace={onTrace} />
      <Ways title="Goes on to" list={down} onTrace={onTrace} />
    </section>
  );
}

function Ways({ title, list, onTrace }) {
  if (list.length === 0) return null;
  const { routes } = state.layout.value;
  return (
    <div>
      <h3>{title}</h3>
      <ul>
        {list.map(({ number, depth }) => (
          <li key={number}>
            <button class={`depth-${Math.min(depth, 4)}`} onClick={() => onTrace(number)}>
              {state.channelName(...routes[number].source)} → {state.channelName(...routes[number].target)}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
