// What the page shows: the heatmap and its scale, the shares of the classes, the story in words.

import { STOPS, grey, limitOf, paint, signed } from "./colours.js";
import { SIDE } from "./digit.js";
import { TOP, softmax } from "./explainer.js";

const BLANK = new Float32Array(SIDE * SIDE);
const MINUS = "\u2212";

export const at = (id) => document.getElementById(id);
export const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;

/** An explanation, as page.js keeps it, by the method that index.json is `about`. */
export function draw({ digit, relevance, logits, likely, explained, ms }, about, classes) {
  const shares = softmax(logits);
  const [name, logit] = [classes[explained], short(logits[explained])];
  const limit = limitOf(relevance);
  const silent = !relevance.some(Boolean);
  paint(at("seen"), digit, grey);
  paint(at("heatmap"), relevance, (value) => signed(value, limit));
  write({
    about: about.about,
    low: silent ? "" : short(-limit),
    high: silent ? "" : short(limit),
    against: `against ${name}`,
    for: `for ${name}`,
    story: silent
      ? `The logit of ${name} is ${logit}. Only a positive one is explained by this method.`
      : `The logit of ${name} is ${logit}, and the relevance of all pixels sums to ${short(sum(relevance))}.`,
    time: `${classes[likely]} is the most likely. Prediction and relevance took ${ms.toFixed(1)} ms.`,
  });
  showClasses(shares.map((share) => [share, `${(100 * share).toFixed(1)}\u202f%`]), explained);
  at("hint").hidden = true;
}

export function drawNothing(about, classes) {
  paint(at("seen"), BLANK, grey);
  paint(at("heatmap"), BLANK, (value) => signed(value, 1));
  write({ about: about.about, low: "", high: "", against: "against", for: "for", story: "", time: "" });
  showClasses(classes.map(() => [0, ""]), TOP);
  at("hint").hidden = false;
}

export function fail(text) {
  write({ problem: text });
  at("problem").hidden = false;
}

/** Fill in what index.json tells: methods, classes, samples. take(bytes) is called with the sample that is chosen. */
export function build({ methods, classes, samples }, take) {
  at("ramp").style.background = `linear-gradient(to right, ${STOPS})`;
  methods.forEach(({ method, title }, k) => {
    at("methods").append(element("label", {}, [radio("method", method, k === 0), title]));
  });
  at("classes").append(element("label", { className: "class top" }, [radio("target", TOP, true), "The most likely"]));
  classes.forEach((name, k) => {
    const share = element("span", { className: "share" }, [element("i")]);
    const parts = [radio("target", k), element("span", { className: "name" }, [name]), share, element("output")];
    at("classes").append(element("label", { className: "class" }, parts));
  });
  samples.forEach((text, k) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const picture = element("canvas", { width: SIDE, height: SIDE });
    paint(picture, bytes, (byte) => grey(byte / 255));
    const button = element("button", { type: "button", ariaLabel: `A ${classes[k]}` }, [picture]);
    button.addEventListener("click", () => take(bytes));
    at("samples").append(button);
  });
}

/** For each class how long its bar is, 0..1, and what is written behind it. */
function showClasses(shares, explained) {
  document.querySelectorAll("#classes .class:not(.top)").forEach((row, k) => {
    const [share, text] = shares[k];
    row.querySelector("i").style.width = `${100 * share}%`;
    row.querySelector("output").textContent = text;
    row.classList.toggle("explained", k === explained);
  });
}

function write(texts) {
  for (const [id, text] of Object.entries(texts)) at(id).textContent = text;
}

/** Three digits, a true minus sign. */
function short(number) {
  return String(Number(number.toPrecision(3))).replace("-", MINUS);
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function radio(name, value, checked = false) {
  return element("input", { type: "radio", name, value, checked });
}

function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
