// Pairs that are related, but not duplicates: looked through and compared, never planned or removed.
import { byId, make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { number } from "../shared/text.js";
import { distanceOf, facts, inverse, metaOf, nameOf } from "../shared/video.js";
import { get, Listing } from "./api.js";
import { openCompare } from "./compare.js";
import { leave, strip } from "./media.js";
import { openVideo } from "./near.js";
import { button, complain, empty, head, selectOf, state, tabs, textField } from "./shell.js";
import { VirtualList } from "./virtual.js";

const filters = { text: "", relation: "" };

// Groups, and what is beside them; run: the search that both are from.
export const relatedCount = (run) => (typeof run?.related === "number" ? number.format(run.related) : "");
export const groupTabs = (run, here) => tabs(["#/duplicates", S.groupsTab, here === "groups"], ["#/related", S.relatedTab(relatedCount(run)), here === "related"]);

export class Related {
  constructor(host) {
    this.current = null; // place of a pair
    this.bar = make("div", { class: "bar", role: "search", "aria-label": S.filters },
      textField(S.path, filters.text, (value) => this.filter("text", value), { placeholder: S.partOfPath }),
      selectOf(S.show, S.relatedChoices, filters.relation, (value) => this.filter("relation", value)));
    this.tabs = groupTabs(null, "related");
    this.stale = make("p", { class: "note", hidden: true }, S.stale);
    this.none = make("div");
    this.listHost = make("div");
    host.append(head(S.related, S.relatedText, [[S.relatedPairsShown, "n-related"]]), this.tabs, this.bar, this.stale, this.none, this.listHost);
    this.list = new VirtualList(this.listHost, { render: (place) => this.pair(place), estimate: () => 62 + 2 * (innerWidth < 640 ? 270 : 150), label: S.related });
    this.load().catch(complain);
  }
  filter(name, value) {
    filters[name] = value;
    this.list.begin();
    this.load().catch(complain);
  }
  async load() {
    this.listing?.close();
    const listing = (this.listing = new Listing("/v1/related", filters, { page: 50, loaded: (first, answer) => listing === this.listing && this.loaded(first, answer) }));
    this.current = null;
    const [{ run }] = await Promise.all([get("/v1/groups?limit=1"), listing.want(0)]);
    if (listing !== this.listing) return;
    this.run = run;
    const now = groupTabs(run, "related");
    this.tabs.replaceWith(now);
    this.tabs = now;
    this.bar.hidden = !run?.related;
    this.stale.hidden = !run?.stale;
    const [title, text] = !run ? [S.noRun, S.noRunText(number.format(state.library.videos))] : relatedCount(run) === "" ? [S.lookAgain, S.relatedUnknown] : run.related ? [S.noneLeft, S.noRelatedLeft] : [S.noRelated, S.noRelatedText];
    this.none.replaceChildren(listing.total ? "" : empty(title, text));
    byId("n-related").textContent = relatedCount(run) === "" ? "–" : listing.total === run.related ? number.format(listing.total) : S.ofAll(number.format(listing.total), number.format(run.related));
  }
  loaded(first, answer) {
    if (first === 0) this.list.reset(answer.total);
    this.list.refresh(first, first + answer.items.length);
  }
  pair(place) {
    let pair;
    try {
      pair = this.listing.at(place);
    } catch (error) {
      complain(error);
    }
    if (!pair) return null;
    const { a, b, relation, distance, pixels } = pair;
    const row = (video, reference, more, ...side) => make("li", { class: "video" },
      strip(video, { label: S.compareLarge(video.path), onopen: () => this.compare(place) }),
      make("div", { class: "what" }, ...nameOf(video.path, { onclick: () => openVideo(video) }), metaOf(video, reference), ...facts(more)),
      make("div", { class: "side" }, ...side));
    const element = make("section", { class: "group", tabIndex: -1, data: { pair: place }, "aria-label": S.relatedPair(a.path, S.relations[relation], b.path) },
      make("h2", {}, make("span", { class: "verdict-tag take" }, S.relatedWays[relation]), make("span", { class: "grow" }),
        button(S.compare, () => this.compare(place), { class: "small", tabIndex: -1, title: "Enter" })),
      make("ul", { class: "rows" }, row(a, a, { relation, of: S.other }),
        row(b, b, { relation: inverse(relation), of: S.other, pixels }, distanceOf(distance, this.run?.radius || state.library.model.bits))));
    element.addEventListener("click", () => this.go(place, false));
    if (place === this.current) element.setAttribute("aria-current", "true");
    return element;
  }
  compare(place) {
    const { a, b, distance, pixels } = this.listing.items[place];
    leave();
    this.go(place, false);
    openCompare({ a, b, distance, pixels });
  }
  go(place, scroll = true) {
    this.list.shown.get(this.current)?.removeAttribute("aria-current");
    this.current = place;
    const element = scroll ? this.list.show(place) : this.list.shown.get(place);
    element?.setAttribute("aria-current", "true");
    if (scroll) element?.focus({ preventScroll: true });
  }
  job(job) {
    if (job.kind === "dedup" && job.state === "done" && this.run !== undefined && this.run?.job !== job.id) this.load().catch(complain);
  }
  back() {
    if (this.listing.total === null) this.load().catch(complain);
  }
  key(event) {
    const total = this.listing.total || 0;
    if (["j", "ArrowDown"].includes(event.key) && total) this.go(Math.min(total - 1, (this.current ?? -1) + 1));
    else if (["k", "ArrowUp"].includes(event.key) && total) this.go(Math.max(0, (this.current ?? 1) - 1));
    else if (event.key === "Enter" && this.listing.items[this.current] && !event.target.closest("button, a")) this.compare(this.current);
    else return false;
    return true;
  }
  close() {
    this.listing?.close();
    this.list.close();
  }
}
