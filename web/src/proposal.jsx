// An edit before it is saved: what it changes, and what `check` finds.
import { useEffect, useState } from "preact/hooks";
import { edit, files, reload, undoEdit } from "./connection.js";
import * as state from "./state.js";

const CHECK_DELAY_MS = 250;

/** Undoes the last saved edit, in the files and in the running show, and reports that. */
export async function undo() {
  try {
    await undoEdit();
    const problem = await reload();
    state.notice.value = {
      text: problem
        ? `Undone in the files. The running show could not take them: ${problem}`
        : "Undone: the files and the running show are as before.",
    };
    window.dispatchEvent(new Event("filessaved"));
  } catch (error) {
    state.notice.value = { text: `Not undone: ${error.message}` };
  }
}

/** Returns to what the files contain, and reports that. */
async function endTrial() {
  try {
    const problem = await reload();
    state.notice.value = { text: problem ? `Not undone: ${problem}` : "Undone: the running show has what the files contain." };
  } catch (error) {
    state.notice.value = { text: `Not undone: ${error.message}` };
  }
}

/** Reports an edit that was saved, tried, or both. */
export function report(edited) {
  const problem = edited.not_applied && `The running show did not take it: ${edited.not_applied}`;
  if (edited.saved) {
    const text = problem ? `Saved. ${problem}` : "Saved: the file and the running show have it.";
    state.notice.value = { text, label: "Undo", action: undo };
    window.dispatchEvent(new Event("filessaved"));
  } else if (edited.applied) {
    state.notice.value = {
      text: "Trying: the running show has it, the file does not.",
      label: "Undo",
      action: endTrial,
      stays: true,
    };
  } else if (problem) {
    state.notice.value = { text: problem };
  }
}

/** Checks edits as they change, and saves them. Without a version, that of the files now. */
export function Proposal({ edits, version, onSaved }) {
  const [result, setResult] = useState(null);
  const [error, setError] = useState("");
  const text = JSON.stringify(edits);
  const run = async (how) => {
    const known = version ?? (await files()).version;
    return edit(known, edits, how);
  };
  useEffect(() => {
    let isCurrent = true;
    const timer = setTimeout(async () => {
      try {
        const checked = await run();
        if (!isCurrent) return;
        setResult({ ...checked, text });
        setError("");
      } catch (problem) {
        if (!isCurrent) return;
        setResult(null);
        setError(problem.message);
      }
    }, CHECK_DELAY_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [text, version]);
  const finish = async (how) => {
    try {
      const edited = await run(how);
      setResult({ ...edited, text });
      report(edited);
      if (edited.saved) onSaved?.();
    } catch (problem) {
      setError(problem.message);
    }
  };
  const isReady = result?.ok && result.text === text;
  return (
    <div class="proposal">
      {result && <Diff text={result.diff} />}
      {result && <Diagnostics result={result} />}
      {error && <p class="error" role="alert">{error}</p>}
      <div class="buttons">
        <button disabled={!isReady} onClick={() => finish({ apply: true })}>Try</button>
        <button class="primary" disabled={!isReady} onClick={() => finish({ save: true, apply: true })}>Save</button>
      </div>
    </div>
  );
}

/** The lines that change. */
function Diff({ text }) {
  const lines = text.split("\n").filter((line) => /^[+-](?![+-]{2} )/.test(line));
  return (
    <pre class="diff" aria-label="Changes">
      {lines.map((line, number) => (
        <span key={number} class={line[0] === "+" ? "added" : "removed"}>{line}{"\n"}</span>
      ))}
    </pre>
  );
}

/** Errors and warnings; `lines` are those of the text that is edited, to show the place. */
export function Diagnostics({ result, lines, file = 0, onGo }) {
  if (result.diagnostics.length === 0) return <p class="fine" role="status">check: fine</p>;
  return (
    <ul class="diagnostics" role="status">
      {result.diagnostics.map((item, number) => {
        const isHere = item.line > 0 && (item.file ?? 0) === file;
        return (
          <li key={number} class={item.severity}>
            <button disabled={!onGo || !isHere} onClick={() => onGo?.(item)}>
              {item.line > 0 && `${item.line}:${item.column} `}{item.severity}: {item.message}
            </button>
            {lines && isHere && <pre>{lines[item.line - 1]}{"\n"}{" ".repeat(Math.max(0, item.column - 1))}^</pre>}
            {item.hint && <span class="hint">{item.hint}</span>}
          </li>
        );
      })}
      {result.not_listed > 0 && <li>and {result.not_listed} more</li>}
    </ul>
  );
}
