// Where the person on the phone types.
import { setText } from "./dom.js";

/** What WhatsApp lets a person write in one message, in characters. */
const LIMIT = 65_536;
/** Near the 4,096 that a business may write, length becomes interesting. */
const COUNT_FROM = 4_000;
const MOST_ROWS = 6;

/** `onSend(text)` answers a promise that rejects with why the sandbox did not take it. */
export function createComposer({ onSend }) {
  const form = document.getElementById("composer");
  const field = document.getElementById("message");
  const send = document.getElementById("send");
  const error = document.getElementById("composer-error");
  const count = document.getElementById("composer-count");
  let person = null;
  /** What was typed but not sent, by person. */
  const drafts = new Map();

  function refresh() {
    const length = [...field.value].length;
    field.rows = Math.min(field.value.split("\n").length, MOST_ROWS);
    send.disabled = person === null || field.value.trim() === "" || length > LIMIT;
    setText(count, length < COUNT_FROM ? "" : `${length.toLocaleString("en")} of ${LIMIT.toLocaleString("en")}`);
    count.classList.toggle("too-long", length > LIMIT);
  }

  function fail(message) {
    error.hidden = message === "";
    setText(error, message);
  }

  function fill(text) {
    field.value = text;
    fail("");
    refresh();
  }

  async function submit() {
    if (send.disabled) return;
    const text = field.value;
    const sender = person;
    fill("");
    try {
      await onSend(text);
    } catch (problem) {
      giveBack(sender, text, problem);
    }
  }

  function giveBack(sender, text, problem) {
    if (sender !== person) drafts.set(sender, text);
    else if (field.value === "") fill(text);
    fail(problem.message);
  }

  /** Switches to another person, whose draft comes back. */
  function choose(waId) {
    if (person !== null) drafts.set(person, field.value);
    person = waId;
    field.disabled = waId === null;
    fill(drafts.get(waId) ?? "");
    drafts.delete(waId);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("input", refresh);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  choose(null);

  return { choose, fill, submit, fail, focus: () => field.focus() };
}
