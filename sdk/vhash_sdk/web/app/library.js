// All videos of the library, and the files that could not be taken.
import { byId, make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { bytes, number, seconds } from "../shared/text.js";
import { metaOf, nameOf } from "../shared/video.js";
import { Listing } from "./api.js";
import { strip } from "./media.js";
import { openNear, openVideo } from "./near.js";
import { beginJob } from "./progress.js";
import { button, complain, empty, guarded, head, selectOf, state, tabs, textField } from "./shell.js";
import { VirtualList } from "./virtual.js";

const filters = { text: "", codec: "", min_bytes: "", min_seconds: "", damaged: "", sort: "id", order: "asc" };
const failures = { text: "", kind: "" };

export function open(host, { name }) {
  return new Videos(host, name === "errors");
}

class Videos {
  constructor(host, errors) {
    this.errors = errors;
    this.current = null;
    const { library } = state;
    this.bar = make("div", { class: "bar", role: "search", "aria-label": S.filters }, ...(errors ? this.errorFilters() : this.videoFilters()));
    this.listHost = make("div");
    this.none = make("div");
    host.append(head(S.views.library, `${library.path} · ${S.modelFacts(library.model.name, S.bits(library.model.bits))}`, [[S.videos, "n-videos"], [S.length, "n-seconds"], [S.size, "n-bytes"]]),
      tabs(["#/library", S.videosTab, !errors], ["#/errors", S.errorsTab(number.format(library.failures)), errors]), this.bar, this.none, this.listHost);
    this.list = new VirtualList(this.listHost, { render: (place) => (errors ? this.failure(place) : this.video(place)), estimate: () => (errors ? 72 : innerWidth < 640 ? 190 : 92), label: errors ? S.errorsTab("") : S.videos });
    this.library(library);
    this.load().catch(complain);
  }
  videoFilters() {
    const { codecs } = state.library;
    const set = (name) => (value) => this.filter(filters, name, value);
    return [textField(S.path, filters.text, set("text"), { placeholder: S.partOfPath }),
      selectOf(S.codec, { "": S.all, ...Object.fromEntries(codecs.map(({ codec, videos }) => [codec || "", `${codec || "?"} (${number.format(videos)})`])) }, filters.codec, set("codec")),
      selectOf(S.from, S.sizes, filters.min_bytes, set("min_bytes")), selectOf(S.longer, S.lengths, filters.min_seconds, set("min_seconds")),
      selectOf(S.state, { "": S.all, true: S.damaged }, filters.damaged, set("damaged")),
      selectOf(S.sortBy, S.videoSorts, filters.sort, set("sort")),
      button(filters.order === "asc" ? "↑" : "↓", (event) => {
        filters.order = filters.order === "asc" ? "desc" : "asc";
        event.target.textContent = filters.order === "asc" ? "↑" : "↓";
        event.target.setAttribute("aria-label", S.orders[filters.order]);
        this.list.begin();
        this.load().catch(complain);
      }, { "aria-label": S.orders[filters.order] })];
  }
  errorFilters() {
    const kinds = state.library.failures_by_kind;
    this.chips = make("div", { class: "chips", role: "group", "aria-label": S.kind }, ...[{ kind: "", files: state.library.failures }, ...kinds].map(({ kind, files }) =>
      button([kind ? S.errorKinds[kind] || kind : S.all, make("b", {}, number.format(files))], () => this.filter(failures, "kind", kind), { class: "chip", data: { kind }, "aria-pressed": String(kind === failures.kind), title: kind })));
    return [textField(S.path, failures.text, (value) => this.filter(failures, "text", value), { placeholder: S.partOfPath }), this.chips, make("span", { class: "grow" }),
      state.library.roots.length ? button(S.retry, guarded(async () => {
        await beginJob("add", { paths: state.library.roots, retry: true });
        location.hash = "#/jobs";
      })) : ""];
  }
  filter(of, name, value) {
    of[name] = value;
    for (const chip of this.chips?.children || []) chip.setAttribute("aria-pressed", String(chip.dataset.kind === failures.kind));
    this.list.begin();
    this.load().catch(complain);
  }
  async load() {
    this.listing?.close();
    const path = this.errors ? "/v1/failures" : "/v1/videos";
    const listing = (this.listing = new Listing(path, this.errors ? failures : filters, { page: 50, loaded: (first, answer) => listing === this.listing && this.loaded(first, answer) }));
    this.current = null;
    await listing.want(0);
  }
  loaded(first, answer) {
    if (first === 0) this.list.reset(answer.total);
    this.none.replaceChildren(answer.total ? "" : this.errors ? empty(S.noErrors, S.noErrorsText) : empty(S.noneLeft, state.library.videos ? S.noVideoLeft : S.noVideosText));
    this.list.refresh(first, first + answer.items.length);
  }
  video(place) {
    const video = this.listing.at(place);
    if (!video) return null;
    const row = make("div", { class: "video compact", tabIndex: -1, data: { id: video.id } },
      strip(video, { label: S.openVideo(video.path), height: 64, onopen: () => openVideo(video) }),
      make("div", { class: "what" }, ...nameOf(video.path, { onclick: () => openVideo(video) }), metaOf(video)),
      make("div", { class: "side" }, button(S.near, () => openNear(video), { class: "small", title: S.nearTitle })));
    row.addEventListener("click", () => this.go(place, false));
    if (place === this.current) row.setAttribute("aria-current", "true");
    return row;
  }
  failure(place) {
    const failure = this.listing.at(place);
    if (!failure) return null;
    return make("div", { class: "failure" }, make("span", { class: "tag bad", title: failure.kind }, S.errorKinds[failure.kind] || failure.kind), make("div", {}, make("bdi", { class: "path" }, failure.path), make("div", { class: "soft" }, failure.message)));
  }
  go(place, scroll = true) {
    this.list.shown.get(this.current)?.removeAttribute("aria-current");
    this.current = place;
    const row = scroll ? this.list.show(place) : this.list.shown.get(place);
    row?.setAttribute("aria-current", "true");
    if (scroll) row?.focus({ preventScroll: true });
  }
  library(library) {
    byId("n-videos").textContent = number.format(library.videos);
    byId("n-seconds").textContent = seconds(library.seconds);
    byId("n-bytes").textContent = bytes(library.bytes);
  }
  back() {
    if (this.listing.total === null) this.load().catch(complain);
  }
  key(event) {
    const total = this.listing.total || 0;
    if (["j", "ArrowDown"].includes(event.key) && total) this.go(Math.min(total - 1, (this.current ?? -1) + 1));
    else if (["k", "ArrowUp"].includes(event.key) && total) this.go(Math.max(0, (this.current ?? 1) - 1));
    else if (this.current === null || this.errors || !this.listing.items[this.current]) return false;
    else if (event.key === "Enter" && !event.target.closest("button, a")) openVideo(this.listing.items[this.current]);
    else if (event.key === "t") openNear(this.listing.items[this.current]);
    else return false;
    return true;
  }
  close() {
    this.listing?.close();
    this.list.close();
  }
}
