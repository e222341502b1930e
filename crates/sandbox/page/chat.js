// One chat on the phone's screen: bubbles, days, ticks, the typing indicator, and what to try when it is empty.
import { KeyedList, el, hidden, icon, setAttribute, setText, stickToEnd } from "./dom.js";
import { clock, dayName, dayOf, fullTime, readable, reason } from "./format.js";
import { choices, kindLine } from "./rich.js";
import { unread } from "./store.js";

const TICKS = {
  pending: { icon: "pending", text: "On its way" },
  sent: { icon: "sent", text: "Sent" },
  delivered: { icon: "delivered", text: "Delivered" },
  read: { icon: "read", text: "Read" },
  failed: { icon: "failed", text: "Not delivered" },
};
const STARTERS = ["hello there", "Where is my order?", "مرحبًا 👋🏽"];
const LONG_TEXT = 700;
const LONG_LINES = 14;

/** `onStarter(text)`: a suggestion was chosen; `onReply(message)`: a button was tapped; `onAdd()`: there is nobody yet. */
export function createChat({ onStarter, onReply, onAdd }) {
  const byId = (id) => document.getElementById(id);
  const log = byId("log");
  const scroll = stickToEnd(log);
  const toNewest = byId("to-newest");
  let list = newList();
  let shown = null;
  let newest = null;

  function show(contact, business) {
    const switched = contact?.wa_id !== shown;
    const follow = switched || scroll.isAtEnd() || isOwnNews(contact);
    if (switched) start(contact);
    setText(byId("phone-owner"), contact ? `${readable(contact.name)}’s phone` : "Nobody’s phone");
    setText(byId("business-name"), readable(business.name || "Your business"));
    setText(byId("chat-presence"), contact?.typing ? "typing…" : presence(business));
    setText(byId("typing-news"), contact?.typing ? "typing" : "");
    byId("chat-presence").classList.toggle("is-typing", contact?.typing ?? false);
    list.show(contact ? withDays(contact.messages) : []);
    byId("typing").hidden = !contact?.typing;
    showEmpty(contact);
    newest = contact?.messages.at(-1)?.id ?? null;
    if (follow) scroll.toEnd();
    showToNewest(contact);
  }

  /** A new chat's old messages are not news, so the live region keeps quiet while they come in. */
  function start(contact) {
    shown = contact?.wa_id;
    log.setAttribute("aria-live", "off");
    list = newList();
    setTimeout(() => log.setAttribute("aria-live", "polite"), 500);
  }

  function newList() {
    byId("messages").replaceChildren();
    const create = ({ message }) => (message ? bubble(message, onReply) : separator());
    return new KeyedList(byId("messages"), ({ key }) => key, create);
  }

  function isOwnNews(contact) {
    const last = contact?.messages.at(-1);
    return last !== undefined && last.id !== newest && last.direction === "out";
  }

  function showToNewest(contact) {
    toNewest.hidden = scroll.isAtEnd();
    setText(toNewest.lastElementChild, contact && unread(contact).length > 0 ? "New messages" : "Newest");
  }

  function showEmpty(contact) {
    const empty = byId("empty-chat");
    empty.hidden = contact !== undefined && contact.messages.length > 0;
    const kind = contact ? "quiet" : "nobody";
    if (empty.dataset.kind === kind) return;
    empty.dataset.kind = kind;
    empty.replaceChildren(...(contact ? suggestions(onStarter) : nobody(onAdd)));
  }

  toNewest.addEventListener("click", () => {
    scroll.toEnd();
    log.focus();
  });
  log.addEventListener("scroll", () => {
    toNewest.hidden = scroll.isAtEnd();
  });
  return { show, toEnd: scroll.toEnd };
}

function presence(business) {
  const number = business.display_phone_number;
  return number ? `business account, ${readable(number)}` : "business account";
}

/** Messages with a separator before the first of each day. */
function withDays(messages) {
  const items = [];
  let day = null;
  for (const message of messages) {
    const messageDay = dayOf(message.at);
    if (messageDay !== day) items.push({ key: `day before ${message.id}`, day: messageDay });
    day = messageDay;
    items.push({ key: `message ${message.id}`, message });
  }
  return items;
}

function separator() {
  const name = el("span");
  return { root: el("li", { class: "day" }, name), update: ({ day }) => setText(name, dayName(day)) };
}

function bubble(first, onReply) {
  const { direction, at } = first;
  const answers = choices(first, onReply);
  const kind = answers ? "" : kindLine(first);
  const text = el("p", { class: "text", dir: "auto" });
  const tick = el("span", { class: "tick", "aria-live": "off" });
  const failure = el("p", { class: "failure" });
  const fold = foldable(text);
  const root = el(
    "li",
    { class: `bubble ${direction}` },
    hidden(direction === "out" ? "You: " : "Business: "),
    kind ? el("span", { class: "kind" }, kind) : null,
    text,
    fold,
    el("span", { class: "meta" }, el("time", { datetime: new Date(at).toISOString(), title: fullTime(at) }, clock(at)), direction === "out" ? tick : null),
    failure,
    answers,
  );

  function update({ message }) {
    setText(text, readable(message.text));
    setAttribute(fold, "hidden", !isLong(message.text));
    text.classList.toggle("clamped", isLong(message.text) && fold.getAttribute("aria-expanded") === "false");
    showTick(tick, message.status);
    failure.hidden = message.status !== "failed";
    setText(failure, message.status === "failed" ? `Not delivered: ${reason(message.error)}` : "");
  }

  return { root, update };
}

function showTick(tick, status) {
  const { icon: name, text } = TICKS[status] ?? TICKS.pending;
  if (tick.dataset.status === status) return;
  tick.dataset.status = status;
  tick.title = text;
  tick.replaceChildren(icon(name), hidden(text));
}

function isLong(text) {
  const { length } = String(text ?? "");
  return length > LONG_TEXT || (length > LONG_LINES && text.split("\n").length > LONG_LINES);
}

function foldable(text) {
  const button = el("button", { type: "button", class: "fold", "aria-expanded": "false", onclick: toggle }, "Show all");
  function toggle() {
    const open = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(open));
    setText(button, open ? "Show less" : "Show all");
    text.classList.toggle("clamped", !open);
  }
  return button;
}

function suggestions(onStarter) {
  return [
    el("p", { class: "empty-title" }, "Say something"),
    el("p", {}, "Your message goes to the router as a signed webhook, and the answer comes back here. Try:"),
    el("ul", { class: "starters" }, ...STARTERS.map((text) => el("li", {}, starter(text, onStarter)))),
  ];
}

function starter(text, onStarter) {
  return el("button", { type: "button", class: "starter", dir: "auto", onclick: () => onStarter(text) }, hidden("Send: "), text);
}

function nobody(onAdd) {
  return [
    el("p", { class: "empty-title" }, "Nobody holds this phone"),
    el("p", {}, "Add a person, then write to your business in their name."),
    el("button", { type: "button", class: "solid", onclick: onAdd }, "Add a person"),
  ];
}
