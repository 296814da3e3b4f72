// The plan: what goes, tried first, then done; and what was done, which can be taken back.
import { make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { bytes, number, plural } from "../shared/text.js";
import { metaOf, nameOf } from "../shared/video.js";
import { get, remove } from "./api.js";
import { openCompare } from "./compare.js";
import { strip } from "./media.js";
import { beginJob, jobBar } from "./progress.js";
import { ask, badge, button, complain, empty, guarded, head, selectOf, state } from "./shell.js";
import { VirtualList } from "./virtual.js";

let action = null;

export function open(host) {
  return new Plan(host);
}

class Plan {
  constructor(host) {
    action ??= state.library.actions[0];
    const act = (does) => guarded(does.bind(this));
    this.progress = make("div", { class: "progress-host" });
    this.outcome = make("div", { class: "outcome" });
    this.controls = make("div", { class: "bar" },
      selectOf(S.action, Object.fromEntries(state.library.actions.map((name) => [name, S.actions[name]])), action, (value) => ((action = value), this.explain())),
      this.different = make("label", { class: "choice" }, make("input", { type: "checkbox" }), S.different), this.explained = make("span", { class: "soft" }), make("span", { class: "grow" }), button(S.emptyPlan, act(this.clear)), button(S.tryPlan, act(() => this.apply(true))),
      this.doing = button(S.applyPlan, act(() => this.apply(false)), { class: "main danger", id: "apply" }));
    this.listHost = make("div");
    this.none = make("div");
    this.journals = make("section", { class: "journals" });
    host.append(head(S.views.plan, S.planText, [[S.files, "n-files"], [S.frees, "n-frees"]]), this.controls, this.progress, this.outcome, this.none, this.listHost, this.journals);
    [this.files, this.frees] = [host.querySelector("#n-files"), host.querySelector("#n-frees")];
    this.list = new VirtualList(this.listHost, { render: (place) => this.item(place), estimate: () => (innerWidth < 640 ? 250 : 160), label: S.views.plan });
    this.explain();
    this.load().catch(complain);
  }
  explain() {
    this.explained.textContent = S.actionTexts[action] || "";
    this.different.hidden = !action?.endsWith("link");
  }
  async load() {
    const [basket, { items }] = await Promise.all([get("/v1/basket"), get("/v1/journals")]);
    this.items = basket.items;
    state.basket = basket.items.length;
    badge("plan", state.basket || "");
    this.files.textContent = number.format(basket.items.length);
    this.frees.textContent = bytes(basket.bytes);
    this.controls.hidden = !basket.items.length;
    this.none.replaceChildren(basket.items.length ? "" : empty(S.planEmpty, S.planEmptyText, make("a", { class: "button main", href: "#/duplicates" }, S.toDuplicates)));
    this.list.reset(basket.items.length);
    this.journals.replaceChildren(...(items.length ? [make("h2", {}, S.journals), ...items.map((journal) => this.journal(journal))] : []));
  }
  item(place) {
    const { video, kept, distance, reason } = this.items[place];
    return make("div", { class: "video", data: { id: video.id } },
      strip(video, { label: S.compareLarge(video.path), height: 88, onopen: () => openCompare({ a: kept, b: video, distance }) }),
      make("div", { class: "what" }, ...nameOf(video.path), metaOf(video, kept), make("div", { class: "folder" }, S.keptIs, make("bdi", {}, kept.path)), reason ? make("div", { class: "folder" }, S.because(reason)) : ""),
      make("div", { class: "side" }, make("span", { class: "rate" }, S.bits(distance)), button(S.takeOut, guarded(async () => {
        await remove(`/v1/basket/${video.id}`);
        await this.load();
      }), { class: "small" })));
  }
  journal(journal) {
    const { name, began, action: what, steps, done, undone, unfinished } = journal;
    const left = done - undone;
    return make("article", { class: "card journal", data: { name } }, make("div", { class: "job-line" }, make("b", {}, S.actions[what] || what), make("span", { class: "soft" }, S.steps(plural(steps, S.one.file), number.format(done), number.format(undone))),
      unfinished && make("span", { class: "tag bad" }, S.unfinished), make("span", { class: "grow" }), make("time", { class: "soft" }, new Date(1000 * began).toLocaleString()),
      left > 0 || unfinished ? button(S.undoJournal, guarded(() => beginJob("undo", { journal: name })), { class: "undo" }) : make("span", { class: "tag" }, S.allUndone)));
  }
  async apply(dry) {
    const count = plural(this.items.length, S.one.file);
    if (!dry && !(await ask(S.applyPlan, S.reallyApply(count, S.actionTexts[action]), S.actions[action], { bad: true }))) return;
    await beginJob("apply", { action, different: this.different.firstChild.checked && !this.different.hidden, dry_run: dry });
  }
  async clear() {
    await remove("/v1/basket");
    await this.load();
  }
  job(job) {
    if (!["apply", "undo"].includes(job.kind)) return;
    const active = job.state === "running" || job.state === "queued";
    if (active) this.mine = job.id;
    this.progress.replaceChildren(active ? jobBar(job) : "");
    this.doing.disabled = active;
    if (active || this.told === job.id || this.mine !== job.id) return;
    this.told = job.id;
    this.tell(job);
    this.load().catch(complain);
  }
  tell(job) {
    const files = job.result?.files || [];
    const dry = job.options?.dry_run;
    const states = new Map();
    for (const { state: what } of files) states.set(what, (states.get(what) || 0) + 1);
    const words = [...states].map(([what, n]) => S.outcomes[dry && what === "done" ? "would" : what]?.(number.format(n)) || `${n} ${what}`);
    const bad = files.filter((file) => !["done", "restored", "in place"].includes(file.state));
    this.outcome.replaceChildren(make("div", { class: bad.length || job.state === "failed" ? "card said bad" : "card said" },
      make("b", {}, job.state === "failed" ? job.message : words.join(", ") || S.nothingDone),
      bad.length ? make("ul", {}, ...bad.slice(0, 200).map((file) => make("li", {}, make("bdi", {}, file.path), make("div", { class: "soft" }, file.message)))) : "",
      !dry && job.kind === "apply" && job.result?.journal ? make("p", { class: "soft" }, S.canBeUndone) : ""));
  }
  basket(items) {
    if (items !== this.items?.length) this.load().catch(complain);
  }
  back() {
    this.load().catch(complain);
  }
  close() {
    this.list.close();
  }
}
