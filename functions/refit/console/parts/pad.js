// A pad to draw on. What is drawn is scaled to the picture that the model was trained on.
import { rowOf } from "../lib/drawing.js";
import { html, useLayoutEffect, useMemo, useRef, useState } from "../lib/view.js";
import { PredictionCard, usePrediction } from "./answering.js";
import { Card } from "./basics.js";
import { ExampleButtons, useExamples } from "./examples.js";
import { useKey } from "./keys.js";
import { Picture } from "./picture.js";

const SIZE = 280;
const PEN = 20;

export function Pad({ answer }) {
  const { form, model } = answer;
  const side = form.imageSide;
  const examples = useExamples(answer);
  const largest = form.imageMax || 1;
  const key = useKey("predict");
  const prediction = usePrediction(model);
  const [strokes, setStrokes] = useState([]);
  const [example, setExample] = useState(null); // {row, truth}
  const row = useMemo(
    () => (strokes.length > 0 ? rowOf(strokes, side, largest) : (example?.row ?? null)),
    [strokes, example, side, largest],
  );
  const clear = () => {
    setStrokes([]);
    setExample(null);
    prediction.clear();
  };
  const draw = (stroke, isNew) => {
    if (isNew) prediction.clear();
    setStrokes((before) => [...(isNew ? before : before.slice(0, -1)), stroke]);
    setExample(null);
  };
  const use = ({ values, truth }) => {
    clear();
    const pixels = values.map((value) => Number(value ?? 0));
    setExample({ row: pixels, truth });
    if (key !== null) prediction.predict(pixels);
  };
  return html`<div class="try">
    <${Card} title="Draw" id="draw">
      <p class="muted" id="pad-help">
        Draw with the mouse, a pen or a finger. With the keyboard, use a picture below.
      </p>
      <div class="pad-row">
        <${Canvas} strokes=${strokes} example=${example?.row ?? null} side=${side} largest=${largest} onDraw=${draw} />
        <div class="seen">
          ${row === null
            ? html`<div class="picture blank" aria-hidden="true"></div>`
            : html`<${Picture} values=${row} side=${side} largest=${largest} size=${84} label="What the model sees" />`}
          <span class="muted">What the model sees: ${side} × ${side}</span>
        </div>
      </div>
      <div class="row">
        <button type="button" onClick=${clear} disabled=${row === null}>Clear</button>
        <button
          type="button"
          class="primary"
          disabled=${row === null || key === null || prediction.state.isSending}
          onClick=${() => prediction.predict(row)}
        >
          Predict
        </button>
      </div>
      <${ExampleButtons} of=${examples} side=${side} largest=${largest} onUse=${use} />
    <//>
    <${PredictionCard} prediction=${prediction} answer=${answer} known=${example?.truth ?? null} />
  </div>`;
}

function Canvas({ strokes, example, side, largest, onDraw }) {
  const canvas = useRef(null);
  const current = useRef(null);
  useLayoutEffect(() => paint(canvas.current, strokes, example, side, largest), [strokes, example]);
  const pointOf = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const start = (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    canvas.current.setPointerCapture(event.pointerId);
    current.current = [pointOf(event)];
    onDraw(current.current, true);
  };
  const move = (event) => {
    if (current.current === null) return;
    const events = event.getCoalescedEvents?.() ?? [];
    current.current = [...current.current, ...(events.length ? events : [event]).map(pointOf)];
    onDraw(current.current, false);
  };
  const end = () => {
    current.current = null;
  };
  return html`<canvas
    class="pad"
    ref=${canvas}
    width=${SIZE}
    height=${SIZE}
    role="img"
    aria-label="Pad to draw on"
    aria-describedby="pad-help"
    onPointerDown=${start}
    onPointerMove=${move}
    onPointerUp=${end}
    onPointerCancel=${end}
  ></canvas>`;
}

function paint(canvas, strokes, example, side, largest) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, SIZE, SIZE);
  if (strokes.length === 0 && example !== null) {
    const cell = SIZE / side;
    example.forEach((value, index) => {
      context.globalAlpha = Math.min(1, Math.max(0, Number(value) / largest || 0));
      const [x, y] = [index % side, Math.floor(index / side)];
      context.fillRect(x * cell, y * cell, cell + 0.5, cell + 0.5);
    });
    context.globalAlpha = 1;
  }
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    context.beginPath();
    stroke.forEach(([x, y], index) => {
      if (index === 0) context.moveTo(x * SIZE, y * SIZE);
      context.lineTo(x * SIZE + (stroke.length === 1 ? 0.1 : 0), y * SIZE);
    });
    context.stroke();
  }
}
