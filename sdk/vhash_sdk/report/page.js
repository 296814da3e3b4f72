// The page of a report: what comes from shared/ stands before it in the same script.
const data = JSON.parse(document.getElementById("data").textContent);
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
  announce(now === "m" ? S.saidMatch : now === "n" ? S.saidNot : S.takenBack);
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

const freed = (row) => (row.not_offered ? 0 : videos[row.video].bytes); // when its file is removed

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
  if (source === "") return make("div", { class: "strip none" }, S.noPicture);
  const image = make("img", { alt: S.framesOf(FRAMES, videos[video].shown), decoding: "async" });
  [image.width, image.height] = size;
  if (source) image.src = source;
  else image.dataset.waits = video;
  return make("button", { class: "strip", type: "button", "aria-label": label, tabIndex: -1 }, image);
}
function arrived() {
  for (const image of document.querySelectorAll("img[data-waits]")) {
    const [video, button] = [Number(image.dataset.waits), image.closest("button")];
    if (picture(video) === undefined) continue;
    const there = strip(video, button.getAttribute("aria-label"));
    if (there.matches("button")) there.tabIndex = button.tabIndex;
    button.replaceWith(there);
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

const name = (video) => nameOf(videos[video].shown, { href: videos[video].uri, names: videos[video].names });
const meta = (video, reference) => metaOf(videos[video], videos[reference]);
function timeline(row) {
  // aligned spans: [start, end] of the representative and of the member, in seconds
  if (!row.spans || !row.spans.length) return [];
  return [twoLines(...row.pair.map((v) => videos[v].seconds), row.spans, spansText(row.spans, S.spanOfKept))];
}

// ---------------------------------------------------------------- parts that videos share
function showParts({ pairs, more, common, lacking, ignored }) {
  const facts = partsFacts({ pairs: pairs.length, more, common: common.length, lacking, ignored });
  const shared = common.map((part) => commonArticle(part, part.picture && `data:image/jpeg;base64,${part.picture}`));
  byId("parts").replaceChildren(make("h2", {}, S.sharedParts), make("p", {}, make("small", {}, facts)), ...shared, ...pairs.map((pair) => pairArticle(pair)));
  byId("parts").hidden = false;
}

// ---------------------------------------------------------------- pairs that are related, but no duplicates
function showRelated({ pairs, more }) {
  const found = pairs.map((each, at) => {
    const article = make("article", { data: { at }, "aria-label": S.relatedPair(videos[each.pair[0]].shown, S.relations[each.relation], videos[each.pair[1]].shown) });
    article.style.minHeight = "17rem"; // until it is filled
    return article;
  });
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      target.style.minHeight = "";
      target.replaceChildren(...relatedPair(pairs[target.dataset.at]));
    }
  }, { rootMargin: "800px 0px" });
  byId("parts").before(make("section", { id: "related", class: "parts", tabIndex: -1, "aria-label": S.related }, make("h2", {}, S.related), make("p", {}, S.relatedText), ...found, more ? make("p", {}, S.moreRelated(number.format(more))) : ""));
  byId("to-related").append(make("a", { href: "#related" }, S.relatedCount(number.format(pairs.length + more))));
  byId("to-related").hidden = false;
  for (const article of found) seen.observe(article);
}

function relatedPair(each) {
  const [a, b] = each.pair;
  const row = (video, relation, ...side) => {
    const film = strip(video, S.compareLarge(videos[video].shown));
    if (film.matches("button")) film.tabIndex = 0; // no key goes through these pairs
    const item = make("li", { class: "video" }, film,
      make("div", { class: "what" }, ...name(video), meta(video, a), ...facts({ relation, of: S.other, pixels: video === b && each.pixels })), make("div", { class: "side" }, ...side));
    item.addEventListener("click", (event) => event.target.closest("button") && large(each, S.firstOfPair));
    return item;
  };
  return [make("h3", {}, S.relatedWays[each.relation]), make("ul", { class: "rows" }, row(a, each.relation), row(b, inverse(each.relation), distanceOf(each.distance, threshold.radius)))];
}

function rowElement(row) {
  const [first, second] = row.pair;
  row.element = make("li", { class: "video", tabIndex: -1, "aria-label": S.rowLabel(videos[second].shown, S.away(S.bits(row.distance), videos[first].shown), row.relation) },
    strip(second, S.compareLarge(videos[second].shown)),
    make("div", { class: "what" }, ...name(second), meta(second, first), relationLine(row.relation, S.theKept)),
    make("div", { class: "side" }, distanceOf(row.distance, threshold.radius), ...facts({ ...row, relation: null }), verdictButtons()),
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
  showVerdict(row.element, said[keyOf(...row.pair)], row === current);
}

function fill(group) {
  if (group.filled) return;
  group.filled = true;
  const best = group.representative;
  const kept = make("li", { class: "video" },
    strip(best, S.compareLarge(videos[best].shown)),
    make("div", { class: "what" }, ...name(best), meta(best, best)),
    make("div", { class: "side" }, make("span", { class: "keep" }, S.keep(data.keep))));
  kept.querySelector("button")?.addEventListener("click", () => enlarge(group.rows[0]));
  group.section.replaceChildren(
    make("h2", {}, make("span", {}, S.group(group.at + 1)), make("span", {}, make("b", {}, bytes(group.held)), S.inDuplicates(plural(group.rows.length, S.one.duplicate)))),
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
      group.section = make("section", { class: "group", "aria-label": S.group(group.at + 1) });
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
  large(row, S.keptOfPair, ...timeline(row));
}

// Two videos large; the word before the name of the first says what it is.
function large({ pair, distance }, word, ...more) {
  const figures = pair.map((video, i) => {
    const source = picture(video);
    const image = source ? [make("img", { src: source, alt: S.framesOf(FRAMES, videos[video].shown) })] : [S.noPicture];
    return make("figure", {}, make("figcaption", {}, make("b", {}, i ? S.awayOfPair(S.bits(distance)) : word), make("bdi", {}, videos[video].shown), meta(video, pair[0])), ...image);
  });
  byId("large-body").replaceChildren(...figures, ...more);
  byId("large").showModal();
}

function back() {
  const last = undo.pop();
  if (!last) return announce(S.nothingToUndo);
  put(last.row, last.before);
  if (!shown.includes(last.row.group)) list();
  if (shown.includes(last.row.group)) go(last.row);
  announce(S.undone);
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
  if (forOthers(event)) return;
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
if (data.related.pairs.length) showRelated(data.related);
if (!groups.length) byId("none").textContent = S.noDuplicates;
if (data.parts) showParts(data.parts);
byId("bits").max = threshold.radius; // first: a value is cut to what it allows
byId("bits").value = threshold.radius;
for (const id of ["state", "sort", "size"]) byId(id).addEventListener("change", list);
for (const id of ["text", "bits"]) byId(id).addEventListener("input", list);
byId("export").addEventListener("click", exported);
byId("help-open").addEventListener("click", () => byId("help").showModal());
list();
