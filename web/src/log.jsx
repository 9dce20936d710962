// The log, of all instances or of the chosen one.
import { useEffect, useRef } from "preact/hooks";
import * as state from "./state.js";

export function Log() {
  const end = useRef(null);
  const isAtEnd = useRef(true);
  const chosen = state.chosen.value;
  const lines = state.log.value.filter((line) => !chosen || instanceOf(line) === chosen);
  useEffect(() => {
    if (isAtEnd.current) end.current?.scrollIntoView({ block: "nearest" });
  }, [lines.length]);
  const scrolled = ({ target }) => {
    isAtEnd.current = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
  };
  return (
    <section class="log" aria-label="Log">
      <h2>Log{chosen && ` of ${chosen}`}</h2>
      <div class="lines" role="log" onScroll={scrolled} tabIndex={0}>
        {lines.slice(-500).map((line, number) => (
          <p key={number} class={level(line)}>{line}</p>
        ))}
        {lines.length === 0 && <p class="empty">No lines.</p>}
        <span ref={end} />
      </div>
    </section>
  );
}

/** `13:20:15 WARN  lamp: waiting: …` → `lamp`. */
function instanceOf(line) {
  return /^\S+\s+[A-Z]+\s+([^:]+):/.exec(line)?.[1] ?? null;
}

function level(line) {
  return /^\S+\s+([A-Z]+)/.exec(line)?.[1].toLowerCase() ?? "";
}
