// Parts that videos share: what many have, and which is a piece of which.
import { make } from "../shared/dom.js";
import { commonArticle, pairArticle, partsFacts } from "../shared/parts.js";
import { S } from "../shared/strings.js";
import { get, Listing, put } from "./api.js";
import { openCompare } from "./compare.js";
import { urlOf } from "./media.js";
import { beginJob, jobBar } from "./progress.js";
import { button, complain, empty, guarded, head, selectOf, state, textField } from "./shell.js";
import { VirtualList } from "./virtual.js";

const filters = { text: "", relation: "" };

export function open(host) {
  return new Parts(host);
}

class Parts {
  constructor(host) {
    this.progress = make("div", { class: "progress-host" });
    this.common = make("section", { class: "parts", "aria-label": S.commonParts });
    this.listHost = make("div", { class: "parts" });
    this.none = make("div");
    this.bar = make("div", { class: "bar", role: "search", "aria-label": S.filters, hidden: true },
      textField(S.path, filters.text, (value) => this.filter("text", value), { placeholder: S.partOfPath }),
      selectOf(S.show, S.relationChoices, filters.relation, (value) => this.filter("relation", value)));
    host.append(head(S.views.parts, S.partsIntro, [], button(S.findParts, guarded(() => this.find()), { class: "main" })), this.progress, this.none, this.common, this.bar, this.listHost);
    this.facts = host.querySelector(".facts");
    this.list = new VirtualList(this.listHost, { render: (place) => this.pair(place), estimate: () => 118, label: S.sharedParts });
    for (const job of state.jobs.values()) this.job(job);
    this.load().catch(complain);
  }
  filter(name, value) {
    filters[name] = value;
    this.list.begin();
    this.load().catch(complain);
  }
  async find() {
    await beginJob("parts", { seconds: 5 });
  }
  async load() {
    this.listing?.close();
    const listing = (this.listing = new Listing("/v1/parts", filters, { page: 50, loaded: (first, answer) => listing === this.listing && this.loaded(first, answer) }));
    const [answer, common] = await Promise.all([listing.want(0), get("/v1/parts/common?limit=100")]);
    if (!answer || listing !== this.listing) return;
    this.run = answer.run;
    this.none.replaceChildren(...(answer.run ? [] : [empty(S.noParts, state.library.has_segments ? S.noPartsText : S.noSegmentsText)]));
    this.bar.hidden = !answer.run;
    if (answer.run) this.facts.textContent = partsFacts({ pairs: answer.total, common: common.total, lacking: answer.run.lacking, ignored: answer.run.ignored, left: answer.run.left });
    this.common.replaceChildren(...common.items.map((part) => this.part(part)));
  }
  loaded(first, answer) {
    if (first === 0) this.list.reset(answer.total);
    this.list.refresh(first, first + answer.items.length);
  }
  pair(place) {
    const pair = this.listing.at(place);
    if (!pair) return null;
    const spans = pair.spans.map((span) => [span.a_start, span.a_end, span.b_start, span.b_end]);
    const reversed = pair.spans.some((span) => span.reversed);
    return pairArticle({ relation: pair.relation, a: pair.a.path, b: pair.b.path, seconds: [pair.a.seconds, pair.b.seconds], covered: [pair.a_covered, pair.b_covered], spans, reversed },
      button(S.compare, () => openCompare({ a: pair.a, b: pair.b, spans: pair.spans.map((span) => ({ start: span.a_start, end: span.a_end, query_start: span.b_start, query_end: span.b_end, reversed: span.reversed })) }), { class: "small" }));
  }
  part(part) {
    const [first] = part.places;
    const drawn = { ...part, places: part.places.map(({ video, start, end }) => ({ path: video.path, seconds: video.seconds, spans: [[start, end]] })) };
    const name = make("input", { type: "text", value: part.name || "", placeholder: S.nameIt, "aria-label": S.nameOfPart(part.name || part.id) });
    name.addEventListener("change", guarded(() => put(`/v1/parts/known/${part.id}`, { name: name.value, ignored: false })));
    const ignore = button(S.ignorePart, guarded(async () => {
      await put(`/v1/parts/known/${part.id}`, { name: name.value, ignored: true });
      article.remove();
    }), { class: "small" });
    const middle = first && (first.start + first.end) / 2;
    const article = commonArticle(drawn, first && urlOf(first.video, "still", { time: middle.toFixed(2), height: 160 }), make("div", { class: "row" }, name, ignore));
    return article;
  }
  job(job) {
    if (job.kind !== "parts") return;
    this.progress.replaceChildren(["running", "queued"].includes(job.state) ? jobBar(job) : "");
    if (job.state === "done" && this.run !== undefined && this.run?.job !== job.id) this.load().catch(complain);
  }
  back() {
    this.load().catch(complain);
  }
  close() {
    this.listing?.close();
    this.list.close();
  }
}
