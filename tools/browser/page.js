// The page: what is drawn goes through the explainer and onto the screen, one digit after the other.

import { centred } from "./digit.js";
import { Explainer, TOP } from "./explainer.js";
import { Pad } from "./pad.js";
import { at, build, chosen, draw, drawNothing, fail } from "./view.js";

const FOLDER = new URL("./explainers/", import.meta.url);

/** What is on the screen: the digit, its explanation, the method and the class. Null before anything is drawn. */
export let shown = null;

const loaded = new Map(); // method to Explainer: each file is fetched when it is first chosen
const index = await read();
const pad = new Pad(at("pad"), at("pen"), refresh);
let stale = false;
let busy = false;

build(index, (bytes) => pad.show(bytes));
document.body.addEventListener("change", refresh);
at("clear").addEventListener("click", () => pad.clear());
refresh();

async function read() {
  const answer = await fetch(new URL("index.json", FOLDER));
  if (answer.ok) return answer.json();
  fail("There are no explainers yet. In the root of the repository: python -m tools.browser.explainers");
  throw new Error(`explainers/index.json: ${answer.status}`);
}

/** Explain what is drawn now; what changes meanwhile is explained next, so that one run is under way at most. */
async function refresh() {
  stale = true;
  if (busy) return;
  busy = true;
  try {
    while (stale) {
      stale = false;
      await explain();
      await new Promise(requestAnimationFrame);
    }
  } catch (error) {
    fail(`The explainer does not run here: ${error.message}`);
  } finally {
    busy = false;
  }
}

async function explain() {
  const method = chosen("method");
  const target = Number(chosen("target"));
  const digit = centred(pad.ink, pad.canvas.width, pad.canvas.height);
  const about = index.methods.find((entry) => entry.method === method);
  if (!loaded.has(method)) loaded.set(method, await Explainer.load(about, FOLDER));
  if (digit) {
    const found = await loaded.get(method).explain(digit, [target]);
    const likely = found.logits.indexOf(Math.max(...found.logits));
    shown = { digit, method, target, likely, explained: target === TOP ? likely : target, ...found };
    draw(shown, about, index.classes);
  } else {
    shown = null;
    drawNothing(about, index.classes);
  }
}
