// What a drawing becomes before the network sees it: MNIST's own preparation, on plain arrays.

export const SIDE = 28;
const BOX = 20;

/**
 * Ink (width x height values in 0..1, row by row) as MNIST would hold it: cropped, scaled so that its longer side is 20
 * pixels, each pixel the mean of what it covers, the centre of mass in the middle of 28 x 28. Null where no ink is.
 */
export function centred(ink, width, height) {
  const extent = measure(ink, width, height);
  if (!extent) return null;
  const scale = BOX / Math.max(extent.right - extent.left, extent.bottom - extent.top);
  const across = cells(width, scale, SIDE / 2 - scale * extent.x);
  const down = cells(height, scale, SIDE / 2 - scale * extent.y);
  const digit = new Float32Array(SIDE * SIDE);
  for (let y = extent.top; y < extent.bottom; y++) {
    for (let x = extent.left; x < extent.right; x++) {
      const value = ink[y * width + x];
      if (!value) continue;
      for (const [row, tall] of down[y]) {
        for (const [column, wide] of across[x]) digit[row * SIDE + column] += value * tall * wide;
      }
    }
  }
  return digit.map((value) => Math.min(value, 1)); // sums of parts may exceed 1 by rounding
}

/** The edges of the ink and its centre of mass, in pixels from the upper left corner. */
function measure(ink, width, height) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  let [mass, x, y] = [0, 0, 0];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const value = ink[row * width + column];
      if (!value) continue;
      left = Math.min(left, column);
      right = Math.max(right, column + 1);
      top = Math.min(top, row);
      bottom = Math.max(bottom, row + 1);
      mass += value;
      x += value * (column + 0.5);
      y += value * (row + 0.5);
    }
  }
  return mass ? { left, top, right, bottom, x: x / mass, y: y / mass } : null;
}

/** For each of `count` pixels, moved to [scale k + shift, scale (k + 1) + shift]: the cells it meets, and how long. */
function cells(count, scale, shift) {
  return Array.from({ length: count }, (_, k) => {
    const [start, end] = [scale * k + shift, scale * (k + 1) + shift];
    const met = [];
    for (let cell = Math.max(0, Math.floor(start)); cell < Math.min(SIDE, end); cell++) {
      met.push([cell, Math.min(end, cell + 1) - Math.max(start, cell)]);
    }
    return met;
  });
}
