// What messages other than text show on the phone, and the answers a person can give by tapping.
import { el } from "./dom.js";
import { oneLine, readable } from "./format.js";

/** The line above a message that is no text, such as `document, invoice.pdf` or `button reply`; empty for text. */
export function kindLine({ type, content }) {
  if (!type || type === "text") return "";
  const name = readable(type === "interactive" && content?.type ? content.type : type).replaceAll("_", " ");
  const detail = content?.filename ?? content?.link ?? place(content) ?? content?.name;
  return typeof detail === "string" ? `${name}, ${oneLine(detail, 60)}` : name;
}

function place(content) {
  const isPlace = typeof content?.latitude === "number" && typeof content?.longitude === "number";
  return isPlace ? (content.name ?? `${content.latitude}, ${content.longitude}`) : undefined;
}

/**
 * Buttons for the reply buttons or the list of an interactive message; null when there is nothing to tap.
 * `onReply(message)` gets what the phone would send, in the shape of a webhook's message.
 */
export function choices(message, onReply) {
  if (message.direction !== "in" || message.type !== "interactive") return null;
  const { action } = message.content ?? {};
  const tap = (kind, reply) => onReply({ type: "interactive", interactive: { type: kind, [kind]: reply }, context: { id: message.id } });
  const buttons = list(action?.buttons).map(({ reply }) => reply).filter(Boolean);
  const rows = list(action?.sections).flatMap(({ rows: found }) => list(found));
  if (buttons.length > 0) return group(buttons, (reply) => tap("button_reply", reply));
  if (rows.length > 0) return menu(action.button, rows, (reply) => tap("list_reply", reply));
  return null;
}

function menu(name, rows, onTap) {
  return el("details", { class: "menu" }, el("summary", { dir: "auto" }, readable(name || "Choose")), group(rows, onTap));
}

function group(replies, onTap) {
  return el("div", { class: "choices" }, ...replies.map((reply) => choice(reply, onTap)));
}

function choice({ id, title, description }, onTap) {
  const reply = description === undefined ? { id, title } : { id, title, description };
  const small = description ? el("small", { dir: "auto" }, readable(description)) : null;
  return el("button", { type: "button", class: "choice", dir: "auto", onclick: () => onTap(reply) }, readable(title), small);
}

const list = (value) => (Array.isArray(value) ? value.filter((item) => item !== null && typeof item === "object") : []);
