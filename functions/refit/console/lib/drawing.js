// Turn a drawing into the row that a model of small pictures expects.
//
// As MNIST was made: the ink is scaled, with its proportions kept, into a box of 20 of 28 pixels,
// and its centre of mass is put into the middle. Smaller pictures, such as the 8×8 digits of
// scikit-learn, have no margin: there the box fills the height.
// Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; UCI Machine
// Learning Repository, "Optical Recognition of Handwritten Digits".
const FINE = 10; // drawn this many times larger, then averaged
const WITH_MARGIN = 16; // pictures from this side on have a margin
const BOX = 20 / 28;
const PEN = { small: 0.115, large: 0.085 }; // width of the pen as a share of the side

function boundsOf(strokes) {
  const points = strokes.flat();
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function inked(strokes, side, place) {
  const size = side * FINE;
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = size * (side < WITH_MARGIN ? PEN.small : PEN.large);
  for (const stroke of strokes) {
    context.beginPath();
    stroke.forEach((point, index) => {
      const [x, y] = place(point).map((value) => value * size);
      if (index === 0) context.moveTo(x, y);
      context.lineTo(x + (stroke.length === 1 ? 0.1 : 0), y);
    });
    context.stroke();
  }
  const alpha = context.getImageData(0, 0, size, size).data;
  const cells = new Array(side * side).fill(0);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const cell = Math.floor(y / FINE) * side + Math.floor(x / FINE);
      cells[cell] += alpha[(y * size + x) * 4 + 3];
    }
  }
  return cells.map((sum) => sum / (255 * FINE * FINE));
}

function centreOf(cells, side) {
  const sum = cells.reduce((total, value) => total + value, 0) || 1;
  const mean = (axis) =>
    cells.reduce((total, value, index) => total + value * axis(index), 0) / sum;
  return [mean((index) => index % side), mean((index) => Math.floor(index / side))].map(
    (value) => (value + 0.5) / side,
  );
}

// strokes: lists of points [x, y] from 0 to 1. Returns side² whole numbers from 0 to largest.
export function rowOf(strokes, side, largest) {
  const hasMargin = side >= WITH_MARGIN;
  const pen = hasMargin ? PEN.large : PEN.small;
  const [left, top, right, bottom] = boundsOf(strokes);
  const box = (hasMargin ? BOX : 1) - pen;
  const scale = box / Math.max(right - left, bottom - top, 0.05);
  const middle = [(left + right) / 2, (top + bottom) / 2];
  const into = ([x, y]) => [0.5 + (x - middle[0]) * scale, 0.5 + (y - middle[1]) * scale];
  let cells = inked(strokes, side, into);
  if (hasMargin) {
    const [cx, cy] = centreOf(cells, side);
    cells = inked(strokes, side, (point) => {
      const [x, y] = into(point);
      return [x + 0.5 - cx, y + 0.5 - cy];
    });
  }
  return cells.map((value) => Math.round(value * largest));
}
