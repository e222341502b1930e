// How things stand: connection banner, handshake, links, theme.
import { el, hidden, icon, setText } from "./dom.js";
import { readable } from "./format.js";

/** The line that says the sandbox is gone. `onRetry()` tries again at once. */
export function createBanner({ onRetry }) {
  const banner = document.getElementById("banner");
  const text = el("span");
  const retry = el("button", { type: "button", class: "quiet small", onclick: onRetry }, "Try now");

  function lost() {
    banner.classList.add("shown");
    setText(text, "The sandbox is not answering. This page comes back by itself when it does.");
    if (!text.isConnected) banner.replaceChildren(text, retry);
  }

  function back() {
    banner.classList.remove("shown");
    banner.replaceChildren();
  }

  return { lost, back };
}

export function showHandshake(handshake) {
  const line = document.getElementById("handshake");
  const state = handshake === null ? "unknown" : handshake.ok ? "ok" : "bad";
  const detail = readable(handshake?.detail ?? "");
  const words = { unknown: "Webhook handshake: not known yet", ok: "Webhook handshake done", bad: "Webhook handshake failed" }[state];
  const key = `${state} ${detail}`;
  if (line.dataset.key === key) return;
  line.dataset.key = key;
  line.className = `handshake ${state}`;
  line.replaceChildren(icon({ ok: "ok", bad: "failed", unknown: "pending" }[state]), el("span", {}, el("strong", {}, words), detail ? `: ${detail}` : ""));
}

export function showLinks(router, server) {
  showLink("router-docs", router);
  showLink("server-docs", server);
}

function showLink(id, service) {
  const link = document.getElementById(id);
  const url = docsUrl(service);
  link.hidden = url === null;
  if (url === null || link.href === url) return;
  link.href = url;
  if (!link.firstElementChild) link.append(icon("link"), hidden(" (Swagger UI, opens in a new tab)"));
}

function docsUrl({ url, docs }) {
  try {
    const address = new URL(docs || "/docs", url);
    return address.protocol === "http:" || address.protocol === "https:" ? address.href : null;
  } catch {
    return null;
  }
}

export function createThemeButton() {
  const button = document.getElementById("theme");
  const { current, toggle, system } = window.sandboxTheme;

  function show() {
    const other = current() === "dark" ? "light" : "dark";
    button.replaceChildren(icon(other), hidden(`Switch to ${other} colours`));
    button.title = `Switch to ${other} colours`;
  }

  button.addEventListener("click", () => {
    toggle();
    show();
  });
  system.addEventListener("change", show);
  show();
}
