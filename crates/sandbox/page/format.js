// Values as people read them. Pure functions.

const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g;
const DAY = 86_400_000;

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("en", { weekday: "long", day: "numeric", month: "long" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

const STATUS_WORDS = {
  200: "OK", 201: "Created", 202: "Accepted", 204: "No Content",
  400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
  408: "Timeout", 409: "Conflict", 413: "Too Large", 422: "Unprocessable", 429: "Too Many Requests",
  500: "Server Error", 502: "Bad Gateway", 503: "Unavailable", 504: "Gateway Timeout",
};

/** Text with control characters made visible (NUL becomes ␀) and line ends made uniform. */
export function readable(text) {
  return String(text ?? "")
    .replace(/\r\n?/g, "\n")
    .replace(CONTROL, (character) => {
      const code = character.charCodeAt(0);
      return String.fromCharCode(code === 0x7f ? 0x2421 : 0x2400 + code);
    });
}

/** Readable text on one line of at most `limit` characters. */
export function oneLine(text, limit = 80) {
  const line = [...readable(text).replace(/\s+/g, " ").trim()];
  return line.length > limit ? `${line.slice(0, limit - 1).join("")}…` : line.join("");
}

/** Hours and minutes of a unix time in milliseconds. */
export function clock(at) {
  return clockFormat.format(at);
}

/** Day and time in full, for titles. */
export function fullTime(at) {
  return fullFormat.format(at);
}

/** `14:03:27.042`: what a log line needs. */
export function preciseTime(at) {
  const time = new Date(at);
  const pad = (value, digits = 2) => String(value).padStart(digits, "0");
  return `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}.${pad(time.getMilliseconds(), 3)}`;
}

/** The local midnight a moment belongs to: equal for all moments of one day. */
export function dayOf(at) {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** "Today", "Yesterday" or the date. */
export function dayName(day, now = Date.now()) {
  const daysAgo = Math.round((dayOf(now) - day) / DAY);
  if (daysAgo === 0) return "Today";
  if (daysAgo === 1) return "Yesterday";
  return dayFormat.format(day);
}

/** Milliseconds with as many digits as matter. */
export function duration(milliseconds) {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  if (milliseconds >= 10 || Number.isInteger(milliseconds)) return `${Math.round(milliseconds)} ms`;
  return `${milliseconds.toFixed(1)} ms`;
}

/** `503 Unavailable` */
export function statusText(status) {
  return STATUS_WORDS[status] ? `${status} ${STATUS_WORDS[status]}` : String(status);
}

/** Why something failed, from a sentence or from an error object in the Graph API's shape. */
export function reason(error) {
  if (!error) return "no reason was given";
  if (typeof error !== "object") return readable(error);
  const sentence = error.error_data?.details ?? error.details ?? error.message ?? error.title ?? "no reason was given";
  return readable(error.code ? `${sentence} (${error.code})` : sentence);
}

/** One or two letters that stand for a name. */
export function initials(name) {
  const words = readable(name).split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letters = words.map((word) => word.match(/[\p{L}\p{N}]/u)[0]);
  const pair = letters.length > 1 ? [letters[0], letters.at(-1)] : letters;
  return pair.join("").toUpperCase() || "?";
}

/** A stable number from 0 to `count - 1` for a key: which colour a person has. */
export function hue(key, count = 6) {
  let sum = 0;
  for (const character of String(key)) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return sum % count;
}

/** `1 person`, `2 people` */
export function counted(count, one, many) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
