// What the page knows: a snapshot of the sandbox, kept up to date by its events. No DOM in here.

const MESSAGES_KEPT = 300;
const WIRE_KEPT = 300;
const TRIES_KEPT = 20;

export class Store {
  contacts = new Map();
  business = {};
  router = {};
  server = {};
  handshake = null;
  loaded = false;
  wire = new WireLog();

  /** Replaces everything but the wire by what `GET /phone/state` answered. */
  load(snapshot) {
    this.contacts = new Map(snapshot.contacts.map((contact) => [contact.wa_id, toContact(contact)]));
    this.business = snapshot.business ?? {};
    this.router = snapshot.router ?? {};
    this.server = snapshot.server ?? {};
    this.handshake = snapshot.handshake ?? null;
    this.loaded = true;
  }

  /** Takes one event in; unknown kinds are left alone. */
  apply(event) {
    switch (event.type) {
      case "contact":
        return this.#contact(event.contact ?? event);
      case "message":
        return this.putMessage(event.wa_id, event.message);
      case "status":
        return this.#status(event);
      case "typing":
        this.#contactOf(event.wa_id).typing = event.on;
        return undefined;
      case "handshake":
        this.handshake = { ok: event.ok, detail: event.detail };
        return undefined;
      case "webhook":
      case "graph":
        return this.wire.put(event);
      default:
        return undefined;
    }
  }

  /** Adds a message, or replaces the one with the same id. */
  putMessage(waId, message) {
    const contact = this.#contactOf(waId);
    const at = contact.messages.findLastIndex(({ id }) => id === message.id);
    if (at >= 0) contact.messages[at] = message;
    else contact.messages.push(message);
    contact.messages.splice(0, contact.messages.length - MESSAGES_KEPT);
    if (message.direction === "in") contact.typing = false;
  }

  hasMessage(waId, id) {
    return this.contacts.get(waId)?.messages.some((message) => message.id === id) ?? false;
  }

  #contact(contact) {
    const known = this.contacts.get(contact.wa_id);
    this.contacts.set(contact.wa_id, toContact({ ...known, ...contact, messages: contact.messages ?? known?.messages }));
  }

  #contactOf(waId) {
    if (!this.contacts.has(waId)) this.contacts.set(waId, toContact({ wa_id: waId }));
    return this.contacts.get(waId);
  }

  #status({ wa_id: waId, id, status, error }) {
    const { messages } = this.#contactOf(waId);
    const at = messages.findLastIndex((message) => message.id === id);
    if (at >= 0) messages[at] = { ...messages[at], status, error };
  }
}

function toContact(contact) {
  return {
    ...contact,
    name: contact.name || contact.wa_id,
    messages: (contact.messages ?? []).slice(-MESSAGES_KEPT),
    typing: contact.typing ?? false,
  };
}

/** Messages of the business that this person has not looked at. */
export function unread(contact) {
  return contact.messages.filter(({ direction, status }) => direction === "in" && status !== "read" && status !== "failed");
}

/** A webhook that is sent again stays one entry, which remembers how its last tries went. */
function toEntry(event, earlier) {
  const { attempt = 1, status, duration_ms } = event;
  const tries = (earlier?.tries ?? []).filter((other) => other.attempt !== attempt).slice(1 - TRIES_KEPT);
  return { ...event, attempt, key: keyOf(event), tries: [...tries, { attempt, status, duration_ms }] };
}

function keyOf({ type, id }) {
  return `${type} ${id}`;
}

/** The last few hundred webhooks and Graph calls, oldest first. Entries are never changed, only replaced. */
class WireLog {
  entries = [];
  /** How many were ever put: tells a reader who looked away how many came since. */
  total = 0;
  #clearedAt = 0;

  put(event) {
    const at = this.entries.findLastIndex(({ key }) => key === keyOf(event));
    if (at >= 0) {
      this.entries = this.entries.with(at, toEntry(event, this.entries[at]));
      return;
    }
    this.total += 1;
    // A slow answer is told late; its place is where the call began.
    const before = this.entries.findLastIndex((entry) => entry.at <= event.at);
    this.entries = this.entries.toSpliced(before + 1, 0, toEntry(event)).slice(-WIRE_KEPT);
  }

  /** Adds what happened before the page was there, as `GET /webhooks` and `GET /graph/calls` tell it. */
  recall(webhooks, calls) {
    const known = new Set(this.entries.map(({ key }) => key));
    const older = [
      // Without an attempt it is still on its way, and its event will come.
      ...webhooks.filter(({ attempts }) => attempts > 0).map((record) => toEntry({ ...record, type: "webhook", attempt: record.attempts })),
      ...calls.map((record) => toEntry({ ...record, type: "graph" })),
    ].filter(({ key, at }) => at > this.#clearedAt && !known.has(key));
    this.entries = [...older, ...this.entries].sort((one, other) => one.at - other.at).slice(-WIRE_KEPT);
  }

  clear() {
    this.#clearedAt = this.entries.at(-1)?.at ?? this.#clearedAt;
    this.entries = [];
  }
}
