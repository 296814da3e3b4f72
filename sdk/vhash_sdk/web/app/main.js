// Starts the app: signs in, listens to the server, shows the view that the address names.
import { announce, byId, forOthers, make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { close, get, listen, on, open, Problem, serverAway, tell } from "./api.js";
import { leave } from "./media.js";
import { badge, banner, buildShell, button, complain, guarded, state, tellKeys, toast, VIEWS } from "./shell.js";

let view = null; // what is shown
let opening = 0;

const ALIASES = { errors: "library", related: "duplicates" };

function asked() {
  const [name, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  return { name, rest, wanted: VIEWS.includes(ALIASES[name] || name) ? ALIASES[name] || name : "search" };
}

async function route() {
  if (!state.session) return;
  const { name, rest, wanted } = asked();
  const number = ++opening;
  // a browser may remember for good that it could not load an address
  const module = await import(`./${wanted}.js`).catch(() => serverAway().then(() => import(`./${wanted}.js?${number}`)));
  if (number !== opening) return; // another one was asked for meanwhile
  leave();
  view?.close?.();
  view = null;
  for (const link of document.querySelectorAll("nav a[data-view]")) {
    if (link.dataset.view === wanted) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${S.views[wanted]} · ${state.library.name} · vhash`;
  scrollTo(0, 0);
  const host = byId("main");
  host.replaceChildren();
  host.dataset.view = wanted;
  view = module.open(host, { name, rest });
  if (shown) host.querySelector("h1")?.focus({ preventScroll: true }); // at the start the page itself is read
  shown = true;
}
let shown = false;

// ---------------------------------------------------------------- signing in
function signIn(login, message) {
  state.session = null;
  const fields = login === "password"
    ? [make("label", {}, S.user, make("input", { name: "user", autocomplete: "username", required: true })),
      make("label", {}, S.password, make("input", { name: "password", type: "password", autocomplete: "current-password", required: true }))]
    : [make("p", {}, S.howToSignIn), make("label", {}, S.token, make("input", { name: "token", type: "password", autocomplete: "off", required: true }))];
  const said = make("p", { class: "problem", role: "alert" }, message || "");
  const form = make("form", { class: "card sign-in" }, make("h1", {}, S.signIn), ...fields, said, make("button", { class: "main" }, S.signIn));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await begin(Object.fromEntries(new FormData(form)));
    } catch (error) {
      said.textContent = error.message;
    }
  });
  document.body.replaceChildren(make("main", { class: "door" }, form), make("div", { id: "said", class: "hidden", "aria-live": "assertive" }), make("div", { id: "toasts", role: "status" }));
  form.querySelector("input")?.focus();
}

function addSignOut(user) {
  document.querySelector("nav .foot").append(button(S.signOut(user), () => close().then(() => location.reload()).catch(complain)));
}

let listening = false;
async function begin(credentials) {
  const first = credentials ? await open(credentials) : null; // else all at once: the cookie is there, or nothing is
  buildShell();
  import(`./${asked().wanted}.js`).catch(() => null); // its code comes while the library is asked for
  const [session, library] = await Promise.all([first || open(), get("/v1/library")]);
  Object.assign(state, { session, library });
  if (session.user !== "local") addSignOut(session.user);
  told();
  await route();
  setTimeout(() => VIEWS.forEach((name) => import(`./${name}.js`).catch(() => null)), 300); // the server may go away
  if (!listening) listen();
  listening = true;
  const basket = await get("/v1/basket");
  state.basket = basket.items.length;
  badge("plan", state.basket || "");
}

function told() {
  byId("brand").textContent = state.library.name;
  byId("brand").title = state.library.path;
}

async function start() {
  const token = /[#&]token=([^&]+)/.exec(location.hash)?.[1];
  if (token) history.replaceState(null, "", location.pathname);
  try {
    await begin(token && { token: decodeURIComponent(token) });
  } catch (error) {
    if (token && error instanceof Problem && error.status === 401) return begin().catch(() => signIn("token", S.tokenUsed));
    if (error instanceof Problem && error.status === 401) return signIn(error.login, "");
    throw error;
  }
}

// ---------------------------------------------------------------- what the server tells
on("job", (job) => {
  if (state.jobs.get(job.id)?.revision >= job.revision) return;
  state.jobs.set(job.id, job);
  const running = unended();
  badge("jobs", running.length ? jobShare(running[0]) : "", running[0]?.current || "");
  if (["done", "failed"].includes(job.state) && job.ended && Date.now() / 1000 - job.ended < 20) {
    announce(S.jobEnded(job));
    if (job.state === "failed") toast(S.jobEnded(job), { bad: true });
  }
  view?.job?.(job);
});
const unended = () => [...state.jobs.values()].filter((each) => each.state === "running" || each.state === "queued");
const jobShare = (job) => (job.total ? `${Math.floor((100 * job.done) / job.total)} %` : "…");
on("basket", ({ items }) => {
  state.basket = items;
  badge("plan", items || "");
  view?.basket?.(items);
});
on("judgements", (data) => view?.judgements?.(data));
let asking = 0;
on("library", () => {
  clearTimeout(asking); // while videos are added it changes all the time
  asking = setTimeout(async () => {
    state.library = await get("/v1/library");
    told();
    view?.library?.(state.library);
  }, 400);
});
on("away", () => banner(S.away_));
on("back", () => {
  banner("");
  if (!state.session) return;
  announce(S.back);
  toast(S.back);
  open().catch(complain);
});
let heard = false;
on("listening", guarded(async () => { // what happened before was told to nobody
  for (const { id } of unended()) {
    await get(`/v1/jobs/${id}`).then((now) => tell("job", now), (error) => {
      if (error.status !== 404) throw error;
      state.jobs.delete(id); // a server that keeps nothing has forgotten it
    });
  }
  if (!heard) view?.listening?.();
  else {
    const [library, basket] = await Promise.all([get("/v1/library"), get("/v1/basket")]);
    state.library = library;
    told();
    tell("basket", { items: basket.items.length });
    view?.library?.(library);
    view?.back?.();
  }
  heard = true;
}));
on("unauthorized", (problem) => {
  if (state.session) signIn(problem.login, S.signedOut);
});

// ---------------------------------------------------------------- keys, and files dropped anywhere
document.addEventListener("keydown", (event) => {
  if (!state.session || forOthers(event)) return;
  const at = Number(event.key) - 1;
  if (event.key === "?") tellKeys();
  else if (event.key === "/") {
    const field = document.querySelector("main input[type=search]");
    if (!field) return;
    field.focus();
  } else if (VIEWS[at]) location.hash = `#/${VIEWS[at]}`;
  else if (!view?.key?.(event)) return;
  event.preventDefault();
});

const carriesFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
addEventListener("dragover", (event) => {
  if (!carriesFiles(event) || !state.session) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  byId("drop").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget && state.session) byId("drop").hidden = true;
});
addEventListener("drop", async (event) => {
  if (!carriesFiles(event) || !state.session) return;
  event.preventDefault();
  byId("drop").hidden = true;
  const [file] = event.dataTransfer.files;
  if (!file) return;
  const search = await import("./search.js");
  search.give(file);
  if (byId("main").dataset.view === "search") route();
  else location.hash = "#/search";
});

addEventListener("hashchange", () => {
  if (/[#&]token=/.test(location.hash)) start();
  else route().catch(complain);
});
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof Problem) {
    event.preventDefault();
    complain(event.reason);
  }
});
start().catch((error) => {
  document.body.replaceChildren(make("main", { class: "door" }, make("div", { class: "card sign-in" }, make("h1", {}, S.cannotStart), make("p", { class: "problem" }, error.message),
    button(S.tryAgain, () => location.reload(), { class: "main" }))));
});
