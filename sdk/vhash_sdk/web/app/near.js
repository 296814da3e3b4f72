// What is near a video: copies, and what is near but other footage, such as other takes of its scene.
import { make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { cutPath, rate } from "../shared/text.js";
import { distanceOf, facts, inverse, metaOf, nameOf } from "../shared/video.js";
import { post } from "./api.js";
import { openCompare } from "./compare.js";
import { strip } from "./media.js";
import { complain, dialog, state } from "./shell.js";

const kindOf = (hit) => (hit.same ? "copy" : hit.relation === "shares a part" ? "shares" : hit.same === false && hit.verified !== null ? "take" : "unclear");
// what is worth showing: what was looked at twice, and what is not far beyond the threshold
export const worthy = (hit) => hit.same || hit.verified !== null || hit.distance <= 1.2 * (state.library.threshold?.radius ?? state.library.model.bits / 4);

// One hit of a search as a row; query: what was searched by, beside which facts are shown.
export function hitRow(hit, query, { file = null, spans = null, codes = false } = {}) {
  const { video } = hit;
  const kind = kindOf(hit);
  const compare = () => openCompare({ a: query, b: video, file, distance: hit.distance, spans, pixels: hit.pixels });
  return make("li", { class: "video", data: { kind } },
    strip(video, { label: S.compareLarge(video.path), onopen: compare }),
    make("div", { class: "what" }, ...nameOf(video.path, { onclick: () => openVideo(video) }), metaOf(video, query.seconds ? query : video), ...facts({ pixels: hit.pixels, relation: inverse(hit.relation), of: query.name || S.yours })),
    make("div", { class: "side" }, distanceOf(hit.distance, state.library.model.bits / 2),
      make("span", { class: `verdict-tag ${kind}` }, S.verdictOf[hit.relation] || (codes && S.verdictsOfCodes[kind]) || S.verdicts[kind]),
      hit.false_match_rate && ["copy", "unclear"].includes(kind) ? make("div", { class: "rate", title: S.rateTitle }, S.rate(rate(hit.false_match_rate))) : ""));
}

// Hits in sections: copies, what shares a part, other takes, what nothing can be said of.
export function hitSections(hits, query, options = {}) {
  const sections = ["copy", "shares", "take", "unclear"].map((kind) => [kind, hits.filter((hit) => kindOf(hit) === kind)]).filter(([, found]) => found.length);
  return sections.map(([kind, found]) => make("section", { class: "hits card" }, make("h2", {}, (options.codes && S.hitHeadsOfCodes[kind]) || S.hitHeads[kind], make("span", { class: "count" }, ` ${found.length}`)),
    make("p", { class: "soft" }, options.codes && kind === "copy" ? S.onlyCodesText : S.hitTexts[kind]), make("ul", { class: "rows" }, ...found.map((hit) => hitRow(hit, query, options)))));
}

async function nearOf(video) {
  const { hits } = await post("/v1/search", { source: { video: video.id }, k: 30 });
  return hits.filter((hit) => hit.video.id !== video.id && worthy(hit));
}

export function openNear(video) {
  const body = make("div", { class: "near" }, make("p", { class: "soft" }, S.looking));
  dialog(S.nearOf(cutPath(video.path)[1]), body, { kind: "wide" });
  nearOf(video).then((hits) => body.replaceChildren(...(hits.length ? hitSections(hits, video) : [make("p", {}, S.nothingNear)]))).catch(complain);
}

// One video, large, with all that is known of it.
export async function openVideo(video) {
  const { Player } = await import("./media.js");
  const player = new Player(video);
  player.element.controls = true;
  player.element.tabIndex = 0;
  const known = [[S.path, video.path], [S.added, new Date(1000 * video.added).toLocaleString()], [S.modified, new Date(1000 * video.modified).toLocaleString()],
    [S.code, video.code], ...(video.unreliable ? [[S.unreliable, video.unreliable]] : []), ...(video.damaged ? [[S.damaged, video.damaged]] : [])];
  const near = make("div", { class: "near" }, make("p", { class: "soft" }, S.looking));
  dialog(cutPath(video.path)[1], make("div", { class: "one" }, player.box, metaOf(video),
    make("dl", { class: "facts-list" }, ...known.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("bdi", {}, text))))), near), { kind: "wide", onclose: () => player.close() });
  nearOf(video).then((hits) => near.replaceChildren(...(hits.length ? hitSections(hits, video) : [make("p", { class: "soft" }, S.nothingNear)]))).catch(complain);
}
