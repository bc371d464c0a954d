"use strict";
// Files are sent as they are dropped; every choice asks for what the open tab shows, and waits for it.
const token = new URLSearchParams(location.search).get("token");
const by = (id) => document.getElementById(id);
const state = { model: "", input: "", kind: "explain", asked: 0, page: "", saved: "" };
const WORDS = { explain: "explaining", audit: "auditing", compare: "comparing" };

async function ask(path, options = {}) {
  const reply = await fetch(path, { ...options, headers: { Authorization: `Bearer ${token}` } });
  if (reply.ok) return reply;
  const text = await reply.text();
  let words = text;
  try { words = JSON.parse(text).error; } catch { /* no JSON: a server that is too busy */ }
  throw new Error(words);
}

const make = (name, text, attributes = {}) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

function fail(error) {
  by("error").textContent = error.message;
  by("error").hidden = false;
  by("progress").hidden = true;
  by("said").textContent = "";
}

function clear(words) {
  by("error").hidden = true;
  by("said").textContent = words;
  by("progress").removeAttribute("value");
  by("progress").hidden = !words;
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// A job's result, or null where another job has taken its place.
async function finished(reply, words) {
  const { job } = await reply.json(), mine = state.asked = job;
  for (;;) {
    const now = await (await ask(`/api/jobs/${job}`)).json();
    if (mine !== state.asked || now.state === "superseded") return null;
    if (now.state === "failed") throw new Error(now.error);
    if (now.state === "done") {
      clear("");
      return { ...now.result, page: now.page ? await (await ask(`/api/jobs/${job}/page`)).text() : "" };
    }
    if (now.total) {
      by("progress").max = now.total;
      by("progress").value = now.done;
      by("said").textContent = `${words} · ${Math.round(100 * now.done / now.total)} %`;
    }
    await pause(120);
  }
}

const post = (path, fields) => ask(path, { method: "POST", body: JSON.stringify(fields) });

async function send(files) {
  // What lies beside a model (its weights) is there before the model is opened.
  const order = [...files].sort((a, b) => a.name.endsWith(".onnx") - b.name.endsWith(".onnx"));
  let model = "";
  for (const file of order) {
    clear(`sending ${file.name}`);
    const reply = await ask(`/api/files/${encodeURIComponent(file.name)}`, { method: "PUT", body: file });
    const { kind } = await reply.json();
    if (kind === "model") model = file.name;
    if (kind === "input") choose("input", file.name);
  }
  clear("");
  if (model) await open(model);
  else await update();
}

function choose(kind, name) {
  state[kind] = name;
  by(`name-${kind}`).textContent = name;
  by(`drop-${kind}`).classList.add("full");
  if (kind === "input") by("sample").value = 0;
}

async function open(name) {
  clear(`reading ${name}`);
  state.model = "";
  const about = await finished(await post("/api/model", { name }), `reading ${name}`);
  if (!about) return;
  choose("model", name);
  fill(about);
  await update();
}

function fill(about) {
  const options = (id, rows) => by(id).replaceChildren(...rows.map(([value, text]) => make("option", text, { value })));
  const before = by("method").value;
  options("method", about.methods.map((name) => [name, name]));
  if (about.methods.includes(before)) by("method").value = before;
  options("layer", [["", "none"], ...about.layers.map(({ name, op, shape }) => [name, `${name} · ${op} · ${shape}`])]);
  options("preset", about.presets.map((name) => [name, name || (about.prepared ? "as the model says" : "not told")]));
  options("targets", [["top", ""], ...about.labels.map((name) => [name, ""])]);
  by("for-preset").hidden = about.presets.length === 0;
  by("for-text").hidden = !about.texts;
  by("target").value = "top";
  by("best").replaceChildren();
  by("methods").replaceChildren(make("legend", "Compare with"), ...about.methods.slice(1).map((name) => {
    const label = make("label"), box = make("input", undefined, { type: "checkbox", value: name });
    box.checked = ["gradient_x_input", "epsilon_plus", "attnlrp"].includes(name);
    label.append(box, name);
    return label;
  }));
  const listed = about.inputs.map(({ name, type, shape }) => `${name}: ${type} ${shape}`).join(", ");
  by("about").textContent = `takes ${listed}; gives ${about.outputs.join(", ")}`;
  by("choices").hidden = false;
}

function choice() {
  const fields = { input: state.input, target: by("target").value || "top", method: by("method").value };
  fields.text = by("text").value;
  fields.sample = Math.max(0, Math.floor(Number(by("sample").value)) || 0);
  if (by("preset").value) fields.preset = by("preset").value;
  if (state.kind === "explain") fields.layer = by("layer").value;
  if (state.kind === "compare") {
    const others = [...by("methods").querySelectorAll("input:checked")].map((box) => box.value);
    fields.methods = [...new Set([fields.method, ...others])];
  }
  return fields;
}

async function update() {
  if (!state.model || !(state.input || by("text").value)) return;
  const kind = state.kind;
  by("shown").classList.add("old");
  clear(WORDS[kind]);
  const result = await finished(await post(`/api/${kind}`, choice()), WORDS[kind]);
  if (!result) return;
  by("shown").classList.remove("old");
  showReport(result, kind);
}

function showReport(result, kind) {
  if (state.address) URL.revokeObjectURL(state.address);
  state.page = result.page;
  state.saved = kind === "explain" ? "" : `-${kind}`;
  state.address = URL.createObjectURL(new Blob([result.page], { type: "text/html" }));
  const frame = make("iframe", undefined, { sandbox: "allow-scripts", title: "the explanation" });
  frame.src = state.address + (result.place ? `#${result.place}` : "");
  by("shown").replaceChildren(frame);
  by("download").disabled = false;
  by("said").textContent = result.said;
  by("for-sample").hidden = result.samples < 2;
  by("sample").max = result.samples - 1;
  if (result.best) by("best").replaceChildren(...result.best.map(({ target, name, value }) => {
    const chip = make("button", `${name || target} ${value}`, { type: "button", title: `target ${target}` });
    chip.addEventListener("click", () => { by("target").value = target; act(update()); });
    return chip;
  }));
}

const act = (promise) => { promise.catch(fail); };

function show(kind) {
  state.kind = kind;
  for (const tab of document.querySelectorAll("[role=tab]")) tab.setAttribute("aria-selected", tab.dataset.kind === kind);
  by("methods").hidden = kind !== "compare";
  act(update());
}

for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => { show(tab.dataset.kind); });
by("choices").addEventListener("change", () => { act(update()); });
by("choices").addEventListener("submit", (event) => { event.preventDefault(); act(update()); });
for (const kind of ["model", "input"]) {
  by(`file-${kind}`).addEventListener("change", ({ target }) => { if (target.files.length) act(send(target.files)); });
}
for (const name of ["dragover", "drop", "dragleave"]) document.addEventListener(name, (event) => {
  const over = event.target instanceof Element ? event.target.closest(".drop") : null;
  document.querySelectorAll(".drop").forEach((drop) => { drop.classList.toggle("over", name === "dragover" && drop === over); });
  if (name === "dragleave") return;
  event.preventDefault();
  if (name === "drop" && event.dataTransfer.files.length) act(send(event.dataTransfer.files));
});
by("download").addEventListener("click", () => {
  const address = URL.createObjectURL(new Blob([state.page], { type: "text/html" }));
  const stem = (name) => name.replace(/\.[^.]*$/, "") || "text";
  const link = make("a", undefined, { href: address, download: `${stem(state.model)}-${stem(state.input)}${state.saved}.html` });
  link.click();
  setTimeout(() => { URL.revokeObjectURL(address); }, 1000);
});
act((async () => {
  const { model, input } = await (await ask("/api/held")).json();
  if (input) choose("input", input);
  if (model) await open(model);
})());
