// Groups of duplicates: looked through, judged, and what may go put into the plan.
import { announce, byId, make } from "../shared/dom.js";
import { spansText, twoLines } from "../shared/lines.js";
import { S } from "../shared/strings.js";
import { bytes, number, plural } from "../shared/text.js";
import { distanceOf, facts, metaOf, nameOf, showVerdict, verdictButtons } from "../shared/video.js";
import { get, Listing, post, put, query, remove } from "./api.js";
import { openCompare } from "./compare.js";
import { openFinding } from "./finding.js";
import { leave, playCell, strip } from "./media.js";
import { openNear } from "./near.js";
import { beginJob, jobBar } from "./progress.js";
import { groupTabs, Related, relatedCount } from "./related.js";
import { button, complain, empty, guarded, head, icon, selectOf, state, textField, toast } from "./shell.js";
import { VirtualList } from "./virtual.js";

const filters = { text: "", state: "all", sort: "bytes", max_distance: "", min_bytes: "" };
const MOST_ROWS = 30; // of one group, until more are asked for
const letter = { match: "m", "not a match": "n" };
const word = { m: "match", n: "not a match" };

export function open(host, { name }) {
  return name === "related" ? new Related(host) : new Duplicates(host);
}

class Duplicates {
  constructor(host) {
    this.current = null; // [place of a group, place of a member]
    this.all = new Set(); // numbers of groups of which every member is shown
    const act = (does) => guarded(does.bind(this));
    this.again = button(S.findDuplicates, act(this.find), { class: "main" });
    this.bar = make("div", { class: "bar", role: "search", "aria-label": S.filters },
      textField(S.path, filters.text, (value) => this.filter("text", value), { placeholder: S.partOfPath }),
      selectOf(S.show, S.states, filters.state, (value) => this.filter("state", value)),
      selectOf(S.sortBy, S.groupSorts, filters.sort, (value) => this.filter("sort", value)),
      (this.range = this.limit()),
      selectOf(S.from, S.sizes, filters.min_bytes, (value) => this.filter("min_bytes", value)));
    this.progress = make("div", { class: "progress-host" });
    this.note = make("p", { class: "note", hidden: true });
    this.none = make("div");
    this.tabs = groupTabs(null, "groups");
    this.listHost = make("div");
    host.append(head(S.views.duplicates, "", [[S.held, "held"], [S.groups, "groups"], [S.lookedAt, "looked"]], make("div", { class: "row" },
        button(S.undo, act(this.undo), { title: "u" }), button(S.planAll, act(this.fill)), this.again)),
      this.progress, this.tabs, this.bar, this.note, this.none, this.listHost);
    this.list = new VirtualList(this.listHost, { render: (place) => this.group(place), estimate: (place) => this.estimate(place), label: S.groupsOf });
    this.facts = host.querySelector(".facts");
    for (const job of state.jobs.values()) this.job(job);
    this.load().catch(complain);
  }
  limit(run = null) {
    const most = run?.radius ?? state.library.model.bits;
    const said = make("output", {}, filters.max_distance ? S.bits(filters.max_distance) : S.any);
    const range = make("input", { type: "range", min: 0, max: most, step: 1, value: filters.max_distance || most, "aria-label": S.largest });
    range.addEventListener("input", () => (said.textContent = S.bits(range.value)));
    range.addEventListener("change", () => this.filter("max_distance", Number(range.value) === most ? "" : range.value));
    return make("label", { class: "range" }, `${S.upTo} `, said, range);
  }
  filter(name, value) {
    filters[name] = value;
    this.list.begin();
    this.load().catch(complain);
  }

  // ---------------------------------------------------------------- loading
  async load() {
    this.listing?.close();
    const values = { ...filters, state: filters.state === "all" ? "" : filters.state };
    const listing = (this.listing = new Listing("/v1/groups", values, { page: 50, loaded: (first, answer) => this.loaded(listing, first, answer) }));
    this.current = null;
    await listing.want(0);
  }
  loaded(listing, first, answer) {
    if (listing !== this.listing) return;
    if (first === 0) {
      if (answer.run?.radius !== this.run?.radius) {
        const range = this.limit(answer.run);
        this.range.replaceWith(range);
        this.range = range;
      }
      this.run = answer.run;
      this.generation = state.library.generation;
      this.totals();
      this.list.reset(answer.total);
      this.bar.hidden = !answer.run;
      this.again.textContent = answer.run ? S.lookAgain : S.findDuplicates;
      const none = !answer.run ? empty(S.noRun, S.noRunText(number.format(state.library.videos)))
        : answer.total ? "" : empty(S.noneLeft, answer.run.groups ? S.noneLeftText : S.noDuplicates);
      this.none.replaceChildren(none);
    }
    this.list.assume(first, answer.items.map((group, i) => this.estimate(first + i, group)));
    this.list.refresh(first, first + answer.items.length);
  }
  totals() {
    const { run, listing } = this;
    this.facts.textContent = run?.facts || "";
    this.tabs.lastChild.textContent = S.relatedTab(relatedCount(run));
    this.note.hidden = !run?.stale;
    this.note.textContent = S.stale;
    byId("held").textContent = run ? bytes(run.bytes) : "–";
    const total = listing.head?.total ?? 0;
    byId("groups").textContent = !run ? "–" : total === run.groups ? number.format(total) : S.ofAll(number.format(total), number.format(run.groups));
    byId("looked").textContent = run ? S.ofAll(number.format(run.judged), number.format(run.duplicates)) : "–";
  }
  estimate(place, group = this.listing?.items[place]) {
    const rows = group ? Math.min(group.members.length, this.all.has(group.number) ? Infinity : MOST_ROWS) + 1 : 2;
    const narrow = innerWidth < 640;
    return 62 + (narrow ? 270 : 150) * rows;
  }

  // ---------------------------------------------------------------- one group
  group(place) {
    let group;
    try {
      group = this.listing.at(place);
    } catch (error) {
      complain(error);
    }
    if (!group) return null;
    const offered = group.members.filter((member) => !member.not_offered);
    const shown = this.all.has(group.number) ? group.members : group.members.slice(0, MOST_ROWS);
    const rest = group.members.length - shown.length;
    const best = group.representative;
    const kept = make("li", { class: "video kept" },
      strip(best, { label: S.compareLarge(best.path), onopen: () => this.compare(place, 0) }),
      make("div", { class: "what" }, ...nameOf(best.path, { names: group.names }), metaOf(best)),
      make("div", { class: "side" }, make("span", { class: "keep", title: S.keep(this.run.keep) }, S.kept), button(S.near, () => openNear(best), { class: "small", title: S.nearTitle })));
    return make("section", { class: "group", "aria-label": S.group(group.number) },
      make("h2", {}, make("span", {}, S.group(group.number)), make("span", {}, make("b", {}, bytes(group.bytes)), S.inDuplicates(plural(group.members.length, S.one.duplicate))),
        make("span", { class: "grow" }),
        offered.length ? button(S.planGroup(offered.length), guarded(() => this.planGroup(place)), { class: "small", tabIndex: -1, title: "X" }) : ""),
      make("ul", { class: "rows" }, kept, ...shown.map((member, i) => this.member(place, i)),
        rest > 0 ? make("li", {}, button(S.showRest(number.format(rest)), () => (this.all.add(group.number), this.list.again(place)))) : ""));
  }
  member(place, i) {
    const group = this.listing.items[place];
    const member = group.members[i];
    const { video } = member;
    const row = make("li", { class: "video", tabIndex: -1, data: { member: i }, "aria-label": S.rowLabel(video.path, S.away(S.bits(member.distance), group.representative.path), member.relation) },
      strip(video, { label: S.compareLarge(video.path), onopen: () => this.compare(place, i) }),
      make("div", { class: "what" }, ...nameOf(video.path, { names: member.names }), metaOf(video, group.representative),
        ...facts({ not_offered: member.not_offered, because: member.kept_because, pixels: member.pixels, relation: member.relation })),
      make("div", { class: "side" }, distanceOf(member.distance, this.run.radius || state.library.model.bits), ...facts({ same: member.same_bytes, rate: member.false_match_rate?.high }),
        make("div", { class: "acts" }, verdictButtons(),
          member.not_offered ? "" : button([icon("plan"), make("span", {}, S.remove)], null, { class: "toss", data: { toss: "1" }, tabIndex: -1, "aria-pressed": "false", title: `${S.toPlan} (x)` }))),
      this.line(group, member));
    row.addEventListener("click", (event) => {
      const pressed = event.target.closest("button");
      this.go(place, i, { scroll: false });
      if (pressed?.dataset.says) guarded(() => this.judge(place, i, pressed.dataset.says))();
      else if (pressed?.dataset.toss) guarded(() => this.toss(place, i))();
    });
    this.show(place, i, row);
    return row;
  }
  line(group, { spans, video }) {
    if (!spans?.length) return "";
    const drawn = spans.map((span) => [span.start, span.end, span.query_start, span.query_end]); // the kept one first
    return twoLines(group.representative.seconds, video.seconds, drawn, spansText(drawn, S.spanOfKept), spans.some((span) => span.reversed));
  }
  row(place, i) {
    return this.list.shown.get(place)?.querySelector(`[data-member="${i}"]`);
  }
  show(place, i, row = this.row(place, i)) {
    if (!row) return;
    const member = this.listing.items[place]?.members[i];
    if (!member) return;
    const isCurrent = this.current?.[0] === place && this.current[1] === i;
    showVerdict(row, letter[member.judgement], isCurrent);
    row.classList.toggle("going", member.in_basket);
    row.querySelector("[data-toss]")?.setAttribute("aria-pressed", String(member.in_basket));
  }

  // ---------------------------------------------------------------- going through the pairs
  go(place, i, { scroll = true } = {}) {
    const before = this.current;
    this.current = [place, i];
    if (before) this.show(...before);
    if (i >= MOST_ROWS && !this.all.has(this.listing.items[place].number)) {
      this.all.add(this.listing.items[place].number);
      this.list.again(place);
    }
    if (scroll && !this.row(place, i)) this.list.show(place);
    this.show(place, i);
    const row = this.row(place, i);
    if (scroll && row) {
      row.focus({ preventScroll: true });
      row.scrollIntoView({ block: "nearest" });
    }
    this.spans(place, i).catch(() => null);
  }
  async spans(place, i) { // what is looked up only for what is looked at
    const group = this.listing.items[place];
    const member = group?.members[i];
    if (!member || member.spans !== null || !state.library.has_segments) return;
    member.spans = [];
    member.spans = (await get(query("/v1/spans", { a: member.video.id, b: group.representative.id }))).spans;
    const row = this.row(place, i);
    if (row && member.spans.length && !row.querySelector(".line")) row.append(this.line(group, member));
  }
  async step(by) {
    const total = this.listing.total || 0;
    if (!total) return;
    let [place, i] = this.current || [by > 0 ? 0 : total - 1, by > 0 ? -1 : Infinity];
    await this.listing.want(place);
    const members = this.listing.items[place].members.length;
    i = i === Infinity ? members - 1 : i + by;
    if (i >= members) [place, i] = place + 1 < total ? [place + 1, 0] : [place, members - 1];
    else if (i < 0) {
      place = Math.max(0, place - 1);
      await this.listing.want(place);
      i = this.current?.[0] ? this.listing.items[place].members.length - 1 : 0;
    }
    await this.listing.want(place);
    this.go(place, i);
  }
  compare(place, i) {
    const group = this.listing.items[place];
    const member = group.members[i];
    leave();
    this.go(place, i, { scroll: false });
    openCompare({ a: group.representative, b: member.video, distance: member.distance, spans: member.spans, pixels: member.pixels,
      says: () => letter[member.judgement], judge: (says) => this.judge(place, i, says), undo: () => this.undo() });
  }

  // ---------------------------------------------------------------- judging
  async judge(place, i, says) {
    const group = this.listing.items[place];
    const member = group.members[i];
    if (letter[member.judgement] === says) return;
    const before = member.judgement;
    this.put(place, i, word[says]);
    announce(says === "m" ? S.saidMatch : S.saidNot);
    try {
      if (says === "n" && member.in_basket) await this.toss(place, i);
      await this.inTurn(() => post("/v1/judgements", { judgements: [{ a: group.representative.id, b: member.video.id, judgement: word[says] }] }));
    } catch (error) {
      this.put(place, i, before);
      throw error;
    }
  }
  inTurn(sends) { // keys are faster than answers: judgements and undoing keep their order
    this.sent = (this.sent || Promise.resolve()).catch(() => null).then(sends);
    return this.sent;
  }
  put(place, i, judgement) {
    const member = this.listing.items[place].members[i];
    this.run.judged += (judgement ? 1 : 0) - (member.judgement ? 1 : 0);
    member.judgement = judgement;
    this.show(place, i);
    this.totals();
  }
  async undo() {
    let taken;
    try {
      taken = (await this.inTurn(() => post("/v1/judgements/undo"))).judgements;
    } catch (error) {
      if (error.status !== 409) throw error;
      announce(S.nothingToUndo);
      return;
    }
    for (const { a, b, judgement } of taken) {
      this.listing.items.forEach((group, place) => group.members.forEach((member, i) => {
        const pair = [group.representative.id, member.video.id];
        if (!pair.includes(a) || !pair.includes(b)) return;
        this.put(place, i, judgement);
        this.go(place, i);
      }));
    }
    announce(S.undone);
  }

  // ---------------------------------------------------------------- the plan
  async toss(place, i) {
    const group = this.listing.items[place];
    const member = group.members[i];
    if (member.not_offered) return announce(S.notOffered(member.not_offered));
    const going = !member.in_basket;
    member.in_basket = going;
    this.show(place, i);
    announce(going ? S.inPlan : S.outOfPlan);
    try {
      if (going) await put(`/v1/basket/${member.video.id}`, { kept: group.representative.id });
      else await remove(`/v1/basket/${member.video.id}`);
    } catch (error) {
      member.in_basket = !going;
      this.show(place, i);
      throw error;
    }
  }
  async planGroup(place) {
    const group = this.listing.items[place];
    const offered = group.members.map((member, i) => [member, i]).filter(([member]) => !member.not_offered && member.judgement !== "not a match");
    const all = offered.every(([member]) => member.in_basket); // then they are taken out again
    for (const [member, i] of offered) if (member.in_basket === all) await this.toss(place, i);
  }
  async fill() {
    const { added } = await post("/v1/basket/fill", { max_distance: filters.max_distance ? Number(filters.max_distance) : null, text: filters.text || null });
    toast(S.filled(number.format(added)));
    await this.load();
  }

  // ---------------------------------------------------------------- what comes from outside
  async find() {
    await openFinding(this.run, (options) => beginJob("dedup", options));
  }
  job(job) {
    if (job.kind !== "dedup") return;
    const runs = job.state === "running" || job.state === "queued";
    this.progress.replaceChildren(runs ? jobBar(job) : "");
    if (job.state === "done" && this.run !== undefined && this.run?.job !== job.id && (!this.run || job.ended >= this.run.ended)) this.load().catch(complain);
  }
  library({ generation }) {
    if (this.run && !this.run.stale && generation !== this.generation) {
      this.run.stale = true;
      this.totals();
    }
  }
  back() { // what was asked for meanwhile is answered now
    if (this.listing.total === null) this.load().catch(complain);
  }
  key(event) {
    const [place, i] = this.current || [];
    const does = {
      j: () => this.step(1), k: () => this.step(-1), ArrowDown: () => this.step(1), ArrowUp: () => this.step(-1), u: () => this.undo(),
    }[event.key] || (this.current && {
      m: () => Promise.all([this.judge(place, i, "m"), this.step(1)]), // on at once, not when it is stored
      n: () => Promise.all([this.judge(place, i, "n"), this.step(1)]),
      x: () => this.toss(place, i),
      X: () => this.planGroup(place),
      t: () => openNear(this.listing.items[place].members[i].video),
      p: () => this.play(place, i),
      Enter: event.target.closest("button, a") ? null : () => this.compare(place, i),
    }[event.key]);
    if (!does) return false;
    guarded(does)();
    return true;
  }
  play(place, i) {
    const row = this.row(place, i);
    if (row?.querySelector("video")) return leave();
    return row && playCell(row.querySelector(".strip"), this.listing.items[place].members[i].video);
  }
  close() {
    this.listing?.close();
    this.list.close();
  }
}

