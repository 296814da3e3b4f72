// How far a job is.
import { make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { number } from "../shared/text.js";
import { post, tell } from "./api.js";
import { button, guarded } from "./shell.js";

// What the server answers may come after what it tells of the same job: both go one way, and the newer counts.
export async function beginJob(kind, options) {
  tell("job", await post("/v1/jobs", { kind, ...options }));
}

export function jobBar(job, { cancel = true } = {}) {
  const share = job.total ? job.done / job.total : null;
  const bar = make("div", { class: share === null ? "progress unknown" : "progress", role: "progressbar", "aria-label": S.jobKinds[job.kind],
    ...(share === null ? {} : { "aria-valuenow": Math.round(100 * share), "aria-valuemin": 0, "aria-valuemax": 100 }) }, make("i"));
  if (share !== null) bar.firstChild.style.width = `${100 * share}%`;
  const counted = job.total ? S.ofAll(number.format(job.done), number.format(job.total)) : job.done ? number.format(job.done) : "";
  return make("div", { class: "job-bar", data: { job: job.id } },
    make("div", { class: "job-line" }, make("b", {}, S.jobDoing[job.kind] || job.kind), make("span", { class: "count" }, job.state === "queued" ? S.queued : counted),
      job.attempts > 1 && make("span", { class: "tag" }, S.attempt(job.attempts)), make("span", { class: "grow" }),
      cancel && button(S.cancel, guarded(async () => tell("job", await post(`/v1/jobs/${job.id}/cancel`))), { class: "small" })),
    bar, make("div", { class: "current" }, make("bdi", {}, job.current || "")));
}
