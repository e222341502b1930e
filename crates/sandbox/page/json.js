// JSON to read and to copy.
import { el, setText } from "./dom.js";
import { readable } from "./format.js";

const TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const COLOURED_UP_TO = 20_000;
const FEEDBACK_MS = 1_500;

/** A titled block of pretty JSON with a copy button. */
export function jsonBlock(title, value) {
  const text = JSON.stringify(value, null, 2) ?? "";
  return el(
    "div",
    { class: "json" },
    el("div", { class: "json-head" }, el("strong", {}, title), copyButton(title, text)),
    el("pre", { tabindex: "0", role: "group", "aria-label": `${title}, JSON` }, el("code", {}, ...coloured(text))),
  );
}

function coloured(text) {
  if (text.length > COLOURED_UP_TO) return [readable(text)];
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    parts.push(readable(text.slice(end, match.index)), token(match));
    end = match.index + match[0].length;
  }
  parts.push(readable(text.slice(end)));
  return parts;
}

function token([whole, string, colon]) {
  if (colon) return el("span", { class: "json-key" }, readable(whole));
  return el("span", { class: string ? "json-string" : "json-value" }, readable(whole));
}

function copyButton(title, text) {
  const label = el("span", { role: "status" }, "Copy");
  const button = el("button", { type: "button", class: "quiet small", "aria-label": `Copy ${title}` }, label);
  button.addEventListener("click", async () => {
    setText(label, (await copy(text)) ? "Copied" : "Copying failed");
    button.removeAttribute("aria-label");
    setTimeout(() => {
      setText(label, "Copy");
      button.setAttribute("aria-label", `Copy ${title}`);
    }, FEEDBACK_MS);
  });
  return button;
}

/** The clipboard API is there on https and on localhost alone; the old way works elsewhere. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function copyBySelection(text) {
  const before = document.activeElement;
  const field = el("textarea", { class: "visually-hidden", "aria-hidden": "true" });
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  before?.focus();
  return copied;
}
