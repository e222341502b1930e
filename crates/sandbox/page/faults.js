// A few switches over `/faults`: enough trouble to see that the router keeps its promise. Faults set elsewhere are left alone.
import { clearFaults, getFaults, putFaults } from "./api.js";
import { el, hidden, setText } from "./dom.js";

const REFRESH_MS = 400;
const ALWAYS = Infinity;

const SWITCHES = [
  dose("Lose the next answer", "taken, but the router never hears so", "graph", "lost_answers", { count: 1 }),
  refusal("Throttle the next 3 sends", "error 130429, as Meta does above the limit", { code: 130429, count: 3 }),
  refusal("Answer 500 to the next 2", "did it go out? the router takes its time to find out", { code: 131000, http_status: 500, count: 2 }),
  refusal("Fail the next reply later", "accepted, then a status “failed” (131026)", { code: 131026, count: 1, as_status: true }),
  wait("Answer slowly", "half a second more for every Graph call", "graph", "latency_ms", 500),
  dose("Deliver every webhook twice", "there must still be one answer", "webhooks", "duplicate", { rate: 1 }),
];

/** A switch over one dose. `left` says how often it will still strike, `set` writes it into a faults document. */
function dose(label, hint, area, field, value) {
  return {
    label,
    hint,
    left: (faults) => remaining(faults[area][field]),
    set: (faults, on) => {
      if (on) faults[area][field] = value;
      else delete faults[area][field];
    },
  };
}

function wait(label, hint, area, field, milliseconds) {
  return {
    label,
    hint,
    left: (faults) => (faults[area][field] > 0 ? ALWAYS : 0),
    set: (faults, on) => {
      faults[area][field] = on ? milliseconds : 0;
    },
  };
}

function refusal(label, hint, error) {
  const isOurs = ({ code, to }) => code === error.code && !to;
  return {
    label,
    hint,
    left: ({ graph }) => remaining(graph.errors.find(isOurs)),
    set: ({ graph }, on) => {
      const others = graph.errors.filter((other) => !isOurs(other));
      graph.errors = on ? [...others, error] : others;
    },
  };
}

function remaining(value) {
  if (value == null) return 0;
  if (value.count != null) return value.count;
  return value.rate === 0 ? 0 : ALWAYS;
}

/** Fills in what the document may leave out. */
function complete(faults) {
  const document = { ...faults, graph: { ...faults?.graph }, webhooks: { ...faults?.webhooks } };
  document.graph.errors ??= [];
  return document;
}

export function createFaults() {
  const byId = (id) => document.getElementById(id);
  const panel = byId("faults");
  const toggle = byId("faults-toggle");
  const views = SWITCHES.map((one) => switchView(one, (on) => change((faults) => one.set(faults, on))));
  byId("fault-switches").append(...views.map(({ root }) => root));
  let active = 0;
  let timer = null;

  function show(answer) {
    const faults = complete(answer);
    active = views.filter((view) => view.show(faults)).length;
    const badge = byId("faults-count");
    badge.hidden = active === 0;
    badge.replaceChildren(String(active), hidden(" switched on"));
    setText(byId("faults-note"), "");
  }

  async function attempt(work) {
    try {
      show(await work());
    } catch (problem) {
      setText(byId("faults-note"), problem.message);
    }
  }

  const refresh = () => attempt(getFaults);

  const change = (edit) =>
    attempt(async () => {
      const faults = complete(await getFaults());
      edit(faults);
      await putFaults(faults);
      return getFaults();
    });

  const reset = () =>
    attempt(async () => {
      await clearFaults();
      return getFaults();
    });

  /** Counts go down as traffic passes: looks again soon, but only while something is switched on. */
  function onTraffic() {
    if (active === 0 || timer !== null) return;
    timer = setTimeout(() => {
      timer = null;
      refresh();
    }, REFRESH_MS);
  }

  toggle.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    toggle.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hidden) refresh();
  });
  byId("faults-reset").addEventListener("click", reset);
  return { refresh, onTraffic };
}

function switchView({ label, hint, left }, onSwitch) {
  const input = el("input", { type: "checkbox", role: "switch", onchange: () => onSwitch(input.checked) });
  const count = el("span", { class: "switch-left" });
  const root = el("label", { class: "switch" }, input, el("span", { class: "switch-text" }, label, " ", count, el("small", {}, hint)));

  /** Answers whether it is on. */
  function show(faults) {
    const times = left(faults);
    input.checked = times > 0;
    setText(count, times > 0 && times !== ALWAYS ? `${times} left` : "");
    return times > 0;
  }

  return { root, show };
}
