// A compiled explainer in onnxruntime-web: one model that predicts and explains. Knows nothing of the page.

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
import { SIDE } from "./digit.js";

ort.env.wasm.wasmPaths = new URL("./node_modules/onnxruntime-web/dist/", import.meta.url).href;
ort.env.wasm.numThreads = 1; // a digit is too little work to share

/** Explains the class of the largest logit. */
export const TOP = -1;

export class Explainer {
  /** names: of the model's values, an entry of explainers/index.json. */
  constructor(session, names) {
    this.session = session;
    this.names = names;
  }

  static async load(names, folder) {
    const options = { executionProviders: ["wasm"] };
    const session = await ort.InferenceSession.create(new URL(names.file, folder).href, options);
    const explainer = new Explainer(session, names);
    await explainer.explain(new Float32Array(SIDE * SIDE)); // the first run lays out memory, and is not the one timed
    return explainer;
  }

  /**
   * Digits (N x 28 x 28, one after the other) and a class for each, or one for all, to {logits: N x 10, relevance:
   * N x 28 x 28, ms}. One call at a time.
   */
  async explain(digits, targets = [TOP]) {
    const { input, target, output, relevance } = this.names;
    const shape = [digits.length / (SIDE * SIDE), 1, SIDE, SIDE];
    const feeds = {
      [input]: new ort.Tensor("float32", digits, shape),
      [target]: new ort.Tensor("int64", BigInt64Array.from(targets, BigInt), [targets.length]),
    };
    const start = performance.now();
    const found = await this.session.run(feeds);
    const ms = performance.now() - start;
    return { logits: found[output].data, relevance: found[relevance].data, ms };
  }
}

/** exp(z_k) / sum_j exp(z_j). */
export function softmax(logits) {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
