// One line that says what a webhook or a Graph call is about. Pure functions over whatever JSON came by.
import { oneLine } from "./format.js";

/** What kind of thing it is, and what it is about: `{ what, about }`. */
export function summary(entry) {
  return entry.type === "webhook" ? webhook(entry.body) : graph(entry);
}

function webhook(body) {
  const items = list(body?.entry).flatMap(({ changes }) => list(changes).flatMap(changeItems));
  if (items.length === 0) return { what: "webhook", about: "" };
  const [first] = items;
  return { what: first.what, about: items.length > 1 ? `${first.about} and ${items.length - 1} more` : first.about };
}

function changeItems({ field, value }) {
  const messages = list(value?.messages).map((message) => ({ what: "message", about: messageText(message) }));
  const statuses = list(value?.statuses).map(({ status, id }) => ({ what: `status ${status}`, about: shortId(id) }));
  const errors = list(value?.errors).map(({ code, title }) => ({ what: "error", about: oneLine(`${code} ${title ?? ""}`) }));
  const items = [...messages, ...statuses, ...errors];
  return items.length > 0 ? items : [{ what: String(field ?? "change"), about: "" }];
}

function messageText(message) {
  const text = message.text?.body ?? message.button?.text ?? message[message.type]?.caption;
  return text === undefined ? String(message.type ?? "") : quote(text);
}

function graph({ method, path, request }) {
  const call = `${method} ${path}`;
  if (request?.status === "read") return { what: request.typing_indicator ? "read, typing" : "read", about: call };
  if (typeof request?.type === "string") {
    const text = request.text?.body ?? request.template?.name ?? request[request.type]?.caption;
    return { what: `send ${oneLine(request.type, 20)}`, about: text === undefined ? call : quote(text) };
  }
  return { what: method, about: String(path) };
}

const quote = (text) => `“${oneLine(text, 70)}”`;
const shortId = (id) => `…${String(id ?? "").slice(-8)}`;
const list = (value) => (Array.isArray(value) ? value.filter((item) => item !== null && typeof item === "object") : []);
