"use strict";
// Names in the data were made by others: they only ever become text (textContent) or attributes set by the DOM.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const { videos, groups, threshold } = data;
const FRAMES = data.frames;

// ---------------------------------------------------------------- judgements, kept by this browser
const STORE = `vhash:${data.library.uuid}`;
const keyOf = (a, b) => [videos[a].digest, videos[b].digest].sort().join(" ");
let said = {};
const undo = [];
try {
  said = JSON.parse(localStorage.getItem(STORE) || "{}");
} catch {
  byId("stored").hidden = false;
}

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify(said));
  } catch {
    byId("stored").hidden = false;
  }
}

function judge(row, verdict) {
  const key = keyOf(...row.pair);
  const before = said[key];
  const now = before === verdict ? undefined : verdict;
  undo.push({ row, before });
  put(row, now);
  announce(now === "m" ? "match" : now === "n" ? "not a match" : "judgement taken back");
  return now;
}

function put(row, verdict) {
  const key = keyOf(...row.pair);
  if (verdict) said[key] = verdict;
  else delete said[key];
  keep();
  show(row);
  totals();
}

// ---------------------------------------------------------------- text
const number = new Intl.NumberFormat("en");
function bytes(count) {
  const units = ["bytes", "KB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) (count /= 1000), unit++;
  return `${unit && count < 100 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}
function seconds(value) {
  if (value === null) return "? s";
  if (value < 60) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${String(m).padStart(2, "0")}:${String(s).padStart(2, "0")}` : `${m}:${String(s).padStart(2, "0")}`;
}
const freed = (row) => (row.not_offered ? 0 : videos[row.video].bytes); // when its file is removed
const plural = (count, one) => `${number.format(count)} ${one}${count === 1 ? "" : "s"}`;
const rate = (value) => (value === 0 ? "0" : value < 0.001 ? value.toExponential(0).replace("e", "e") : value.toPrecision(2));
function announce(text) {
  byId("said").textContent = text;
}
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// ---------------------------------------------------------------- pictures: read from the page when they are needed
const chunks = new Map(); // first picture of a block → its pictures
function picture(video) {
  const first = video - (video % data.block);
  if (!chunks.has(first)) {
    const block = document.getElementById(`pictures-${first}`);
    // while the page still loads, its end may not be there yet
    if (!block || (document.readyState === "loading" && !block.nextElementSibling)) return undefined;
    if (chunks.size > 64) chunks.delete(chunks.keys().next().value);
    chunks.set(first, block.textContent.split("\n"));
  }
  const text = chunks.get(first)[video - first];
  return text && `data:image/jpeg;base64,${text}`; // nothing: the file could not be read
}

function strip(video, label) {
  const { size } = videos[video];
  const source = picture(video);
  if (source === "") return make("div", { class: "strip none" }, "no picture: the file could not be read");
  const image = make("img", { alt: `${FRAMES} frames of ${videos[video].shown}`, decoding: "async" });
  [image.width, image.height] = size;
  if (source) image.src = source;
  else image.dataset.waits = video;
  return make("button", { class: "strip", type: "button", "aria-label": label, tabIndex: -1 }, image);
}
function arrived() {
  for (const image of document.querySelectorAll("img[data-waits]")) {
    const [video, button] = [Number(image.dataset.waits), image.closest("button")];
    if (picture(video) !== undefined) button.replaceWith(strip(video, button.getAttribute("aria-label")));
  }
}
const arriving = setInterval(arrived, 150); // a large page takes seconds to load: show what is there already
document.addEventListener("DOMContentLoaded", () => {
  clearInterval(arriving);
  arrived();
});

// ---------------------------------------------------------------- one group
// row: one member of a group; pair: [representative, member], places in videos
const rows = [];
groups.forEach((group, at) => {
  group.at = at;
  group.rows = group.members.map((member) => ({ ...member, group, pair: [group.representative, member.video] }));
  group.held = group.rows.reduce((sum, row) => sum + freed(row), 0);
  group.near = Math.min(...group.rows.map((row) => row.distance));
  group.far = Math.max(...group.rows.map((row) => row.distance));
  const paths = [group.representative, ...group.rows.map((row) => row.video)].map((v) => videos[v].shown);
  group.text = paths.join("\n").toLowerCase();
  rows.push(...group.rows);
});

function name(video) {
  const { shown: path, uri, names } = videos[video];
  const cut = path.lastIndexOf("/") + 1;
  const link = make("a", { class: "name", href: uri, target: "_blank", tabIndex: -1 }, make("bdi", {}, path.slice(cut)));
  const others = names.map((other) => make("div", { class: "folder" }, "the same file: ", make("bdi", {}, other)));
  return [link, make("div", { class: "folder" }, make("bdi", {}, path.slice(0, cut))), ...others];
}

function compared(text, value, reference) {
  const kind = value === null || reference === null || Math.abs(value - reference) <= 0.02 * reference ? "" : value < reference ? "worse" : "better";
  return make("span", { class: kind }, text);
}

function meta(video, reference) {
  const v = videos[video];
  const r = videos[reference];
  const area = (x) => (x.width ? x.width * x.height : null);
  const parts = [
    compared(seconds(v.seconds), v.seconds, r.seconds),
    compared(v.width ? `${v.width}×${v.height}` : "? pixels", area(v), area(r)),
    compared(bytes(v.bytes), null, null),
    ...(v.codec ? [make("span", {}, v.codec)] : []),
    ...(v.rate ? [make("span", {}, `${Number(v.rate.toFixed(2))} fps`)] : []),
    ...(v.damaged ? [make("strong", {}, v.damaged)] : []),
  ];
  return make("div", { class: "meta" }, ...parts.flatMap((part, i) => (i ? [" · ", part] : [part])));
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function timeline(row) {
  // aligned spans: [start, end] of the representative and of the member, in seconds
  if (!row.spans || !row.spans.length) return [];
  const title = row.spans.map(([s, e, t, f]) => `${seconds(s)} – ${seconds(e)} of the kept one is ${seconds(t)} – ${seconds(f)} here`).join("; ");
  return [twoLines(...row.pair.map((v) => videos[v].seconds), row.spans, title)];
}

function twoLines(a, b, spans, title, crossed = false) {
  // two videos of a and b seconds, one below the other, and what of one is what of the other
  const scale = 1000 / Math.max(a, b, 1e-9);
  const parts = [svg("title", {}, title)];
  parts.push(svg("rect", { class: "track", x: 0, y: 0, width: a * scale, height: 7, rx: 3 }));
  parts.push(svg("rect", { class: "track", x: 0, y: 19, width: b * scale, height: 7, rx: 3 }));
  for (const [s, e, t, f] of spans) {
    const [s1, e1, t1, f1] = [s, e, t, f].map((x) => x * scale);
    parts.push(svg("polygon", { class: "link", points: crossed ? `${s1},7 ${e1},7 ${t1},19 ${f1},19` : `${s1},7 ${e1},7 ${f1},19 ${t1},19` }));
    parts.push(svg("rect", { class: "span", x: s1, y: 0, width: Math.max(2, e1 - s1), height: 7 }));
    parts.push(svg("rect", { class: "span", x: t1, y: 19, width: Math.max(2, f1 - t1), height: 7 }));
  }
  return svg("svg", { class: "line", viewBox: "0 0 1000 26", preserveAspectRatio: "none", role: "img", "aria-label": title }, ...parts);
}

// ---------------------------------------------------------------- parts that videos share
function showParts({ pairs, more, common, lacking, ignored }) {
  const words = { "part of": "is part of", contains: "contains", "same video": "is the same as", "shares a part": "shares a part with" };
  const facts = [plural(pairs.length + more, "pair"), plural(common.length, "common part")];
  if (more) facts.push(`${number.format(more)} pairs not shown`);
  if (ignored) facts.push(`${number.format(ignored)} left out as ignored`);
  if (lacking) facts.push(`${plural(lacking, "video")} without segments: nothing is known of them`);
  const articles = pairs.map((pair) => {
    const title = pair.spans.map(([s, e, t, f]) => `${seconds(s)} – ${seconds(e)} is ${seconds(t)} – ${seconds(f)}`).join("; ") + (pair.reversed ? ", backwards" : "");
    const shares = pair.covered.map((share) => `${Math.round(100 * share)} %`);
    return make("article", {}, make("bdi", {}, pair.a), ` ${words[pair.relation]} `, make("bdi", {}, pair.b),
      make("div", {}, make("small", {}, `${title} · ${shares[0]} of the first, ${shares[1]} of the second`)),
      twoLines(...pair.seconds, pair.spans, title, pair.reversed));
  });
  const shared = common.map((part) => {
    const longest = Math.max(...part.places.map((place) => place.seconds), 1e-9);
    const lines = part.places.map((place) => {
      const [[start, end]] = place.spans;
      const title = `${seconds(start)} – ${seconds(end)}`;
      const bar = svg("svg", { class: "line thin", viewBox: "0 0 1000 9", preserveAspectRatio: "none", role: "img", "aria-label": title },
        svg("rect", { class: "track", x: 0, y: 1, width: (1000 * place.seconds) / longest, height: 7, rx: 3 }),
        svg("rect", { class: "span", x: (1000 * start) / longest, y: 1, width: Math.max(2, (1000 * (end - start)) / longest), height: 7 }));
      return make("div", {}, make("bdi", {}, place.path), " ", make("small", {}, title), bar);
    });
    const rest = part.videos > part.places.length ? [make("small", {}, `and ${number.format(part.videos - part.places.length)} more`)] : [];
    const title = `Common part of ${plural(part.videos, "video")}, ${seconds(part.seconds)}: ${part.name || part.id}`;
    const picture = part.picture ? [make("img", { src: `data:image/jpeg;base64,${part.picture}`, alt: `Frames of it` })] : [];
    return make("article", {}, make("strong", {}, title), ...picture, ...lines, ...rest);
  });
  byId("parts").replaceChildren(make("h2", {}, "Parts that videos share"), make("p", {}, make("small", {}, facts.join(" · "))), ...shared, ...articles);
  byId("parts").hidden = false;
}

function distance(row) {
  const fill = make("i");
  fill.style.width = `${(100 * row.distance) / Math.max(1, threshold.radius)}%`;
  const bits = make("div", { class: "bits", "aria-hidden": "true" }, fill);
  const parts = [make("div", { class: "distance" }, bits, `${row.distance} ${row.distance === 1 ? "bit" : "bits"}`)];
  if (row.same) parts.push(make("div", { class: "rate" }, "the same, byte for byte"));
  if (row.not_offered) parts.push(make("div", { class: "rate" }, `not to be removed: ${row.not_offered}`));
  if (row.because) parts.push(make("div", { class: "rate" }, `the other is kept because ${row.because}`));
  if (!row.same && row.rate) parts.push(make("div", { class: "rate", title: "The share of pairs of different scenes that come this near: 95 % sure to be below this" }, `false-match rate ≤ ${rate(row.rate)}`));
  return parts;
}

function rowElement(row) {
  const [first, second] = row.pair;
  const buttons = [["m", "Match"], ["n", "Not a match"]].map(([says, text]) =>
    make("button", { type: "button", "data-says": says, "aria-pressed": "false", tabIndex: -1 }, text));
  const label = `${videos[second].shown}, ${row.distance} bits from ${videos[first].shown}`;
  row.element = make("li", { class: "video", tabIndex: -1, "aria-label": label },
    strip(second, `Compare ${videos[second].shown} large`),
    make("div", { class: "what" }, ...name(second), meta(second, first)),
    make("div", { class: "side" }, ...distance(row), make("div", { class: "verdict", role: "group", "aria-label": "Judgement" }, ...buttons)),
    ...timeline(row));
  row.element.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    go(row, false);
    if (button && button.dataset.says) judge(row, button.dataset.says);
    else if (button) enlarge(row);
  });
  show(row);
  return row.element;
}

function show(row) {
  if (!row.element) return;
  const verdict = said[keyOf(...row.pair)];
  row.element.classList.toggle("not", verdict === "n");
  for (const button of row.element.querySelectorAll("[data-says]")) button.setAttribute("aria-pressed", String(button.dataset.says === verdict));
  if (row === current) row.element.setAttribute("aria-current", "true");
  else row.element.removeAttribute("aria-current");
}

function fill(group) {
  if (group.filled) return;
  group.filled = true;
  const best = group.representative;
  const kept = make("li", { class: "video" },
    strip(best, `Compare ${videos[best].shown} large`),
    make("div", { class: "what" }, ...name(best), meta(best, best)),
    make("div", { class: "side" }, make("span", { class: "keep" }, `keep: ${data.keep}`)));
  kept.querySelector("button")?.addEventListener("click", () => enlarge(group.rows[0]));
  group.section.replaceChildren(
    make("h2", {}, make("span", {}, `Group ${group.at + 1}`), make("span", {}, make("b", {}, bytes(group.held)), ` in ${plural(group.rows.length, "duplicate")}`)),
    make("ul", { class: "rows" }, kept, ...group.rows.map(rowElement)));
}

function empty(group) {
  group.section.style.containIntrinsicSize = `auto ${group.section.offsetHeight}px`;
  group.section.style.minHeight = `${group.section.offsetHeight}px`;
  group.section.replaceChildren();
  group.filled = false;
  for (const row of group.rows) row.element = null;
}

const nearby = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const group = groups[target.dataset.at];
    if (isIntersecting) {
      fill(group);
      target.style.minHeight = "";
    } else if (group.filled && group !== (current && current.group)) empty(group);
  }
}, { rootMargin: "1200px 0px" });

// ---------------------------------------------------------------- the list
let shown = []; // groups, filtered and sorted
let listed = []; // their rows
let current = null;
const order = {
  held: (a, b) => b.held - a.held,
  far: (a, b) => b.far - a.far,
  near: (a, b) => a.near - b.near,
  many: (a, b) => b.rows.length - a.rows.length,
  path: (a, b) => (a.text < b.text ? -1 : 1),
};
function wanted(row, limit, size, state) {
  const verdict = said[keyOf(...row.pair)];
  const fits = { all: true, open: !verdict, match: verdict === "m", not: verdict === "n" }[state];
  return fits && row.distance <= limit && videos[row.video].bytes >= size;
}

function list() {
  const words = byId("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  const [limit, size, state] = [Number(byId("bits").value), Number(byId("size").value), byId("state").value];
  byId("bits-out").textContent = `${limit} bits`;
  shown = groups.filter((group) => words.every((word) => group.text.includes(word)) && group.rows.some((row) => wanted(row, limit, size, state)));
  shown.sort((a, b) => order[byId("sort").value](a, b) || a.at - b.at);
  listed = shown.flatMap((group) => group.rows);
  nearby.disconnect();
  for (const group of shown) {
    if (!group.section) {
      group.section = make("section", { class: "group", "aria-label": `Group ${group.at + 1}` });
      group.section.dataset.at = group.at;
      group.section.style.containIntrinsicSize = `auto ${60 + 104 * (group.rows.length + 1)}px`;
      group.section.style.minHeight = `${60 + 104 * (group.rows.length + 1)}px`;
    }
  }
  byId("groups").replaceChildren(...shown.map((group) => group.section));
  for (const group of shown) nearby.observe(group.section);
  byId("none").hidden = shown.length > 0;
  totals();
}

function totals() {
  let [looked, not] = [0, 0];
  for (const row of rows) {
    const verdict = said[keyOf(...row.pair)];
    if (verdict) looked++;
    if (verdict === "n") not += freed(row);
  }
  const all = groups.reduce((sum, group) => sum + group.held, 0);
  byId("held").textContent = bytes(all - not);
  byId("count").textContent = shown.length === groups.length ? number.format(groups.length) : `${number.format(shown.length)} of ${number.format(groups.length)}`;
  byId("looked").textContent = `${number.format(looked)} of ${number.format(rows.length)}`;
}

// ---------------------------------------------------------------- going through the pairs
function go(row, scroll = true) {
  const before = current;
  current = row;
  if (before) show(before);
  fill(row.group);
  show(row);
  if (scroll) {
    row.element.focus({ preventScroll: true });
    row.element.scrollIntoView({ block: "nearest" });
  }
}

function step(by) {
  if (!listed.length) return;
  const at = current ? listed.indexOf(current) : -1;
  const next = at < 0 ? (by > 0 ? 0 : listed.length - 1) : Math.min(Math.max(at + by, 0), listed.length - 1);
  go(listed[next]);
}

function enlarge(row) {
  go(row, false);
  const figures = row.pair.map((video, i) => {
    const source = picture(video);
    const image = source ? [make("img", { src: source, alt: `${FRAMES} frames of ${videos[video].shown}` })] : ["no picture"];
    return make("figure", {}, make("figcaption", {}, make("b", {}, i ? `${row.distance} bits away: ` : "kept: "), make("bdi", {}, videos[video].shown), meta(video, row.pair[0])), ...image);
  });
  byId("large-body").replaceChildren(...figures, ...timeline(row));
  byId("large").showModal();
}

function back() {
  const last = undo.pop();
  if (!last) return announce("nothing to undo");
  put(last.row, last.before);
  if (!shown.includes(last.row.group)) list();
  if (shown.includes(last.row.group)) go(last.row);
  announce("undone");
}

function exported() {
  const end = (video) => {
    const { path, path_base64, digest } = videos[video];
    return { path, ...(path_base64 && { path_base64 }), digest };
  };
  const pairs = rows.filter((row) => said[keyOf(...row.pair)]).map((row) => ({
    a: end(row.pair[0]), b: end(row.pair[1]), distance: row.distance,
    judgement: said[keyOf(...row.pair)] === "m" ? "match" : "not a match",
  }));
  const content = { kind: "vhash judgements", schema: 1, library: data.library.uuid, pairs };
  const link = make("a", { download: "judgements.json", href: URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" })) });
  link.click();
  byId("command").textContent = `vhash dedup ${data.library.quoted} --not-a-match judgements.json`;
  byId("exported").showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  const field = event.target.closest("input, select, textarea");
  if (field) {
    if (event.key === "Escape") field.blur();
    return;
  }
  const verdict = { m: "m", n: "n" }[event.key];
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (verdict && current) judge(current, verdict) && step(1);
  else if (event.key === "u") back();
  else if (event.key === "Enter" && current && !event.target.closest("button, a")) enlarge(current);
  else if (event.key === "/") byId("text").focus();
  else if (event.key === "e") exported();
  else if (event.key === "?") byId("help").showModal();
  else return;
  event.preventDefault();
});

byId("library").textContent = data.library.path;
byId("facts").textContent = data.facts;
if (data.left.length) {
  byId("left").hidden = false;
  byId("left").firstElementChild.textContent = `${plural(data.left.length, "near video")} left out: the file is not what was encoded`;
  byId("left").lastElementChild.append(...data.left.map(({ path, message }) => make("li", {}, make("bdi", {}, path), `: ${message}`)));
}
if (data.parts) showParts(data.parts);
byId("bits").max = threshold.radius; // first: a value is cut to what it allows
byId("bits").value = threshold.radius;
for (const id of ["state", "sort", "size"]) byId(id).addEventListener("change", list);
for (const id of ["text", "bits"]) byId(id).addEventListener("input", list);
byId("export").addEventListener("click", exported);
byId("help-open").addEventListener("click", () => byId("help").showModal());
list();
