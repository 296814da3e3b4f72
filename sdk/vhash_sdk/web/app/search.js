// Search by a video or a picture: dropped, chosen, or the code of one.
import { announce, make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { bytes, number, seconds } from "../shared/text.js";
import { metaOf, nameOf } from "../shared/video.js";
import { get, post, upload } from "./api.js";
import { openCompare } from "./compare.js";
import { strip } from "./media.js";
import { hitSections, openNear, openVideo, worthy } from "./near.js";
import { button, empty, head, icon, state, textField } from "./shell.js";

const PICTURES = /^image\//;
const last = { given: null, query: null, file: null, answer: null, found: null }; // kept while other views are looked at

export function give(file) {
  last.given = file;
}

export function open(host) {
  return new Search(host);
}

class Search {
  constructor(host) {
    this.field = make("input", { type: "file", accept: "video/*,image/*,.mkv,.avi,.ts,.mts,.flv,.wmv", class: "hidden", tabIndex: -1, "aria-hidden": "true", id: "file",
      onchange: () => this.field.files[0] && this.by(this.field.files[0]) });
    this.status = make("div", { class: "drop-status", role: "status" });
    this.zone = make("div", { class: "drop-zone" }, icon("upload"), make("p", { class: "big" }, S.dropOne), make("p", { class: "soft" }, S.dropText(number.format(state.library.videos))),
      make("div", { class: "row" }, button(S.chooseFile, () => this.field.click(), { class: "main" }), textField(S.orCode, "", () => null, { placeholder: "vh1:…", id: "code" })), this.status);
    this.zone.querySelector("#code").addEventListener("change", (event) => event.target.value.trim() && this.byCode(event.target.value.trim()));
    this.results = make("div", { class: "results" });
    host.append(head(S.views.search, S.searchFacts(number.format(state.library.videos), seconds(state.library.seconds), bytes(state.library.bytes))), this.field, this.zone, this.results);
    if (last.given) this.by(last.given);
    else if (last.answer) this.show();
    else if (state.library.videos) this.lately().catch(() => null);
    else this.results.append(empty(S.noVideos, S.noVideosText, make("a", { class: "button main", href: "#/jobs" }, S.addVideos)));
  }
  async lately() {
    const { items } = await get("/v1/videos?sort=added&order=desc&limit=6");
    if (last.given || last.answer) return;
    this.results.replaceChildren(make("h2", { class: "lately" }, S.lately), make("ul", { class: "tiles" }, ...items.map((video) => make("li", { class: "card shelf" },
      strip(video, { label: S.nearOf(video.name), frames: 3, height: 80, onopen: () => openNear(video) }), make("div", { class: "what" }, ...nameOf(video.path, { onclick: () => openVideo(video) }), metaOf(video))))));
  }
  async by(file) {
    last.given = null;
    this.cancel?.();
    const bar = make("div", { class: "progress", role: "progressbar", "aria-label": S.uploading }, make("i"));
    this.results.replaceChildren();
    this.status.replaceChildren(make("span", {}, S.uploadingName(file.name, bytes(file.size))), bar);
    const { done, cancel } = upload(file, (share) => {
      bar.firstChild.style.width = `${100 * share}%`;
      if (share === 1) {
        bar.classList.add("unknown");
        this.status.firstChild.textContent = S.encoding(file.name);
      }
    });
    this.cancel = cancel;
    try {
      const { id } = await done;
      this.status.firstChild.textContent = S.encoding(file.name);
      bar.classList.add("unknown");
      await this.ask({ upload: id }, { upload: id, name: file.name, bytes: file.size, path: file.name }, file);
    } catch (error) {
      this.failed(error);
    }
  }
  async byCode(code) {
    try {
      await this.ask({ code }, { name: code, path: code, code }, null);
    } catch (error) {
      this.failed(error);
    }
  }
  failed(error) {
    if (error.name === "AbortError") return;
    this.status.replaceChildren(make("span", { class: "problem", role: "alert" }, error.message));
  }
  async ask(source, query, file) {
    // facts and neighbours are asked for one after the other: the server encodes an upload once
    const answer = await post("/v1/search", { source, k: 30 });
    const known = source.upload ? await post("/v1/encode", { source }).catch(() => ({})) : answer.query;
    Object.assign(last, { query: { ...query, ...known, bytes: query.bytes }, file, answer, found: null, source });
    this.status.replaceChildren();
    this.show();
    announce(S.foundHits(answer.hits.filter((hit) => hit.same).length, answer.hits.length));
    if (state.library.has_segments && source.upload) {
      const found = await post("/v1/find", { source, k: 20 }).catch(() => null);
      if (last.source !== source || !found) return;
      last.found = found;
      this.show();
    }
  }
  show() {
    const { query, file, answer, found } = last;
    const still = query.unreliable === "still" || (file && PICTURES.test(file.type));
    const clear = button(S.clear, () => (Object.assign(last, { query: null, file: null, answer: null, found: null, source: null }), this.zone.classList.remove("small"), this.lately().catch(() => null)));
    const card = make("section", { class: "card query" }, make("div", { class: "video" },
      query.upload ? strip(query, { label: query.name, frames: still ? 1 : 6, onopen: () => null }) : make("div", { class: "strip none" }, S.justCode),
      make("div", { class: "what" }, make("span", { class: "name" }, make("bdi", {}, query.name)), query.bytes ? metaOf(query) : "", query.unreliable ? make("p", { class: "soft" }, S.unreliableQuery(query.unreliable)) : ""),
      make("div", { class: "side" }, make("span", { class: "rate" }, S.took(answer.milliseconds)), clear)));
    const near = answer.hits.filter(worthy);
    const codes = answer.compared === "codes";
    const sections = hitSections(near.length ? near : answer.hits.slice(0, 6), query, { file, codes });
    this.results.replaceChildren(card, codes ? make("p", { class: "note only-codes" }, S.onlyCodes) : "", ...this.places(found, query, file), near.some((hit) => hit.same) ? "" : make("p", { class: "note none-found" }, S.noCopy), ...sections);
    this.zone.classList.add("small");
  }
  places(found, query, file) {
    const spans = found?.spans || [];
    const frames = found?.frames || [];
    if (!spans.length && !frames.length) return [];
    const rows = [...spans.map(({ video, span }) => make("li", {}, button([make("b", {}, `${seconds(span.start)} – ${seconds(span.end)}`), " ", make("bdi", {}, video.path),
      make("small", {}, ` ${S.isOfYours(`${seconds(span.query_start)} – ${seconds(span.query_end)}`)}`)], () => openCompare({ a: query, b: video, file, spans: [flip(span)] }), { class: "place" }))),
    ...frames.map(({ video, time, distance }) => make("li", {}, button([make("b", {}, seconds(time)), " ", make("bdi", {}, video.path), make("small", {}, ` ${S.bits(distance)}`)], () => openVideo(video), { class: "place" })))];
    return [make("section", { class: "hits card" }, make("h2", {}, S.places), make("p", { class: "soft" }, S.placesText), make("ul", { class: "places" }, ...rows))];
  }
  back() {
    if (this.status.querySelector(".problem")) this.status.replaceChildren();
  }
  key() {
    return false;
  }
  close() {
    this.cancel?.();
  }
}
// the compare view expects spans with its second video as the query
const flip = (span) => ({ ...span, start: span.query_start, end: span.query_end, query_start: span.start, query_end: span.end });
