// The files of the configuration as text, with diagnostics.
import { useEffect, useRef, useState } from "preact/hooks";
import { edit, files } from "./connection.js";
import { Diagnostics, report, undo } from "./proposal.jsx";
import * as state from "./state.js";

const CHECK_DELAY_MS = 500;

export function Text() {
  const [configuration, setConfiguration] = useState(null);
  const [number, setNumber] = useState(0);
  const [text, setText] = useState("");
  const [result, setResult] = useState(null);
  const [error, setError] = useState("");
  const area = useRef(null);
  const load = async () => {
    try {
      const next = await files();
      setConfiguration(next);
      setText(shown(next.files[Math.min(number, next.files.length - 1)]));
      setError("");
    } catch (problem) {
      setError(problem.message);
    }
  };
  useEffect(() => {
    if (!state.canControl.value) return undefined;
    load();
    window.addEventListener("filessaved", load);
    return () => window.removeEventListener("filessaved", load);
  }, [number]);
  const file = configuration?.files[number];
  const isChanged = file !== undefined && text !== shown(file);
  useEffect(() => {
    if (!configuration) return undefined;
    let isCurrent = true;
    const timer = setTimeout(async () => {
      try {
        const checked = await edit(configuration.version, changes(file, number, text));
        if (!isCurrent) return;
        setResult({ ...checked, text });
        setError("");
      } catch (problem) {
        if (isCurrent) setError(problem.message);
      }
    }, CHECK_DELAY_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [text, configuration]);
  if (!state.canControl.value) {
    return <section class="text" aria-label="Text"><p class="empty">Configurations can contain passwords: reading and editing them needs the token for control.</p></section>;
  }
  const finish = async (how) => {
    try {
      const edited = await edit(configuration.version, changes(file, number, text), how);
      setResult({ ...edited, text });
      report(edited);
    } catch (problem) {
      setError(problem.message);
    }
  };
  const isReady = isChanged && result?.ok && result.text === text;
  const go = (item) => {
    const start = text.split("\n").slice(0, item.line - 1).reduce((sum, line) => sum + line.length + 1, 0);
    area.current.focus();
    area.current.setSelectionRange(start + item.column - 1, start + item.column - 1);
  };
  return (
    <section class="text" aria-label="Text">
      <h2>
        <select aria-label="File" value={number} disabled={isChanged} onChange={(event) => setNumber(Number(event.target.value))}>
          {configuration?.files.map((item, index) => <option key={item.path} value={index}>{item.path}</option>)}
        </select>
      </h2>
      <textarea ref={area} class="code" aria-label="Configuration" spellcheck={false} autocapitalize="none" wrap="off" value={text} onInput={(event) => setText(event.target.value)} />
      {result && <Diagnostics result={result} lines={text.split("\n")} file={number} onGo={go} />}
      {error && <p class="error" role="alert">{error}</p>}
      <div class="buttons">
        <button disabled={!isReady} onClick={() => finish({ apply: true })}>Try</button>
        <button class="primary" disabled={!isReady} onClick={() => finish({ save: true, apply: true })}>Save</button>
        <button disabled={!isChanged} onClick={load}>Discard changes</button>
        <button disabled={isChanged || !configuration?.undo} onClick={undo}>Undo last save</button>
      </div>
    </section>
  );
}

/** The text as a text area has it: with `\n` alone. */
const shown = (file) => file.text.replaceAll("\r\n", "\n");

/** The smallest replacement that makes the file contain `text`. Offsets count bytes of UTF-8. */
function changes(file, number, text) {
  const old = file.text;
  const next = old.includes("\r\n") ? text.replaceAll("\n", "\r\n") : text;
  if (old === next) return [];
  const encoder = new TextEncoder();
  const before = [...old];
  const after = [...next];
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start += 1;
  let same = 0;
  while (same < before.length - start && same < after.length - start && before[before.length - 1 - same] === after[after.length - 1 - same]) same += 1;
  const bytes = (characters) => encoder.encode(characters.join("")).length;
  const first = bytes(before.slice(0, start));
  const end = first + bytes(before.slice(start, before.length - same));
  return [{ replace: { file: number, start: first, end, text: after.slice(start, after.length - same).join("") } }];
}
