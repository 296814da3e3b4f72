// What the server is doing and has done, as it goes on.
import { make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { number, seconds } from "../shared/text.js";
import { get } from "./api.js";
import { beginJob, jobBar } from "./progress.js";
import { complain, empty, guarded, head, state } from "./shell.js";

export function open(host) {
  return new Jobs(host);
}

class Jobs {
  constructor(host) {
    this.cards = new Map();
    this.list = make("div", { class: "jobs" });
    host.append(head(S.views.jobs, S.jobsText), this.adding(), this.list);
    this.load().catch(complain);
  }
  adding() {
    const { roots, read_only, writable } = state.library;
    if (read_only || writable) return make("p", { class: "note" }, S.readOnly(writable || ""));
    if (!roots.length) return make("p", { class: "note" }, S.noRoots);
    const path = make("input", { type: "text", list: "roots", value: roots[0], "aria-label": S.folder, spellcheck: false });
    const segments = make("input", { type: "checkbox", checked: state.library.has_segments });
    return make("form", { class: "card adding", onsubmit: guarded(async (event) => {
      event.preventDefault();
      await beginJob("add", { paths: [path.value], segments: segments.checked || null });
    }) }, make("h2", {}, S.addVideos), make("div", { class: "row" }, make("label", { class: "wide" }, `${S.folder} `, path),
      make("datalist", { id: "roots" }, ...roots.map((root) => make("option", { value: root }))), make("button", { class: "main" }, S.add)),
    make("label", { class: "choice" }, segments, S.withSegments));
  }
  async load() {
    const { items } = await get("/v1/jobs?limit=50");
    for (const job of items) this.job(job); // some may have been told meanwhile, as they are by now
    if (!this.cards.size) this.list.replaceChildren(empty(S.noJobs, S.noJobsText));
  }
  job(job) {
    const known = this.cards.get(job.id);
    if (known && known.job.revision > job.revision) return;
    const element = this.card(job);
    if (known) known.element.replaceWith(element);
    else {
      this.list.querySelector(".empty")?.remove();
      const older = [...this.cards.values()].filter((each) => each.job.created < job.created);
      older.sort((a, b) => b.job.created - a.job.created);
      this.list.insertBefore(element, older[0]?.element || null);
    }
    this.cards.set(job.id, { element, job });
  }
  card(job) {
    const counts = Object.entries(job.counts || {}).filter(([, n]) => n).map(([name, n]) => `${number.format(n)} ${S.counts[name] || name}`);
    const problems = job.problems?.length ? make("details", {}, make("summary", {}, S.problems(job.problems.length)), make("ul", {}, ...job.problems.map((each) =>
      make("li", {}, make("bdi", {}, each.path), make("div", { class: "soft" }, each.message))))) : "";
    const active = job.state === "running" || job.state === "queued";
    const took = job.ended && job.started ? seconds(job.ended - job.started) : "";
    return make("article", { class: `card job ${job.state}`, data: { id: job.id }, "aria-label": S.jobKinds[job.kind] || job.kind }, active ? jobBar(job)
      : make("div", { class: "job-line" }, make("b", {}, S.jobKinds[job.kind] || job.kind), make("span", { class: `tag ${job.state}` }, S.jobStates[job.state]), make("span", { class: "soft" }, took), make("span", { class: "grow" }),
        make("time", { class: "soft" }, new Date(1000 * (job.ended || job.created)).toLocaleString())),
    counts.length ? make("div", { class: "soft counts" }, counts.join(" · ")) : "", job.message ? make("p", { class: job.state === "failed" ? "problem" : "soft" }, job.message) : "", problems);
  }
  listening() {
    this.load().catch(complain);
  }
  back() {
    this.listening();
  }
  key() {
    return false;
  }
}
