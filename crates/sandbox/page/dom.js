// Building and updating DOM nodes. Text only ever enters through text nodes, so nothing a message holds can become markup.

const SVG = "http://www.w3.org/2000/svg";
const NEAR_PX = 60;

/** An element. `on…` attributes become listeners; null, undefined and false are left out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else setAttribute(node, name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Sets, or with null, undefined or false removes, an attribute. */
export function setAttribute(node, name, value) {
  if (value == null || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : value);
}

/** One of the drawings in index.html; decoration, so hidden from screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Text for screen readers alone. */
export function hidden(text) {
  return el("span", { class: "visually-hidden" }, text);
}

/** Writes text only when it differs, so that live regions speak of changes alone. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Keeps a scrolling box at its end through changes of its size; new content asks `isAtEnd` first, then calls `toEnd`. */
export function stickToEnd(box) {
  let wasAtEnd = true;
  const isAtEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
  const toEnd = () => {
    box.scrollTop = box.scrollHeight;
    wasAtEnd = true;
  };
  box.addEventListener("scroll", () => {
    wasAtEnd = isAtEnd();
  });
  new ResizeObserver(() => wasAtEnd && toEnd()).observe(box);
  return { isAtEnd, toEnd };
}

/** A list kept in step with its items: views are made once per key, updated in place, moved only when the order changed. */
export class KeyedList {
  #views = new Map();

  /** `create(item)` answers `{root, update(item)}`; `key(item)` is unique within the list. */
  constructor(list, key, create) {
    this.list = list;
    this.key = key;
    this.create = create;
  }

  show(items) {
    const wanted = new Set(items.map(this.key));
    for (const [key, view] of this.#views) {
      if (!wanted.has(key)) this.#remove(key, view);
    }
    let next = this.list.firstElementChild;
    for (const item of items) {
      const { root } = this.#update(item);
      if (root === next) next = next.nextElementSibling;
      else this.list.insertBefore(root, next);
    }
  }

  #remove(key, view) {
    view.root.remove();
    this.#views.delete(key);
  }

  #update(item) {
    const key = this.key(item);
    const view = this.#views.get(key) ?? this.create(item);
    this.#views.set(key, view);
    view.update(item);
    return view;
  }
}
