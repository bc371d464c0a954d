// One meaning of colour: red speaks for the class, blue against it, white not at all. The same stops, and the same
// limit, as the pictures that onnxdtd draws.

export const STOPS = [
  "#0a1f5c", "#1d4fb8", "#6f9be8", "#c9dbf8", "#ffffff", "#fbd0c8", "#f08070", "#c81e1e", "#5e0a12",
];
const PERCENTILE = 99.5;
const COUNT = 513; // odd: white lies on exactly zero
const TABLE = Array.from({ length: COUNT }, (_, k) => between((k / (COUNT - 1)) * (STOPS.length - 1)));

/** The magnitude at which colours end: a percentile, so that one pixel cannot pale the rest. */
export function limitOf(relevance) {
  const sizes = Float32Array.from(relevance, Math.abs).sort();
  const largest = sizes[sizes.length - 1];
  return sizes[Math.ceil(((sizes.length - 1) * PERCENTILE) / 100)] || largest || 1;
}

/** [red, green, blue] in 0..255 of a value, for colours from -limit to limit. */
export function signed(value, limit) {
  const place = 0.5 + 0.5 * Math.max(-1, Math.min(1, value / limit));
  return TABLE[Math.min(COUNT - 1, Math.floor(place * COUNT))];
}

/** [red, green, blue] of a value in 0..1: black ink on white. */
export function grey(value) {
  return Array(3).fill(255 * (1 - value));
}

/** Fill a canvas, one pixel for each value. */
export function paint(canvas, values, colour) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, k) => image.data.set([...colour(value), 255], 4 * k));
  context.putImageData(image, 0, 0);
}

function between(place) {
  const k = Math.min(STOPS.length - 2, Math.floor(place));
  const [low, high] = [STOPS[k], STOPS[k + 1]].map(parts);
  return low.map((part, i) => part + (place - k) * (high[i] - part));
}

function parts(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}
