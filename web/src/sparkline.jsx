// The last ten seconds of a channel.
import { useEffect, useRef } from "preact/hooks";
import * as state from "./state.js";

const WIDTH = 120;
const HEIGHT = 32;
const SECONDS = 10;

export function Sparkline({ index }) {
  const canvas = useRef(null);
  state.frame.value;
  state.clock.value;
  state.theme.value;
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (context) draw(context, state.history(index));
  });
  return <canvas class="sparkline" ref={canvas} width={WIDTH} height={HEIGHT} aria-hidden="true" />;
}

let colour = { theme: null, value: "" };

/** The colour of the lines. To ask for it makes the browser calculate styles, so that it is kept. */
function lineColour(canvas) {
  if (colour.theme !== state.theme.value) {
    colour = { theme: state.theme.value, value: getComputedStyle(canvas).color };
  }
  return colour.value;
}

function draw(context, points) {
  context.clearRect(0, 0, WIDTH, HEIGHT);
  if (points.length === 0) return;
  const y = (value) => HEIGHT - 1.5 - value * (HEIGHT - 3);
  context.strokeStyle = lineColour(context.canvas);
  context.lineWidth = 1.5;
  context.beginPath();
  let last = null;
  for (const [age, value] of points) {
    const x = WIDTH * (1 - age / SECONDS);
    // A value lasts until the next one.
    if (last === null) context.moveTo(x, y(value));
    else context.lineTo(x, y(last));
    context.lineTo(x, y(value));
    last = value;
  }
  context.lineTo(WIDTH, y(last));
  context.stroke();
}
