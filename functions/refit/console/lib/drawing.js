// Turn a drawing into the row that a model of small pictures expects.
//
// As MNIST was made: the ink is scaled, with its proportions kept, into a box of 20 of 28 pixels,
// and its centre of mass is put into the middle. Smaller pictures, such as the 8×8 digits of
// scikit-learn, have no margin: their ink fills the height and most of the width, and their pen is
// thick. They were made of bitmaps of 32×32, by counting the ink in blocks of 4×4.
// Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"; UCI Machine
// Learning Repository, "Optical Recognition of Handwritten Digits". Measured there: the mean ink of
// an 8×8 digit is 19.6 full pixels (19.0 to 20.6 by class), 15 or more for 99 of 100 digits, on 8
// rows and 5 to 6 columns. Of MNIST, it is 0.13 of all pixels.
const FINE = 12; // drawn this many times larger, then averaged
const WITH_MARGIN = 16; // pictures from this side on have a margin
const MARGIN = { pen: 0.1, width: 20 / 28, height: 20 / 28, widened: 1, heightened: 1 };
const NO_MARGIN = {
  pens: [0.17, 0.19, 0.21, 0.23, 0.25],
  leastInk: 0.24,
  width: 3 / 4,
  height: 1,
  widened: 1.25,
  heightened: 2,
};
const SMALLEST = 0.05; // drawings below this share of the pad are not magnified further

function boundsOf(strokes) {
  const points = strokes.flat();
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function inked(strokes, side, pen, place) {
  const size = side * FINE;
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = size * pen;
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

const sumOf = (cells) => cells.reduce((total, value) => total + value, 0);

function centreOf(cells, side) {
  const sum = sumOf(cells) || 1;
  const mean = (axis) =>
    cells.reduce((total, value, index) => total + value * axis(index), 0) / sum;
  return [mean((index) => index % side), mean((index) => Math.floor(index / side))].map(
    (value) => (value + 0.5) / side,
  );
}

// Where a point of the drawing is in the picture.
function intoOf(strokes, pen, { width, height, widened, heightened }) {
  const [left, top, right, bottom] = boundsOf(strokes);
  const across = (width - pen) / Math.max(right - left, SMALLEST);
  const down = (height - pen) / Math.max(bottom - top, SMALLEST);
  const scale = [Math.min(across, down * widened), Math.min(down, across * heightened)];
  const middle = [(left + right) / 2, (top + bottom) / 2];
  return (point) => point.map((value, axis) => 0.5 + (value - middle[axis]) * scale[axis]);
}

function centred(strokes, side, pen, into) {
  const [cx, cy] = centreOf(inked(strokes, side, pen, into), side);
  return inked(strokes, side, pen, (point) => {
    const [x, y] = into(point);
    return [x + 0.5 - cx, y + 0.5 - cy];
  });
}

// strokes: lists of points [x, y] from 0 to 1. Returns side² whole numbers from 0 to largest.
export function rowOf(strokes, side, largest) {
  const cells = side < WITH_MARGIN ? filling(strokes, side) : withMargin(strokes, side);
  return cells.map((value) => Math.round(value * largest));
}

function withMargin(strokes, side) {
  const { pen, ...box } = MARGIN;
  return centred(strokes, side, pen, intoOf(strokes, pen, box));
}

// A digit of one short line, such as a 1, has about as much ink as the others there: its line is
// thicker.
function filling(strokes, side) {
  const { pens, leastInk, ...box } = NO_MARGIN;
  let cells = [];
  for (const pen of pens) {
    cells = inked(strokes, side, pen, intoOf(strokes, pen, box));
    if (sumOf(cells) >= leastInk * side * side) break;
  }
  return cells;
}
