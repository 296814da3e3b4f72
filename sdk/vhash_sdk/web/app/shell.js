// What every view stands in and uses: the frame of the page, dialogs, messages, small controls.
import { announce, byId, make, svg } from "../shared/dom.js";
import { S } from "../shared/strings.js";

// What is known of the server's library, of jobs that run, of the basket.
export const state = { library: null, session: null, jobs: new Map(), basket: 0 };

const ICONS = {
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM20.5 20.5l-4.6-4.6",
  duplicates: "M8 8h12v12H8zM4 16V4h12",
  parts: "M3 7h18M3 17h18M7 7v0M9 4.5h6v5H9zM5 14.5h6v5H5z",
  library: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  map: "M6 7h.01M10 11h.01M8 16h.01M14 6h.01M17 10h.01M16 16h.01M12 18h.01M19 14h.01M5 12h.01",
  distances: "M4 4v16h16M6 17c5 0 6-9 13-11",
  jobs: "M3 12h4l3 8 4-16 3 8h4",
  plan: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  keys: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8",
  scheme: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  play: "M8 5l11 7-11 7z", pause: "M8 5v14M16 5v14", upload: "M12 16V4m0 0L7 9m5-5l5 5M4 20h16",
};
export const icon = (name) => svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));

export const button = (text, onclick, properties = {}) => make("button", { type: "button", onclick, ...properties }, text);
export const selectOf = (name, options, value, onchange) => {
  const list = make("select", { "aria-label": name, onchange: () => onchange(list.value) },
    ...Object.entries(options).map(([key, text]) => make("option", { value: key }, text)));
  list.value = value;
  return make("label", {}, `${name} `, list);
};
const PAUSE = 60; // milliseconds between two questions while somebody types
export function textField(label, value, oninput, properties = {}) {
  let timer, asked = 0; // the first letter asks at once, those that follow fast together
  const field = make("input", { type: "search", value, autocomplete: "off", spellcheck: false, "aria-label": label, ...properties });
  field.addEventListener("input", () => {
    clearTimeout(timer);
    const ask = () => {
      asked = performance.now();
      oninput(field.value);
    };
    const wait = asked + PAUSE - performance.now();
    if (wait > 0) timer = setTimeout(ask, wait);
    else ask();
  });
  return make("label", { class: "text" }, `${label} `, field);
}

// ---------------------------------------------------------------- the frame
export const VIEWS = ["search", "duplicates", "parts", "library", "map", "distances", "jobs", "plan"];
const ON_PHONE = ["search", "duplicates", "library", "map"];

export function buildShell() {
  const link = (name) => make("a", { href: `#/${name}`, class: ON_PHONE.includes(name) ? "tab" : "", data: { view: name } },
    icon(name), make("span", {}, S.views[name]), make("b", { class: "badge", id: `badge-${name}`, hidden: true }));
  const foot = make("div", { class: "foot" },
    button([icon("scheme"), make("span", {}, S.scheme)], nextScheme, { id: "scheme", title: S.scheme, "aria-label": S.scheme }),
    button([icon("keys"), make("span", {}, S.keys)], () => tellKeys(), { title: `${S.keys} (?)`, "aria-label": S.keys }));
  document.body.replaceChildren(
    make("a", { class: "skip", href: "#main", onclick: (event) => (event.preventDefault(), byId("main").focus()) }, S.skip),
    make("nav", { "aria-label": S.navigation },
      make("a", { class: "brand", href: "#/search" }, make("img", { src: "/static/app/icon.svg", alt: "", width: 26, height: 26 }),
        make("span", {}, make("b", {}, "vhash"), make("bdi", { id: "brand" }))),
      ...VIEWS.map(link),
      button([icon("more"), make("span", {}, S.more)], openMore, { class: "tab more", id: "more", "aria-label": S.more }),
      foot),
    make("main", { id: "main", tabIndex: -1 }),
    make("div", { id: "banner", role: "status", hidden: true }),
    make("div", { id: "toasts", role: "status" }),
    make("div", { id: "said", class: "hidden", "aria-live": "assertive" }),
    make("div", { id: "drop", hidden: true, "aria-hidden": "true" }, icon("upload"), S.dropHere));
  setScheme(stored("scheme") || "auto");
}

function openMore() {
  const rest = [...VIEWS.filter((name) => !ON_PHONE.includes(name))];
  const close = dialog(S.more, make("div", { class: "sheet" },
    ...rest.map((name) => make("a", { href: `#/${name}`, onclick: () => close() }, icon(name), S.views[name], badgeText(name))),
    button([icon("scheme"), S.scheme], nextScheme), button([icon("keys"), S.keys], () => (close(), tellKeys()))));
}
const badgeText = (name) => {
  const badge = byId(`badge-${name}`);
  return badge.hidden ? null : make("b", { class: "badge" }, badge.textContent);
};

export function badge(name, text, title = "") {
  const element = byId(`badge-${name}`);
  if (!element) return;
  element.hidden = !text;
  element.textContent = text;
  element.title = title;
}

export function banner(text, ...actions) {
  const element = byId("banner");
  element.hidden = !text;
  element.replaceChildren(text || "", ...actions);
}

export function toast(text, { bad = false, action = null } = {}) {
  const element = make("div", { class: bad ? "toast bad" : "toast" }, text);
  if (action) element.append(button(action.text, () => (element.remove(), action.does())));
  byId("toasts").append(element);
  setTimeout(() => element.remove(), bad ? 9000 : 5000);
}
export const complain = (error) => {
  if (error?.name !== "AbortError") toast(error?.message || String(error), { bad: true });
};
export const guarded = (does) => (...given) => Promise.resolve(does(...given)).catch(complain);

// ---------------------------------------------------------------- remembered by this browser, where it does
export function stored(name) {
  try {
    return localStorage.getItem(`vhash:${name}`);
  } catch {
    return null;
  }
}
export function store(name, value) {
  try {
    localStorage.setItem(`vhash:${name}`, value);
  } catch { /* a private window */ }
}
function setScheme(scheme) {
  if (scheme === "auto") delete document.documentElement.dataset.scheme;
  else document.documentElement.dataset.scheme = scheme;
  store("scheme", scheme);
  dispatchEvent(new Event("scheme"));
}
function nextScheme() {
  const order = ["auto", "light", "dark"];
  const scheme = order[(order.indexOf(stored("scheme") || "auto") + 1) % 3];
  setScheme(scheme);
  announce(S.schemes[scheme]);
  toast(S.schemes[scheme]);
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("scheme")));

// ---------------------------------------------------------------- dialogs
export function dialog(title, content, { kind = "", onclose = () => null, buttons = [] } = {}) {
  const id = `title-${Date.now()}`;
  const element = make("dialog", { class: kind, "aria-labelledby": id });
  const close = () => element.close();
  element.append(make("div", { class: "dialog-head" }, make("h2", { id }, title), button("×", close, { class: "close", "aria-label": S.close })),
    content, buttons.length ? make("div", { class: "buttons" }, ...buttons) : "");
  element.addEventListener("close", () => {
    element.remove();
    onclose();
  });
  element.addEventListener("click", (event) => event.target === element && close());
  document.body.append(element);
  element.showModal();
  return close;
}

export function ask(title, text, yes, { bad = false } = {}) {
  return new Promise((answer) => {
    let said = false;
    const close = dialog(title, make("p", {}, text), {
      onclose: () => answer(said),
      buttons: [button(S.cancel, () => close()), button(yes, () => ((said = true), close()), { class: bad ? "main danger" : "main" })],
    });
  });
}

export function tellKeys() {
  const rows = (keys) => keys.map(([names, text]) => make("div", {}, make("dt", {}, ...names.map((name) => make("kbd", {}, name))), make("dd", {}, text)));
  dialog(S.keys, make("div", { class: "key-groups" }, ...S.keyGroups.map(([title, keys]) =>
    make("section", {}, make("h3", {}, title), make("dl", { class: "keys" }, ...rows(keys))))));
}

// ---------------------------------------------------------------- heads of views
export function head(title, facts, totals = [], ...actions) {
  const list = make("dl", { class: "totals" }, ...totals.map(([name, id]) => make("div", {}, make("dt", {}, name), make("dd", { id }, "–"))));
  return make("header", { class: "view-head" }, make("div", { class: "head" }, make("h1", { tabIndex: -1 }, title), make("p", { class: "facts" }, facts || "")),
    totals.length ? list : "", ...actions);
}
// Parts of one view: [address, words, whether it is shown].
export const tabs = (...links) => make("div", { class: "tabs" }, ...links.map(([href, text, here]) => make("a", { href, class: "tab-link", ...(here ? { "aria-current": "page" } : {}) }, text)));
export const empty = (title, text, ...actions) => make("div", { class: "empty" }, make("h2", {}, title), make("p", {}, text), ...actions);
