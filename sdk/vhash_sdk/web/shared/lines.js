// Time lines: what of one video is what of another.
import { svg } from "./dom.js";
import { S } from "./strings.js";
import { seconds } from "./text.js";

const times = (s, e) => `${seconds(s)} – ${seconds(e)}`;
export const spansText = (spans, words = S.spanOf) => spans.map(([s, e, t, f]) => words(times(s, e), times(t, f))).join("; ");

// Two videos of a and b seconds, one below the other; a span is [start, end] in the first, then in the second.
export function twoLines(a, b, spans, title, crossed = false) {
  const scale = 1000 / Math.max(a || 0, b || 0, 1e-9);
  const parts = [svg("title", {}, title)];
  parts.push(svg("rect", { class: "track", x: 0, y: 0, width: (a || 0) * scale, height: 7, rx: 3 }));
  parts.push(svg("rect", { class: "track", x: 0, y: 19, width: (b || 0) * scale, height: 7, rx: 3 }));
  for (const [s, e, t, f] of spans) {
    const [s1, e1, t1, f1] = [s, e, t, f].map((x) => x * scale);
    parts.push(svg("polygon", { class: "link", points: crossed ? `${s1},7 ${e1},7 ${t1},19 ${f1},19` : `${s1},7 ${e1},7 ${f1},19 ${t1},19` }));
    parts.push(svg("rect", { class: "span", x: s1, y: 0, width: Math.max(2, e1 - s1), height: 7 }));
    parts.push(svg("rect", { class: "span", x: t1, y: 19, width: Math.max(2, f1 - t1), height: 7 }));
  }
  return svg("svg", { class: "line", viewBox: "0 0 1000 26", preserveAspectRatio: "none", role: "img", "aria-label": title }, ...parts);
}

// Where in one video, drawn as long as it is beside the longest.
export function placeLine(length, start, end, longest) {
  const title = times(start, end);
  const scale = 1000 / Math.max(longest, 1e-9);
  return svg("svg", { class: "line thin", viewBox: "0 0 1000 9", preserveAspectRatio: "none", role: "img", "aria-label": title },
    svg("rect", { class: "track", x: 0, y: 1, width: length * scale, height: 7, rx: 3 }),
    svg("rect", { class: "span", x: start * scale, y: 1, width: Math.max(2, (end - start) * scale), height: 7 }));
}

export const pairText = (pair) => spansText(pair.spans) + (pair.reversed ? S.backwards : "");
export const coveredText = (covered) => S.covered(...covered.map((share) => Math.round(100 * share)));
