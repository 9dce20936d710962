// The widgets. Each follows one finger: the first that touches it, until that one leaves.
import { useEffect, useRef } from "preact/hooks";
import { send } from "./connection.js";
import { connection, hold, letGo, text, value } from "./state.js";

/** How far a finger moves for the whole range of a knob, in pixels. */
const KNOB_PIXELS = 200;
/** The step of an arrow key. */
const KEY_STEP = 0.05;

const clip = (level) => Math.min(1, Math.max(0, level));

/** Handlers that follow one pointer; `on` has `down`, `move` and `up`. */
function useFinger(on) {
  const pointer = useRef(null);
  const current = useRef(on);
  current.current = on;
  const end = (event) => {
    if (pointer.current !== event.pointerId) return;
    pointer.current = null;
    current.current.up?.(event);
  };
  // A finger that rests on a widget which goes, or while the connection is lost, holds nothing.
  const isConnected = connection.value === "connected";
  useEffect(() => {
    if (!isConnected && pointer.current !== null) {
      pointer.current = null;
      current.current.up?.(null);
    }
  }, [isConnected]);
  useEffect(
    () => () => {
      if (pointer.current !== null) current.current.up?.(null);
    },
    [],
  );
  return {
    onPointerDown(event) {
      if (pointer.current !== null || event.button > 0) return;
      event.preventDefault();
      event.currentTarget.setPointerCapture(event.pointerId);
      pointer.current = event.pointerId;
      current.current.down?.(event);
    },
    onPointerMove(event) {
      if (pointer.current === event.pointerId) current.current.move?.(event);
    },
    onPointerUp: end,
    onPointerCancel: end,
    onLostPointerCapture: end,
    onContextMenu: (event) => event.preventDefault(),
  };
}

function set(name, level, isButton = false) {
  hold(name, level);
  send(name, level, isButton);
}

/** A level that moves by as much as the finger does. */
function useLevel(widget, levelPerPixel) {
  const start = useRef(null);
  const handlers = useFinger({
    down(event) {
      start.current = { level: value(widget.name).value, y: event.clientY };
      hold(widget.name, start.current.level);
    },
    move(event) {
      const from = start.current;
      const level = clip(from.level + (from.y - event.clientY) * levelPerPixel(event));
      if (level !== value(widget.name).value) set(widget.name, level);
    },
    up: () => letGo(widget.name),
  });
  const step = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };
  return {
    ...handlers,
    onKeyDown(event) {
      if (!step[event.key]) return;
      event.preventDefault();
      set(widget.name, clip(value(widget.name).value + step[event.key] * KEY_STEP));
      letGo(widget.name);
    },
  };
}

/** What all widgets have in common. */
function Frame({ widget, handlers, children, ...attributes }) {
  const style = {
    gridColumn: `span ${widget.width}`,
    gridRow: `span ${widget.height}`,
  };
  if (widget.colour?.startsWith("#")) style["--colour"] = widget.colour;
  return (
    <div
      class={`widget ${widget.kind}`}
      data-name={widget.name}
      data-colour={widget.colour}
      data-source={widget.source}
      style={style}
      tabIndex={widget.source ? 0 : undefined}
      aria-label={widget.label}
      {...(widget.source ? handlers : {})}
      {...attributes}
    >
      {children}
      <span class="label">{widget.label}</span>
    </div>
  );
}

function sliderAttributes(widget, level) {
  return {
    role: widget.source ? "slider" : "meter",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": Math.round(level * 100),
  };
}

function Fader({ widget }) {
  const level = clip(value(widget.name).value);
  const handlers = useLevel(widget, (event) => 1 / event.currentTarget.clientHeight);
  return (
    <Frame widget={widget} handlers={handlers} {...sliderAttributes(widget, level)}>
      <span class="fill" style={{ transform: `scaleY(${level})` }} />
      <span class="number">{Math.round(level * 100)}</span>
    </Frame>
  );
}

/** A point on the knob's arc, which covers 270 degrees. */
function arc(level, radius) {
  const angle = ((135 + 270 * level) * Math.PI) / 180;
  return `${(50 + radius * Math.cos(angle)).toFixed(2)} ${(50 + radius * Math.sin(angle)).toFixed(2)}`;
}

function Knob({ widget }) {
  const level = clip(value(widget.name).value);
  const handlers = useLevel(widget, () => 1 / KNOB_PIXELS);
  const large = level * 270 > 180 ? 1 : 0;
  return (
    <Frame widget={widget} handlers={handlers} {...sliderAttributes(widget, level)}>
      <svg viewBox="0 0 100 100" aria-hidden="true">
        <path class="track" d={`M ${arc(0, 40)} A 40 40 0 1 1 ${arc(1, 40)}`} />
        <path class="arc" d={`M ${arc(0, 40)} A 40 40 0 ${large} 1 ${arc(level, 40)}`} />
        <path class="pointer" d={`M ${arc(level, 18)} L ${arc(level, 34)}`} />
      </svg>
    </Frame>
  );
}

function Button({ widget }) {
  const isOn = value(widget.name).value > 0;
  const press = () => set(widget.name, 1, true);
  const release = () => {
    set(widget.name, 0, true);
    letGo(widget.name);
  };
  const isKey = (event) => event.key === " " || event.key === "Enter";
  const handlers = {
    ...useFinger({ down: press, up: release }),
    onKeyDown: (event) => isKey(event) && !event.repeat && press(),
    onKeyUp: (event) => isKey(event) && release(),
  };
  return <Frame widget={widget} handlers={handlers} role="button" aria-pressed={isOn} data-on={isOn} />;
}

function Toggle({ widget }) {
  const isOn = value(widget.name).value >= 0.5;
  const change = () => {
    set(widget.name, isOn ? 0 : 1, true);
    letGo(widget.name);
  };
  const isKey = (event) => event.key === " " || event.key === "Enter";
  const handlers = {
    ...useFinger({ down: change }),
    onKeyDown: (event) => isKey(event) && !event.repeat && change(),
  };
  return <Frame widget={widget} handlers={handlers} role="switch" aria-checked={isOn} data-on={isOn} />;
}

function Xy({ widget }) {
  const [x, y] = ["x", "y"].map((axis) => `${widget.name}.${axis}`);
  const place = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    set(x, clip((event.clientX - box.left) / box.width));
    set(y, clip(1 - (event.clientY - box.top) / box.height));
  };
  const up = () => [x, y].forEach(letGo);
  const handlers = useFinger({ down: place, move: place, up });
  const left = `${clip(value(x).value) * 100}%`;
  const bottom = `${clip(value(y).value) * 100}%`;
  return (
    <Frame widget={widget} handlers={handlers} role="group">
      <span class="line across" style={{ bottom }} />
      <span class="line along" style={{ left }} />
      <span class="dot" style={{ left, bottom }} />
    </Frame>
  );
}

function Meter({ widget }) {
  const level = clip(value(widget.name).value);
  return (
    <Frame widget={widget} {...sliderAttributes(widget, level)}>
      <span class="fill" style={{ transform: `scaleY(${level})` }} />
    </Frame>
  );
}

function Text({ widget }) {
  return (
    <Frame widget={widget} role="status">
      <span class="content">{text(widget.name).value}</span>
    </Frame>
  );
}

const KINDS = {
  fader: Fader,
  knob: Knob,
  button: Button,
  toggle: Toggle,
  xy: Xy,
  meter: Meter,
  text: Text,
};

/** One widget of the layout. */
export function Widget({ widget }) {
  const Kind = KINDS[widget.kind];
  return <Kind widget={widget} />;
}
