// What the server is asked, and what it tells by itself. A server that restarts is waited for.
import { S } from "../shared/strings.js";

export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail || body.title || S.failed(status));
    Object.assign(this, { status, kind: body.kind || (body.type || "").split("/").pop(), login: body.login, errors: body.errors || [], retryAfter });
  }
}

// "changed" (a name of what has changed, its data), "away" and "back" of the server, "unauthorized", "loaded" (no page of a list is asked for any more)
export const bus = new EventTarget();
export const tell = (name, detail) => bus.dispatchEvent(new CustomEvent(name, { detail }));
export const on = (name, does) => bus.addEventListener(name, (event) => does(event.detail));

let session = null;
let waiting = null; // a promise: the server is away, and is asked whether it is back
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

export function serverAway() {
  waiting ??= (async () => {
    tell("away");
    for (let wait = 300; ; wait = Math.min(2000, wait * 1.4)) {
      await pause(wait);
      try {
        if ((await fetch("/livez", { cache: "no-store" })).ok) break;
      } catch { /* still away */ }
    }
    waiting = null;
    tell("back");
  })();
  return waiting;
}

// Everything that is sent can be sent again: writes carry a key by which the server knows them.
export async function call(method, path, body, { signal, headers = {} } = {}) {
  const write = method !== "GET";
  const own = write ? { "X-CSRF-Token": session?.csrf || "", "Idempotency-Key": crypto.randomUUID?.() || `k${Date.now()}-${Math.random().toString(36).slice(2)}` } : {};
  const json = body === undefined || body instanceof Blob ? {} : { "Content-Type": "application/json" };
  const content = body === undefined || body instanceof Blob ? body : JSON.stringify(body);
  for (let tries = 0; ; tries++) {
    let response;
    try {
      response = await fetch(path, { method, body: content, signal, credentials: "same-origin", headers: { Accept: "application/json", ...json, ...own, ...headers } });
    } catch (error) {
      if (signal?.aborted) throw error;
      await serverAway();
      continue;
    }
    if (response.ok) return response.status === 204 ? null : response;
    const problem = new Problem(response.status, await response.json().catch(() => ({})), Number(response.headers.get("Retry-After")));
    if (problem.status === 503 && tries < 5) {
      await pause(1000 * (problem.retryAfter || 1));
      continue;
    }
    if (problem.status === 403 && write && tries < 1) { // a new session may have another token
      await open().catch(() => null);
      own["X-CSRF-Token"] = session?.csrf || "";
      continue;
    }
    if (problem.status === 401 && !path.endsWith("/session")) tell("unauthorized", problem);
    throw problem;
  }
}

const json = async (response) => (response ? response.json() : null);
export const get = async (path, options) => json(await call("GET", path, undefined, options));
export const post = async (path, body, options) => json(await call("POST", path, body ?? {}, options));
export const put = async (path, body) => json(await call("PUT", path, body ?? {}));
export const remove = (path) => call("DELETE", path);

export async function open(credentials) {
  session = credentials ? await post("/v1/session", credentials) : await get("/v1/session");
  return session;
}
export async function close() {
  await remove("/v1/session");
  session = null;
}

export function query(path, values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

// A file to be searched by; progress is told as a share from 0 to 1.
export function upload(file, progress) {
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      const body = JSON.parse(request.responseText || "{}");
      if (request.status < 300) resolve(body);
      else reject(new Problem(request.status, body));
    };
    request.onerror = () => reject(new Problem(0, { detail: S.noAnswer }));
    request.onabort = () => reject(new DOMException("", "AbortError"));
  });
  request.open("POST", "/v1/uploads");
  request.setRequestHeader("X-CSRF-Token", session?.csrf || "");
  request.setRequestHeader("X-Filename", encodeURIComponent(file.name));
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(file);
  return { done, cancel: () => request.abort() };
}

// Pages of lists that are asked for: pictures wait for them.
let pages = 0;
export const loading = () => pages > 0;

// A list of the server's of which only pages that are looked at are loaded.
export class Listing {
  constructor(path, values, { page = 100, loaded } = {}) {
    Object.assign(this, { path, values, page, loaded, items: [], total: null, head: null, pages: new Map() });
    this.abort = new AbortController();
  }
  at(place) { // before the first page is there, nobody knows whether there is such a place
    if (!(place in this.items) && this.total !== null) this.want(place);
    return this.items[place];
  }
  want(place) {
    const first = place - (place % this.page);
    if (!this.pages.has(first)) this.pages.set(first, this.load(first));
    return this.pages.get(first);
  }
  async load(first) {
    const url = query(this.path, { ...this.values, limit: this.page, cursor: first ? `@${first}` : null });
    let answer;
    pages++;
    try {
      answer = await get(url, { signal: this.abort.signal });
    } catch (error) {
      this.pages.delete(first);
      if (this.abort.signal.aborted) return null;
      throw error;
    } finally {
      pages--;
      if (!pages) tell("loaded");
    }
    answer.items.forEach((item, i) => (this.items[first + i] = item));
    this.total = answer.total;
    this.head = answer;
    this.loaded?.(first, answer);
    return answer;
  }
  close() {
    this.abort.abort();
  }
}

// Jobs, judgements, basket and library, as they change.
export function listen() {
  const events = new EventSource("/v1/jobs/events");
  for (const name of ["job", "judgements", "basket", "library", "listening"]) {
    events.addEventListener(name, (event) => tell(name, JSON.parse(event.data)));
  }
  events.addEventListener("error", () => {
    // the browser asks again by itself, unless the answer was no stream
    serverAway().then(() => {
      if (events.readyState === EventSource.CLOSED) listen();
    });
  });
  addEventListener("pagehide", () => events.close(), { once: true });
}
