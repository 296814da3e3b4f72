// Parts that videos share: two videos, or the places of what many have.
import { make } from "./dom.js";
import { coveredText, pairText, placeLine, twoLines } from "./lines.js";
import { S } from "./strings.js";
import { number, plural, seconds } from "./text.js";

export function partsFacts({ pairs, more = 0, common, lacking, ignored, left = 0 }) {
  return S.partsFacts({
    pairs: plural(pairs + more, S.one.pair), parts: plural(common, S.one.part), more: more && number.format(more),
    ignored: ignored && number.format(ignored), lacking: lacking && plural(lacking, S.one.video),
    left: left && number.format(left),
  });
}

// pair: relation, spans, covered, reversed; a and b are paths; seconds of both.
export function pairArticle(pair, ...more) {
  const title = pairText(pair);
  return make("article", { class: "part" }, make("bdi", {}, pair.a), ` ${S.relations[pair.relation]} `, make("bdi", {}, pair.b),
    make("div", {}, make("small", {}, `${title} · ${coveredText(pair.covered)}`)),
    twoLines(...pair.seconds, pair.spans, title, pair.reversed), ...more);
}

// part: id, name, videos, seconds, places with path, seconds and spans; picture: the source of an image, or nothing.
export function commonArticle(part, picture, ...more) {
  const longest = Math.max(...part.places.map((place) => place.seconds), 1e-9);
  const lines = part.places.map((place) => {
    const [[start, end]] = place.spans;
    return make("div", {}, make("bdi", {}, place.path), " ", make("small", {}, `${seconds(start)} – ${seconds(end)}`),
      placeLine(place.seconds, start, end, longest));
  });
  const rest = part.videos - part.places.length;
  return make("article", { class: "part" },
    make("strong", {}, S.commonPart(plural(part.videos, S.one.video), seconds(part.seconds), part.name || part.id)),
    picture && make("img", { src: picture, alt: S.framesOfIt, loading: "lazy" }), ...more, ...lines,
    rest > 0 && make("small", {}, S.andMore(number.format(rest))));
}
