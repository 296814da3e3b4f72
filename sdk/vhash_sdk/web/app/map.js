// A map of the library: like videos lie near each other. Every video is a point, drawn pixel by pixel.
import { announce, make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { cutPath, number, percent } from "../shared/text.js";
import { metaOf } from "../shared/video.js";
import { call, get } from "./api.js";
import { picture, strip, urlOf } from "./media.js";
import { openNear, openVideo } from "./near.js";
import { button, complain, empty, head } from "./shell.js";

const CELLS = 256; // of the grid by which the point under the pointer is found, a side
const REACH = 14; // pixels around the pointer
const PICTURES = 40; // as few as that in view are shown as pictures
const PALETTE = { light: [[90, 100, 118], [23, 112, 58], [176, 52, 32]], dark: [[148, 160, 180], [112, 214, 148], [255, 142, 122]] };
const kept = { data: null, generation: "", view: null }; // while other views are looked at

export function open(host) {
  return new Chart(host);
}

class Points {
  constructor(buffer) {
    const view = new DataView(buffer);
    if (view.getUint32(0, false) !== 0x56484d31) throw new Error(S.mapUnreadable); // "VHM1"
    const n = (this.count = view.getUint32(4, true));
    this.ids = new Float64Array(buffer.slice(8, 8 + 8 * n));
    this.x = new Float32Array(buffer.slice(8 + 8 * n, 8 + 12 * n));
    this.y = new Float32Array(buffer.slice(8 + 12 * n, 8 + 16 * n));
    this.kind = new Uint8Array(buffer, 8 + 16 * n, n);
    this.grid();
  }
  cell(value) {
    return Math.min(CELLS - 1, Math.max(0, Math.floor(((value + 1) / 2) * CELLS)));
  }
  grid() { // points in the order of their cells, and where each cell begins
    const { count, x, y } = this;
    const starts = new Uint32Array(CELLS * CELLS + 1);
    const cells = new Uint32Array(count);
    for (let i = 0; i < count; i++) starts[(cells[i] = this.cell(y[i]) * CELLS + this.cell(x[i])) + 1]++;
    for (let i = 0; i < CELLS * CELLS; i++) starts[i + 1] += starts[i];
    const next = starts.slice();
    this.order = new Uint32Array(count);
    for (let i = 0; i < count; i++) this.order[next[cells[i]]++] = i;
    this.starts = starts;
  }
  // places of points in a rectangle of the map, to does(place)
  within(x0, y0, x1, y1, does) {
    for (let row = this.cell(y0); row <= this.cell(y1); row++) {
      for (let at = this.starts[row * CELLS + this.cell(x0)]; at < this.starts[row * CELLS + this.cell(x1) + 1]; at++) {
        const i = this.order[at];
        if (this.x[i] >= x0 && this.x[i] <= x1 && this.y[i] >= y0 && this.y[i] <= y1) does(i);
      }
    }
  }
  nearest(x, y, reach) {
    let [best, least] = [-1, reach * reach];
    this.within(x - reach, y - reach, x + reach, y + reach, (i) => {
      const d = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
      if (d <= least) [best, least] = [i, d];
    });
    return best;
  }
}

class Chart {
  constructor(host) {
    this.view = kept.view || { x: 0, y: 0, scale: 1 };
    kept.view = this.view;
    this.shown = { 0: true, 1: true, 2: true };
    this.canvas = make("canvas", { tabIndex: 0, role: "application", "aria-label": S.mapLabel });
    this.spot = make("div", { class: "spot", hidden: true });
    this.card = make("div", { class: "map-card", hidden: true });
    this.stills = make("div", { class: "map-stills", "aria-hidden": "true" });
    this.pictures = new Map(); // place of a point → its picture
    this.box = make("div", { class: "map" }, this.canvas, this.stills, this.spot,
      make("div", { class: "map-buttons" }, button("+", () => this.zoom(1.6), { "aria-label": S.zoomIn }), button("−", () => this.zoom(1 / 1.6), { "aria-label": S.zoomOut }), button("⤢", () => this.home(), { "aria-label": S.wholeMap })), this.card);
    this.said = make("span", { class: "soft count" });
    const legend = S.mapKinds.map((text, kind) => make("label", { class: `choice kind-${kind}` }, make("input", { type: "checkbox", checked: true, onchange: (event) => ((this.shown[kind] = event.target.checked), this.later()) }), make("i"), text));
    host.append(head(S.views.map, S.mapText), make("div", { class: "bar legend" }, ...legend, make("span", { class: "grow" }), this.said), this.box);
    this.facts = host.querySelector(".facts");
    this.pointers = new Map();
    this.listen();
    this.load().catch((error) => (error.status === 404 ? this.box.replaceWith(empty(S.noMap, error.message)) : complain(error)));
  }
  async load() {
    this.said.textContent = S.drawing;
    const about = await get("/v1/map");
    if (!about.videos) return this.box.replaceWith(empty(S.noMap, S.noVideosText));
    if (kept.generation !== (about.etag || about.generation) || !kept.data) {
      kept.data = new Points(await (await call("GET", "/v1/map/points", undefined, { headers: { Accept: "application/octet-stream" } })).arrayBuffer());
      kept.generation = about.etag || about.generation;
    }
    this.points = kept.data;
    this.generation = about.generation;
    const [a, b] = about.explained || [];
    this.facts.textContent = a === undefined ? S.mapText : S.mapExplained(percent(a + b));
    this.resize();
  }
  listen() {
    const { canvas } = this;
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.box);
    this.onscheme = () => this.later();
    addEventListener("scheme", this.onscheme);
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / (event.deltaMode ? 12 : 300)), event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      this.moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => this.pointer(event));
    const up = (event) => {
      const one = this.pointers.size === 1 && this.moved < 6;
      this.pointers.delete(event.pointerId);
      if (event.type === "pointerup" && one && this.points) this.pick(event.offsetX, event.offsetY);
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => !this.fixed && this.mark(-1));
    canvas.addEventListener("dblclick", (event) => this.zoom(2, event.offsetX, event.offsetY));
  }
  pointer(event) {
    const known = this.pointers.get(event.pointerId);
    if (!known) return void (event.pointerType === "mouse" && this.hover(event.offsetX, event.offsetY));
    const before = this.pinch();
    const [dx, dy] = [event.offsetX - known.x, event.offsetY - known.y];
    this.moved += Math.abs(dx) + Math.abs(dy);
    Object.assign(known, { x: event.offsetX, y: event.offsetY });
    const now = this.pinch();
    if (before && now) this.zoom(now.size / before.size, now.x, now.y);
    if (this.pointers.size === 1) this.pan(dx, dy);
  }
  pinch() {
    if (this.pointers.size !== 2) return null;
    const [a, b] = [...this.pointers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, size: Math.hypot(a.x - b.x, a.y - b.y) || 1 };
  }

  // ---------------------------------------------------------------- where things are
  get unit() { // pixels of the window for one of the map
    return (Math.min(this.width, this.height) / 2.1) * this.view.scale;
  }
  toMap(px, py) {
    return [this.view.x + (px - this.width / 2) / this.unit, this.view.y + (py - this.height / 2) / this.unit];
  }
  toWindow(x, y) {
    return [this.width / 2 + (x - this.view.x) * this.unit, this.height / 2 + (y - this.view.y) * this.unit];
  }
  pan(dx, dy) {
    this.view.x = Math.min(1.2, Math.max(-1.2, this.view.x - dx / this.unit));
    this.view.y = Math.min(1.2, Math.max(-1.2, this.view.y - dy / this.unit));
    this.later();
  }
  zoom(by, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.toMap(px, py);
    this.view.scale = Math.min(4000, Math.max(0.8, this.view.scale * by));
    const [nx, ny] = this.toMap(px, py);
    this.view.x += x - nx;
    this.view.y += y - ny;
    this.later();
  }
  home() {
    Object.assign(this.view, { x: 0, y: 0, scale: 1 });
    this.later();
  }
  resize() {
    const ratio = Math.min(2, devicePixelRatio || 1);
    [this.width, this.height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    [this.canvas.width, this.canvas.height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    this.ratio = ratio;
    this.image = null;
    this.draw();
  }
  later() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  // ---------------------------------------------------------------- drawing
  draw() {
    this.frame = null;
    if (!this.points || !this.canvas.width) return;
    const { points, canvas, ratio } = this;
    const [W, H] = [canvas.width, canvas.height];
    this.image ??= new ImageData(W, H);
    this.ink ??= new Uint32Array(0);
    const pixels = new Uint32Array(this.image.data.buffer);
    pixels.fill(0);
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.scheme && matchMedia("(prefers-color-scheme: dark)").matches);
    const colours = PALETTE[dark ? "dark" : "light"].map(([r, g, b]) => (b << 16) | (g << 8) | r);
    const unit = this.unit * ratio;
    const [left, top] = [W / 2 - this.view.x * unit, H / 2 - this.view.y * unit];
    const [x0, y0] = this.toMap(-8, -8);
    const [x1, y1] = this.toMap(this.width + 8, this.height + 8);
    const dense = points.count / this.view.scale ** 2;
    const size = Math.max(1, Math.round(ratio * (dense > 8000 ? 2 : dense > 500 ? 4 : 8)));
    const weight = dense > 60000 ? 60 : dense > 8000 ? 120 : 210;
    let inside = 0;
    const few = [];
    const { x, y, kind } = points;
    const dot = (i, side, alpha) => {
      const px = Math.round(left + x[i] * unit - side / 2);
      const py = Math.round(top + y[i] * unit - side / 2);
      if (px < 0 || py < 0 || px + side > W || py + side > H) return;
      const colour = colours[kind[i]];
      const round = side > 3 ? (side * side) / 4 : Infinity;
      for (let dy = 0; dy < side; dy++) {
        for (let dx = 0; dx < side; dx++) {
          if ((dx + 0.5 - side / 2) ** 2 + (dy + 0.5 - side / 2) ** 2 > round) continue;
          const at = (py + dy) * W + px + dx;
          const there = pixels[at] >>> 24;
          pixels[at] = ((Math.min(255, there + alpha) << 24) | colour) >>> 0;
        }
      }
    };
    points.within(x0, y0, x1, y1, (i) => {
      if (inside++ < PICTURES && this.shown[kind[i]]) few.push(i);
      if (kind[i] === 0 && this.shown[0]) dot(i, size, weight);
    });
    if (this.shown[1] || this.shown[2]) { // above the others
      points.within(x0, y0, x1, y1, (i) => kind[i] && this.shown[kind[i]] && dot(i, size + (size > 3 ? Math.round(ratio) : 0), 255));
    }
    this.canvas.getContext("2d").putImageData(this.image, 0, 0);
    this.said.textContent = S.inView(number.format(inside), number.format(points.count));
    this.showPictures(inside <= PICTURES ? few : []);
    this.place();
  }

  showPictures(few) { // beside their points, where there is room for them
    const { points, pictures } = this;
    for (const [i, image] of pictures) {
      if (few.includes(i)) continue;
      image.remove();
      pictures.delete(i);
    }
    for (const i of few) {
      let image = pictures.get(i);
      if (!image) {
        image = picture(urlOf({ id: points.ids[i] }, "still", { height: 64 }), "");
        pictures.set(i, image);
        this.stills.append(image);
      }
      const [px, py] = this.toWindow(points.x[i], points.y[i]);
      image.style.transform = `translate(${px}px, ${py}px) translate(-50%, 8px)`;
    }
  }

  // ---------------------------------------------------------------- one of the points
  hover(px, py) {
    if (!this.points || this.fixed) return;
    this.mark(this.points.nearest(...this.toMap(px, py), REACH / this.unit));
  }
  mark(i) {
    if (i === this.marked) return;
    this.marked = i;
    this.spot.hidden = i < 0;
    clearTimeout(this.timer);
    if (i < 0) this.card.hidden = true;
    else this.timer = setTimeout(() => this.tell(i).catch(complain), 120);
    this.place();
  }
  place() {
    if (!(this.marked >= 0)) return;
    const [px, py] = this.toWindow(this.points.x[this.marked], this.points.y[this.marked]);
    this.spot.style.transform = `translate(${px}px, ${py}px)`;
    const right = px > this.width / 2;
    this.card.style.left = right ? "12px" : "auto";
    this.card.style.right = right ? "auto" : "12px";
  }
  async tell(i) {
    const video = await get(`/v1/videos/${this.points.ids[i]}`);
    if (this.marked !== i) return;
    const name = cutPath(video.path)[1];
    this.card.hidden = false;
    this.card.replaceChildren(strip(video, { label: S.openVideo(name), height: 64, onopen: () => openVideo(video) }), make("b", {}, make("bdi", {}, name)), metaOf(video), make("div", { class: "soft" }, S.mapKinds[this.points.kind[i]]),
      this.fixed ? make("div", { class: "row" }, button(S.open, () => openVideo(video), { class: "small" }), button(S.near, () => openNear(video), { class: "small" }), button("×", () => this.release(), { class: "small", "aria-label": S.close })) : "");
    announce(name);
  }
  pick(px, py) {
    const i = this.points.nearest(...this.toMap(px, py), REACH / this.unit);
    this.fixed = i >= 0;
    this.marked = undefined;
    this.mark(i);
  }
  release() {
    this.fixed = false;
    this.mark(-1);
    this.canvas.focus();
  }
  key(event) {
    if (event.target !== this.canvas && !["+", "-", "0"].includes(event.key)) return false;
    const by = 60;
    const does = {
      ArrowLeft: () => this.pan(by, 0), ArrowRight: () => this.pan(-by, 0), ArrowUp: () => this.pan(0, by), ArrowDown: () => this.pan(0, -by),
      "+": () => this.zoom(1.6), "=": () => this.zoom(1.6), "-": () => this.zoom(1 / 1.6), 0: () => this.home(), Escape: () => this.release(),
      Enter: () => this.pickNearest(), n: () => this.pickNearest(true),
    }[event.key];
    if (!does || !this.points) return false;
    does();
    return true;
  }
  pickNearest(other = false) { // the middle of the window, or the next one from there
    const [cx, cy] = this.toMap(this.width / 2, this.height / 2);
    const found = [];
    const reach = Math.max(this.width, this.height) / 2 / this.unit;
    this.points.within(cx - reach, cy - reach, cx + reach, cy + reach, (i) => found.push([(this.points.x[i] - cx) ** 2 + (this.points.y[i] - cy) ** 2, i]));
    found.sort((a, b) => a[0] - b[0]);
    if (!found.length) return announce(S.nothingHere);
    const at = other ? (found.findIndex(([, i]) => i === this.marked) + 1) % found.length : 0;
    this.fixed = true;
    this.marked = undefined;
    this.mark(found[at][1]);
  }
  library(library) {
    if (this.points && library.generation !== this.generation) this.facts.textContent = S.mapStale;
  }
  back() {
    this.load().catch(complain);
  }
  close() {
    removeEventListener("scheme", this.onscheme);
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
  }
}
