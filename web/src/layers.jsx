// The layers: which are active, switched by a click, each group for itself.
import { switchLayer } from "./connection.js";
import * as state from "./state.js";

export function Layers() {
  const { layers = [] } = state.layout.value;
  if (layers.length === 0) return null;
  const groups = new Map();
  layers.forEach((layer, number) => {
    const key = layer.group ?? "";
    groups.set(key, [...(groups.get(key) ?? []), { name: layer.name, number }]);
  });
  return (
    <div class="layers" role="group" aria-label="Layers">
      {[...groups].map(([group, members]) => (
        <div key={group} class="group" role="group" aria-label={group ? `Layers of ${group}` : "Layers without a group"}>
          {group && <span class="label">{group}</span>}
          {members.map(({ name, number }) => <Layer key={name} name={name} number={number} isGrouped={group !== ""} />)}
        </div>
      ))}
    </div>
  );
}

function Layer({ name, number, isGrouped }) {
  const isActive = state.layers.value.includes(number);
  const change = () => {
    // A layer of a group goes when another one comes.
    switchLayer(number, isGrouped || !isActive).catch((error) => {
      state.notice.value = { text: `The layer was not switched: ${error.message}` };
    });
  };
  return (
    <button aria-pressed={isActive} disabled={!state.canControl.value} onClick={change}>{name}</button>
  );
}
