"use strict";
// Pictures: the input, the map, and all between them, from the numbers that the page holds.
function pixelsOf(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function blurred(values, width, height, radius) {
  if (!radius) return values;
  const reach = Math.ceil(3 * radius), weights = [];
  for (let i = -reach; i <= reach; i++) weights.push(Math.exp(-i * i / (2 * radius * radius)));
  const total = weights.reduce((a, b) => a + b);
  const pass = (source, across) => {
    const result = new Float64Array(source.length), [length, step] = across ? [width, 1] : [height, width];
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      const place = y * width + x, at = across ? x : y;
      let sum = 0;
      for (let i = -reach; i <= reach; i++) {
        const near = at + i;
        if (near >= 0 && near < length) sum += weights[i + reach] * source[place + i * step];
      }
      result[place] = sum / total;
    }
    return result;
  };
  return pass(pass(values, true), false);
}

async function image(part) {
  const [input, numbers] = [part.querySelector(".still img"), part.querySelector(".numbers")];
  await Promise.all([input.decode(), numbers.decode()]);
  const below = pixelsOf(input).data, packed = pixelsOf(numbers);
  const { width, height } = packed, count = width * height, raw = new Float64Array(count);
  for (let i = 0; i < count; i++) raw[i] = (256 * packed.data[4 * i] + packed.data[4 * i + 1] - 32768) / 32767;
  const stops = part.dataset.stops.split(" ").map(
    (text) => [0, 2, 4].map((i) => parseInt(text.slice(i, i + 2), 16)));
  const canvas = part.querySelector("canvas"), context = canvas.getContext("2d");
  const controls = Object.fromEntries(
    [...part.querySelectorAll("[data-control]")].map((control) => [control.dataset.control, control]));
  let smooth = raw, sizes = null, radius = 0;
  const draw = () => {
    const wide = Number(controls.blur.value);
    if (!sizes || wide !== radius) {
      radius = wide;
      smooth = blurred(raw, width, height, radius);
      sizes = smooth.map(Math.abs).sort();
    }
    const share = Number(controls.percentile.value) / 100;
    const limit = sizes[Math.min(count - 1, Math.ceil(share * (count - 1)))] || sizes[count - 1] || 1;
    const blend = Number(controls.blend.value) / 50, shown = context.createImageData(width, height);
    for (let i = 0; i < count; i++) {
      const value = Math.max(-1, Math.min(1, smooth[i] / limit));
      const at = (value + 1) / 2 * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(at));
      const p = 4 * i, alpha = Math.abs(value) ** 0.75;
      const grey = 194 + 0.24 * (0.299 * below[p] + 0.587 * below[p + 1] + 0.114 * below[p + 2]);
      for (let c = 0; c < 3; c++) {
        const colour = stops[low][c] + (at - low) * (stops[low + 1][c] - stops[low][c]);
        const over = (1 - alpha) * grey + alpha * colour;
        shown.data[p + c] = blend < 1 ? below[p + c] + blend * (over - below[p + c])
          : over + (blend - 1) * (colour - over);
      }
      shown.data[p + 3] = 255;
    }
    context.putImageData(shown, 0, 0);
    for (const control of Object.values(controls)) {
      const output = control.parentElement.querySelector("output");
      if (output) output.textContent = control.value;
    }
  };
  for (const control of Object.values(controls)) control.addEventListener("input", draw);
  draw();
  part.querySelector(".live").hidden = false;
  part.querySelector(".still").hidden = true;
}

// The graph: what a box tells, boxes that open, and the size.
function graph(part) {
  const facts = JSON.parse(part.querySelector("script.boxes").textContent);
  const views = [...part.querySelectorAll(".view")], details = part.querySelector(".details");
  const crumbs = part.querySelector(".crumbs");
  let now = 0, zoom = 1;
  const make = (name, text) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const size = () => {
    const drawing = views[now].querySelector("svg");
    drawing.classList.toggle("zoomed", zoom !== 1);
    const fit = Math.min(Number(drawing.getAttribute("width")), part.clientWidth - 20);
    drawing.style.width = zoom === 1 ? "" : `${fit * zoom}px`;
  };
  const open = (number) => {
    views.forEach((view, i) => { view.hidden = i !== number; });
    now = number;
    zoom = 1;
    size();
    details.replaceChildren();
    const trail = [];
    for (let i = number; ; i = Number(views[i].dataset.above)) {
      trail.unshift(i);
      if (i === 0) break;
    }
    crumbs.replaceChildren(...trail.flatMap((i) => {
      const button = make("button", views[i].dataset.title);
      button.type = "button";
      button.addEventListener("click", () => open(i));
      return i === trail[0] ? [button] : [make("span", "›"), button];
    }));
  };
  const tell = (box) => {
    part.querySelectorAll(".chosen").forEach((other) => other.classList.remove("chosen"));
    box.classList.add("chosen");
    const fact = facts[box.dataset.box], list = make("dl");
    for (const [name, value] of fact.rows) list.append(make("dt", name), make("dd", value));
    details.replaceChildren(make("h3", fact.title), list);
    if (box.dataset.open) {
      const button = make("button", "open");
      button.type = "button";
      button.addEventListener("click", () => open(Number(box.dataset.open)));
      details.append(button);
    }
  };
  const act = (box) => {
    if (box.dataset.open && box.classList.contains("chosen")) open(Number(box.dataset.open));
    else tell(box);
  };
  for (const box of part.querySelectorAll("[data-box]")) {
    box.addEventListener("click", () => act(box));
    box.addEventListener("dblclick", () => { if (box.dataset.open) open(Number(box.dataset.open)); });
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      act(box);
    });
  }
  for (const button of part.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => {
    zoom = { in: zoom * 1.35, out: zoom / 1.35, fit: 1 }[button.dataset.zoom];
    size();
  });
  part.querySelector(".tools").hidden = false;
  open(0);
}

document.querySelectorAll(".graph").forEach(graph);
// Pictures change their height once they are drawn: whoever asked for a place is led there again.
Promise.allSettled([...document.querySelectorAll(".image")].map(image)).then(() => {
  const place = location.hash && document.getElementById(location.hash.slice(1));
  if (place) place.scrollIntoView({ behavior: "instant" });
});
