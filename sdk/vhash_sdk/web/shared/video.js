// One video in words: its name, its facts beside those of the one that is kept, its distance, the judgement.
import { make } from "./dom.js";
import { S } from "./strings.js";
import { bytes, cutPath, rate, seconds } from "./text.js";

export function nameOf(path, { href, names = [], onclick } = {}) {
  const [folder, name] = cutPath(path);
  const text = make("bdi", {}, name);
  const title = href
    ? make("a", { class: "name", href, target: "_blank", tabIndex: -1 }, text)
    : onclick ? make("button", { class: "name", type: "button", tabIndex: -1, onclick }, text) : make("span", { class: "name" }, text);
  const others = names.map((other) => make("div", { class: "folder" }, S.sameFile, make("bdi", {}, other)));
  return [title, make("div", { class: "folder" }, make("bdi", {}, folder)), ...others];
}

function compared(text, value, reference) {
  const known = value !== null && value !== undefined && reference !== null && reference !== undefined;
  const kind = !known || Math.abs(value - reference) <= 0.02 * reference ? "" : value < reference ? "worse" : "better";
  return make("span", { class: kind }, text);
}

export function metaOf(v, r = v) {
  const area = (x) => (x.width ? x.width * x.height : null);
  const parts = [
    compared(seconds(v.seconds), v.seconds, r.seconds),
    compared(v.width ? `${v.width}×${v.height}` : S.noPixels, area(v), area(r)),
    compared(bytes(v.bytes), null, null),
    ...(v.codec ? [make("span", {}, v.codec)] : []),
    ...(v.rate ? [make("span", {}, `${Number(v.rate.toFixed(2))} ${S.perSecond}`)] : []),
    ...(v.damaged ? [make("strong", {}, v.damaged)] : []),
  ];
  return make("div", { class: "meta" }, ...parts.flatMap((part, i) => (i ? [" · ", part] : [part])));
}

// distance: in bits; widest: what fills the bar.
export function distanceOf(distance, widest) {
  const fill = make("i");
  fill.style.width = `${Math.min(100, (100 * distance) / Math.max(1, widest))}%`;
  return make("div", { class: "distance" }, make("div", { class: "bits", "aria-hidden": "true" }, fill), S.bits(distance));
}

// What a video is to another one, named by `of`; nothing where its being a copy, or a stranger, says it all.
export function relationLine(relation, of) {
  if (!S.relations[relation] || relation === "same video") return "";
  return make("div", { class: "rate relation" }, `${S.relations[relation]} `, make("bdi", {}, of));
}
export const inverse = (relation) => ({ "part of": "contains", contains: "part of" })[relation] || relation;

export function facts({ same, not_offered: barred, because, rate: high, pixels, relation, of = S.theKept }) {
  const parts = [];
  const related = relationLine(relation, of);
  if (related) parts.push(related);
  if (same) parts.push(make("div", { class: "rate" }, S.byteForByte));
  if (barred) parts.push(make("div", { class: "rate" }, S.notOffered(barred)));
  if (because) parts.push(make("div", { class: "rate" }, S.because(because)));
  if (pixels && relation !== "shares a part") parts.push(make("div", { class: "rate pixels" }, S.pixels(pixels)));
  if (!same && high) parts.push(make("div", { class: "rate", title: S.rateTitle }, S.rate(rate(high))));
  return parts;
}

export function verdictButtons() {
  const buttons = [["m", S.match], ["n", S.notAMatch]].map(([says, text]) =>
    make("button", { type: "button", data: { says }, "aria-pressed": "false", tabIndex: -1 }, text));
  return make("div", { class: "verdict", role: "group", "aria-label": S.judgement }, ...buttons);
}

// says: "m", "n" or nothing
export function showVerdict(element, says, isCurrent) {
  element.classList.toggle("not", says === "n");
  for (const button of element.querySelectorAll("[data-says]")) button.setAttribute("aria-pressed", String(button.dataset.says === says));
  if (isCurrent) element.setAttribute("aria-current", "true");
  else element.removeAttribute("aria-current");
}
