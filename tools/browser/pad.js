// A canvas to draw on: by mouse, pen, finger or keyboard.

import { SIDE } from "./digit.js";

const THICKNESS = 0.085; // of the width
const STEP = 1 / 28; // of the width, for an arrow key
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pad {
  /** changed() is called after every stroke. cursor: the element that shows where the keyboard's pen is. */
  constructor(canvas, cursor, changed) {
    this.canvas = canvas;
    this.cursor = cursor;
    this.changed = changed;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(this.context, { lineWidth: THICKNESS * canvas.width, lineCap: "round", lineJoin: "round" });
    this.pen = { x: canvas.width / 2, y: canvas.height / 2, down: false };
    this.strokes = new Map(); // where each pointer that is down was last
    canvas.addEventListener("pointerdown", (event) => this.#start(event));
    canvas.addEventListener("pointermove", (event) => this.#follow(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.strokes.delete(event.pointerId));
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#showPen();
  }

  /** The ink, 0..1, row by row. */
  get ink() {
    const { width, height } = this.canvas;
    const pixels = this.context.getImageData(0, 0, width, height).data;
    return Float32Array.from({ length: width * height }, (_, k) => pixels[4 * k + 3] / 255);
  }

  clear() {
    this.#wipe();
    this.changed();
  }

  /** Draw 28 x 28 bytes of ink, enlarged. */
  show(bytes) {
    const image = new ImageData(SIDE, SIDE);
    bytes.forEach((byte, k) => (image.data[4 * k + 3] = byte));
    const small = new OffscreenCanvas(SIDE, SIDE);
    small.getContext("2d").putImageData(image, 0, 0);
    this.#wipe();
    this.context.drawImage(small, 0, 0, this.canvas.width, this.canvas.height);
    this.changed();
  }

  #wipe() {
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  #start(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.#place(event);
    this.strokes.set(event.pointerId, at);
    this.#line(at, at);
  }

  #follow(event) {
    let last = this.strokes.get(event.pointerId);
    if (!last) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const step of passed.length ? passed : [event]) {
      const at = this.#place(step);
      this.#line(last, at);
      last = at;
    }
    this.strokes.set(event.pointerId, last);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = { ...this.pen };
    if (event.key in ARROWS) {
      const [x, y] = ARROWS[event.key].map((sign) => sign * STEP * this.canvas.width);
      this.pen.x = Math.max(0, Math.min(this.canvas.width, this.pen.x + x));
      this.pen.y = Math.max(0, Math.min(this.canvas.height, this.pen.y + y));
    } else if (event.key === " ") {
      if (!event.repeat) this.pen.down = !this.pen.down;
    } else if (event.key === "Backspace" || event.key === "Delete") {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
    if (this.pen.down) this.#line(last, this.pen);
    this.#showPen();
  }

  #line(from, to) {
    this.context.beginPath();
    this.context.moveTo(from.x, from.y);
    this.context.lineTo(to.x, to.y);
    this.context.stroke();
    this.changed();
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  }

  #showPen() {
    this.cursor.style.left = `${(100 * this.pen.x) / this.canvas.width}%`;
    this.cursor.style.top = `${(100 * this.pen.y) / this.canvas.height}%`;
    this.cursor.classList.toggle("down", this.pen.down);
  }
}
