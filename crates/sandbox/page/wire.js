// Everything that goes over the wire, as it happens: webhooks to the router, Graph calls from it.
import { KeyedList, el, hidden, icon, setText, stickToEnd } from "./dom.js";
import { counted, duration, fullTime, preciseTime, statusText } from "./format.js";
import { jsonBlock } from "./json.js";
import { summary } from "./summary.js";

/** `onChange()` asks for the next `show(log)`. */
export function createWire({ onChange, onClear }) {
  const byId = (id) => document.getElementById(id);
  const scroll = stickToEnd(byId("wire-scroll"));
  const list = new KeyedList(byId("wire-list"), (entry) => entry.key, createRow);
  let filter = "all";
  /** While paused: what was there at that moment. */
  let paused = null;

  function show(log) {
    const follow = scroll.isAtEnd();
    const source = paused ?? log;
    const entries = source.entries.filter(({ type }) => filter === "all" || type === filter);
    list.show(entries);
    setText(byId("wire-note"), note(log));
    showEmpty(entries, source);
    if (follow) scroll.toEnd();
  }

  function note(log) {
    if (!paused) return "";
    const missed = log.total - paused.total;
    return missed === 0 ? "Paused." : `Paused; ${counted(missed, "newer entry", "newer entries")} held back.`;
  }

  function showEmpty(entries, source) {
    const empty = byId("wire-empty");
    empty.hidden = entries.length > 0;
    const kind = source.entries.length > 0 ? "none of this kind" : "quiet";
    if (empty.dataset.kind === kind) return;
    empty.dataset.kind = kind;
    empty.replaceChildren(...(kind === "quiet" ? explanation() : ["Nothing of this kind yet."]));
  }

  function togglePause(log) {
    paused = paused ? null : { entries: log.entries, total: log.total };
    byId("wire-pause").setAttribute("aria-pressed", String(paused !== null));
    onChange();
  }

  function clear() {
    onClear();
    if (paused) paused = { ...paused, entries: [] };
    onChange();
  }

  function listen(log) {
    byId("wire-pause").addEventListener("click", () => togglePause(log));
    byId("wire-clear").addEventListener("click", clear);
    for (const radio of document.getElementsByName("wire-filter")) {
      radio.addEventListener("change", () => {
        filter = radio.value;
        onChange();
      });
    }
  }

  return { show, listen, toEnd: scroll.toEnd };
}

function explanation() {
  return [
    el("p", { class: "empty-title" }, "Quiet so far"),
    el("p", {}, "Send a message and watch it pass:"),
    el("p", {}, direction({ type: "webhook" }), " what the simulator posts to the router"),
    el("p", {}, direction({ type: "graph" }), " what the router asks of the simulator"),
  ];
}

function createRow(first) {
  const status = el("span", { class: "code" });
  const took = el("span", { class: "took" });
  const body = el("div", { class: "row-body" });
  const details = el("details", { class: "row" }, heading(first, status, took), body);
  let entry = null;

  function update(current) {
    if (current === entry) return;
    entry = current;
    showStatus(status, current);
    setText(took, current.duration_ms == null ? "" : duration(current.duration_ms));
    if (details.open) fill();
  }

  function fill() {
    body.replaceChildren(...blocks(entry));
  }

  details.addEventListener("toggle", () => (details.open ? fill() : body.replaceChildren()));
  return { root: el("li", {}, details), update };
}

function heading(entry, status, took) {
  const { what, about } = summary(entry);
  return el(
    "summary",
    {},
    icon("more"),
    el("time", { datetime: new Date(entry.at).toISOString(), title: fullTime(entry.at) }, preciseTime(entry.at)),
    direction(entry),
    el("span", { class: "what" }, what),
    el("bdi", { class: "about" }, about),
    status,
    took,
  );
}

function direction({ type }) {
  const [name, words] = type === "webhook" ? ["out", "Webhook to the router"] : ["in", "Graph call from the router"];
  return el("span", { class: `direction ${type}`, title: words }, icon(name), hidden(words), el("span", { "aria-hidden": "true" }, type === "webhook" ? "Webhook" : "Graph"));
}

function showStatus(node, entry) {
  const { level, text } = outcome(entry);
  node.className = `code ${level}`;
  setText(node, entry.attempt > 1 ? `${text}, try ${entry.attempt}` : text);
}

function outcome({ status, duration_ms: took, response }) {
  if (status == null) return took == null ? { level: "waiting", text: "waiting…" } : { level: "bad", text: "no answer" };
  const level = status < 300 ? "ok" : status < 500 ? "warn" : "bad";
  // Graph's own code says more than the words for the status.
  const code = response?.error?.code;
  return { level, text: code === undefined ? statusText(status) : `${status}, code ${code}` };
}

function triesOf({ tries, attempt }) {
  if (attempt === 1) return [];
  return [el("ol", { class: "tries" }, ...tries.map((one) => el("li", {}, `try ${one.attempt}: ${outcome(one).text}, ${duration(one.duration_ms ?? 0)}`)))];
}

function blocks(entry) {
  if (entry.type === "webhook") return [...triesOf(entry), jsonBlock("Webhook body", entry.body)];
  const line = el("p", { class: "request-line" }, `${entry.method} ${entry.path}`);
  const parts = [["Request", entry.request], ["Response", entry.response]].filter(([, value]) => value != null && value !== "");
  return [line, ...parts.map(([title, value]) => jsonBlock(title, value))];
}
