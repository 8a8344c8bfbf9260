// A row of a square number of values as a picture.
import { html, useLayoutEffect, useRef } from "../lib/view.js";

// values: numbers from 0 to the largest value, row by row. Ink is dark on light, as on paper.
export function Picture({ values, side, largest, label, size = 64 }) {
  const canvas = useRef(null);
  const text = values.join();
  useLayoutEffect(() => {
    const context = canvas.current.getContext("2d");
    const image = context.createImageData(side, side);
    values.forEach((value, index) => {
      const ink = Math.min(1, Math.max(0, Number(value) / largest || 0));
      const grey = Math.round(255 * (1 - ink));
      image.data.set([grey, grey, grey, 255], index * 4);
    });
    context.putImageData(image, 0, 0);
  }, [text, side, largest]);
  return html`<canvas
    class="picture"
    ref=${canvas}
    width=${side}
    height=${side}
    role=${label ? "img" : undefined}
    aria-label=${label || undefined}
    aria-hidden=${label ? undefined : "true"}
    style=${{ width: `${size}px`, height: `${size}px` }}
  ></canvas>`;
}
