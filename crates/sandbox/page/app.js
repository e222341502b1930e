// Wires the page together: events go into the store, the store goes onto the screen, what people do goes to the sandbox.
import { addContact, follow, getGraphCalls, getState, getWebhooks, openChat, sendMessage, sendText } from "./api.js";
import { createChat } from "./chat.js";
import { createComposer } from "./composer.js";
import { createFaults } from "./faults.js";
import { clock } from "./format.js";
import { createPeople } from "./people.js";
import { createBanner, createThemeButton, showHandshake, showLinks } from "./status.js";
import { Store } from "./store.js";
import { createWire } from "./wire.js";

const SHORTEST_FRAME_MS = 60;
const RETRY_MS = 3_000;
const PERSON_KEY = "sandbox-person";

const store = new Store();
const oneViewAtATime = matchMedia("(max-width: 759px)");
let chosen = null;
/** Whose chat the sandbox was told is being looked at; undefined: it was told nothing. */
let lookedAt;
/** Events that came while the state was on its way; null otherwise. */
let held = null;
let reloads = 0;
let connected = false;

// === the parts ===

const composer = createComposer({ onSend: send });
const people = createPeople({ onChoose: hold, onAdd: add });
const chat = createChat({ onStarter: sendStarter, onReply: sendReply, onAdd: people.add });
const wire = createWire({ onChange: schedule, onClear: () => store.wire.clear() });
const faults = createFaults();
const banner = createBanner({ onRetry: () => reconnect() });
createThemeButton();
wire.listen(store.wire);

// === from the sandbox ===

const reconnect = follow({ onOpen, onEvent: receive, onLost });

function onOpen() {
  connected = true;
  reload();
}

function onLost(failures) {
  connected = false;
  if (failures > 1) banner.lost();
}

/** Fetches everything anew. What happens meanwhile is applied on top, so nothing falls between. */
async function reload() {
  held ??= [];
  reloads += 1;
  const mine = reloads;
  const snapshot = await getState().catch(() => null);
  if (mine !== reloads) return;
  if (snapshot !== null) store.load(snapshot);
  lookedAt = undefined;
  held.forEach((event) => store.apply(event));
  held = null;
  afterReload(snapshot !== null);
}

function afterReload(succeeded) {
  if (succeeded && connected) banner.back();
  else banner.lost();
  if (connected && !succeeded) setTimeout(tryAgain, RETRY_MS);
  faults.refresh();
  recallWire();
  chooseSomebody();
  schedule();
}

/** What passed before this page was open. */
async function recallWire() {
  try {
    const [webhooks, calls] = await Promise.all([getWebhooks(), getGraphCalls()]);
    store.wire.recall(webhooks.items, calls.items);
    schedule();
  } catch {
    // The log then begins now.
  }
}

function tryAgain() {
  if (connected) reload();
}

function receive(event) {
  if (held) held.push(event);
  else store.apply(event);
  if (event.type === "graph" || event.type === "webhook") faults.onTraffic();
  schedule();
}

// === onto the screen ===

let frame = null;
let lastFrame = 0;

function schedule() {
  frame ??= setTimeout(render, Math.max(0, SHORTEST_FRAME_MS - (performance.now() - lastFrame)));
}

function render() {
  frame = null;
  lastFrame = performance.now();
  const contact = store.contacts.get(chosen);
  people.show(store.contacts, chosen, isLooking() ? chosen : null);
  tellOpen();
  if (store.loaded) chat.show(contact, store.business);
  wire.show(store.wire);
  showHandshake(store.handshake);
  showLinks(store.router, store.server);
}

/** Tells the sandbox which chat the person sees, whenever that changes: what arrives there counts as read. */
function tellOpen() {
  const open = isLooking() ? chosen : null;
  if (!connected || !store.loaded || open === lookedAt) return;
  lookedAt = open;
  // Told again after the next reconnection.
  openChat(open).catch(() => {});
}

function isLooking() {
  return document.visibilityState === "visible" && (!oneViewAtATime.matches || document.body.dataset.view === "chat");
}

// === what people do ===

async function send(text) {
  const waId = chosen;
  const { id } = await sendText(waId, text);
  if (!store.hasMessage(waId, id)) {
    store.putMessage(waId, { id, direction: "out", type: "text", text, at: Date.now(), status: "pending" });
  }
  schedule();
}

function sendStarter(text) {
  composer.fill(text);
  composer.submit();
  composer.focus();
}

async function sendReply(message) {
  try {
    await sendMessage(chosen, message);
  } catch (problem) {
    composer.fail(problem.message);
  }
}

async function add(contact) {
  const added = await addContact(contact);
  store.apply({ type: "contact", contact: added });
  return added.wa_id;
}

/** Takes up this person's phone. */
function hold(waId) {
  choose(waId);
  goTo("chat");
  if (!matchMedia("(pointer: coarse)").matches) composer.focus();
}

function choose(waId) {
  if (waId === chosen) return;
  chosen = waId;
  composer.choose(waId);
  if (waId !== null) remember(waId);
  schedule();
}

function chooseSomebody() {
  if (store.contacts.has(chosen)) return;
  const [first = null] = store.contacts.keys();
  const last = remembered();
  choose(store.contacts.has(last) ? last : first);
}

function chooseNeighbour(step) {
  const all = [...store.contacts.keys()];
  if (all.length > 0) choose(all.at((all.indexOf(chosen) + step) % all.length));
}

function remember(waId) {
  try {
    sessionStorage.setItem(PERSON_KEY, waId);
  } catch {
    // Without storage the first person is chosen after a reload.
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(PERSON_KEY);
  } catch {
    return null;
  }
}

/** Small screens show one of people, chat and wire; large ones show all and only the mark moves. */
function goTo(view) {
  document.body.dataset.view = view;
  for (const tab of document.querySelectorAll(".tabs [data-goto]")) {
    if (tab.dataset.goto === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  if (!oneViewAtATime.matches) return;
  chat.toEnd();
  wire.toEnd();
  schedule();
}

for (const link of document.querySelectorAll("[data-goto]")) {
  link.addEventListener("click", () => goTo(link.dataset.goto));
}

document.addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!event.altKey || step === undefined || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  chooseNeighbour(step);
});
document.addEventListener("visibilitychange", schedule);

function showClock() {
  document.getElementById("phone-clock").textContent = clock(Date.now());
  setTimeout(showClock, 60_000 - (Date.now() % 60_000));
}

showClock();
goTo("chat");
