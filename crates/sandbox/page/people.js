// The people whose phones lie on the desk, and the dialog that adds one.
import { KeyedList, el, hidden, setAttribute, setText } from "./dom.js";
import { clock, counted, dayName, dayOf, hue, initials, oneLine, readable } from "./format.js";
import { unread } from "./store.js";

const SHOWN = 100;

/** `onChoose(waId)`; `onAdd({name, wa_id?})` answers a promise of the new `wa_id` that rejects with why not. */
export function createPeople({ onChoose, onAdd }) {
  const list = new KeyedList(document.getElementById("people-list"), (item) => item.contact.wa_id, (item) => row(item, onChoose));
  const title = document.title;
  const more = document.getElementById("people-more");
  const badge = document.getElementById("people-badge");
  const dialog = createDialog(onAdd, onChoose);
  document.getElementById("add-person").addEventListener("click", dialog.open);

  /** `lookedAt` is the person whose chat is on the screen: nothing in it is unread for long. */
  function show(contacts, chosen, lookedAt) {
    const all = [...contacts.values()].map((contact) => ({
      contact,
      chosen: contact.wa_id === chosen,
      unseen: contact.wa_id === lookedAt ? 0 : unread(contact).length,
    }));
    const shown = all.filter((item, index) => index < SHOWN || item.chosen);
    list.show(shown);
    more.hidden = shown.length === all.length;
    setText(more, `and ${counted(all.length - shown.length, "more person", "more people")}`);
    const unseen = all.reduce((sum, item) => sum + item.unseen, 0);
    showBadge(badge, unseen);
    document.title = unseen > 0 ? `(${unseen}) ${title}` : title;
  }

  return { show, add: dialog.open };
}

function row({ contact }, onChoose) {
  const name = el("bdi");
  const preview = el("bdi");
  const time = el("span", { class: "person-time" });
  const badge = el("span", { class: "badge" });
  const button = el(
    "button",
    { type: "button", class: "person", onclick: () => onChoose(contact.wa_id) },
    avatar(contact),
    el("span", { class: "person-line" }, el("span", { class: "person-name" }, name), badge),
    el("span", { class: "person-line" }, el("span", { class: "person-preview" }, preview), time),
  );

  function update({ contact: current, chosen, unseen }) {
    const last = current.messages.at(-1);
    setAttribute(button, "aria-current", chosen && "true");
    setText(name, readable(current.name));
    setText(preview, previewOf(current, last));
    preview.classList.toggle("is-typing", current.typing);
    setText(time, last ? when(last.at) : "");
    showBadge(badge, unseen);
  }

  return { root: el("li", {}, button), update };
}

/** A coloured disc with a person's initials. */
function avatar({ wa_id: waId, name }) {
  return el("span", { class: `avatar hue-${hue(waId)}`, "aria-hidden": "true" }, initials(name));
}

function previewOf(contact, last) {
  if (contact.typing) return "typing…";
  if (!last) return `+${contact.wa_id}`;
  const text = oneLine(last.text, 60) || last.type;
  return last.direction === "out" ? `You: ${text}` : text;
}

function when(at) {
  const day = dayOf(at);
  return dayName(day) === "Today" ? clock(at) : new Date(at).toLocaleDateString(undefined, { day: "numeric", month: "short" });
}

function showBadge(badge, count) {
  badge.hidden = count === 0;
  if (badge.dataset.count === String(count)) return;
  badge.dataset.count = String(count);
  badge.replaceChildren(count > 99 ? "99+" : String(count), hidden(" unread"));
}

function createDialog(onAdd, onChoose) {
  const dialog = document.getElementById("person-dialog");
  const form = document.getElementById("person-form");
  const error = document.getElementById("person-error");

  function open() {
    form.reset();
    fail("");
    dialog.showModal();
  }

  function fail(message) {
    error.hidden = message === "";
    setText(error, message);
  }

  async function submit(event) {
    event.preventDefault();
    const name = form.elements.namedItem("name").value.trim();
    const number = form.elements.namedItem("wa_id").value.trim();
    try {
      const waId = await onAdd(number === "" ? { name } : { name, wa_id: number });
      dialog.close();
      onChoose(waId);
    } catch (problem) {
      fail(problem.message);
    }
  }

  form.addEventListener("submit", submit);
  document.getElementById("person-cancel").addEventListener("click", () => dialog.close());
  return { open };
}
