// What `why` has found.

export function Findings({ list, empty }) {
  if (list.length === 0) return <p>{empty}</p>;
  return (
    <ul class="findings">
      {list.map((finding) => (
        <li key={finding.message} class={finding.problem ? "problem" : ""}>
          {finding.channel && <code>{finding.channel}</code>} {finding.message}
          {finding.hint && <span class="hint">{finding.hint}</span>}
        </li>
      ))}
    </ul>
  );
}
