// The sandbox's HTTP API, and its event stream with reconnection.

const PATIENCE_MS = 10_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8_000;

export const getState = () => request("GET", "/phone/state");
export const addContact = (contact) => request("POST", "/phone/contacts", contact);
export const sendText = (waId, text) => request("POST", "/phone/messages", { wa_id: waId, text });
/** `message` as a webhook carries it, without id, sender and time. */
export const sendMessage = (waId, message) => request("POST", "/phone/messages", { wa_id: waId, message });
/** The person looks at this chat and at no other; null: at none. */
export const openChat = (waId) => request("POST", "/phone/open", { wa_id: waId });
export const getWebhooks = () => request("GET", "/webhooks");
export const getGraphCalls = () => request("GET", "/graph/calls");
export const getFaults = () => request("GET", "/faults");
export const putFaults = (faults) => request("PUT", "/faults", faults);
export const clearFaults = () => request("DELETE", "/faults");

async function request(method, path, body) {
  const options = { method, signal: AbortSignal.timeout(PATIENCE_MS) };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers = { "content-type": "application/json" };
  }
  const response = await fetch(path, options).catch(() => {
    throw new Error("The sandbox did not answer. Is it still running?");
  });
  const answer = parse(await response.text());
  if (!response.ok) throw new Error(answer?.detail ?? answer?.title ?? `The sandbox answered ${response.status}.`);
  return answer;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * Follows the event stream for good: `onOpen()` at every (re)connection, `onEvent(event)`, and `onLost(failures)` with
 * the failures in a row. The sandbox itself ends a stream that cannot keep up, so one failure need not mean anything.
 * Answers a function that tries again at once.
 */
export function follow({ onOpen, onEvent, onLost }) {
  let source = null;
  let timer = null;
  let failures = 0;

  function connect() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource("/phone/events");
    source.onopen = () => {
      failures = 0;
      onOpen();
    };
    source.onmessage = ({ data }) => {
      const event = parse(data);
      if (event) onEvent(event);
    };
    source.onerror = retryLater;
  }

  // The browser's own retry gives up for good on some errors, so this one replaces it.
  function retryLater() {
    source.close();
    clearTimeout(timer);
    timer = setTimeout(connect, Math.min(FIRST_RETRY_MS * 2 ** failures, LONGEST_RETRY_MS));
    failures += 1;
    onLost(failures);
  }

  connect();
  return connect;
}
