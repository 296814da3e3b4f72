// Pictures and moving pictures: film strips that play where the pointer is, players that fall back.
import { make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { cutPath } from "../shared/text.js";
import { loading as listsLoading, on, query } from "./api.js";

const AT_ONCE = 3; // pictures that are asked for; the browser has six connections
const FRAMES = innerWidth < 640 ? 4 : 6;

// what a source is called in paths: a video of the library, or an upload
export const urlOf = (source, what, values = {}) =>
  query(source.upload ? `/v1/uploads/${source.upload}/${what}` : `/v1/videos/${source.id}/${what}`, values);

// ---------------------------------------------------------------- pictures, when they are near the window
const queue = [];
let loading = 0;

// the place of the picture that is nearest to what is looked at
function nearest() {
  const far = queue.map((image) => Math.abs(image.getBoundingClientRect().top - 0.3 * innerHeight));
  return far.indexOf(Math.min(...far));
}

function next() {
  while (!listsLoading() && loading < AT_ONCE && queue.length) {
    const image = queue.splice(nearest(), 1)[0];
    if (!image.isConnected || image.src || !image.dataset.near) continue;
    loading++;
    const done = () => {
      loading--;
      image.onload = image.onerror = null;
      next();
    };
    image.onload = () => (image.classList.add("there"), done());
    image.onerror = () => {
      if (image.isConnected && image.getAttribute("src")) image.dispatchEvent(new Event("unreadable"));
      done();
    };
    image.src = image.dataset.source;
  }
}

on("loaded", next);

const nearby = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.dataset.near = isIntersecting ? "1" : "";
    if (isIntersecting && !target.getAttribute("src")) queue.push(target);
    else if (!isIntersecting && !target.complete) { // scrolled past: the server need not make it
      target.removeAttribute("src");
      target.onerror?.();
    }
  }
  next();
}, { rootMargin: "300px 0px" });

export function picture(source, alt, className = "") {
  const image = make("img", { alt, class: className, decoding: "async" });
  image.dataset.source = source;
  nearby.observe(image);
  return image;
}

// ---------------------------------------------------------------- which videos this browser plays
const CODECS = {
  h264: 'video/mp4; codecs="avc1.640028"', hevc: 'video/mp4; codecs="hvc1.1.6.L120.90"', av1: 'video/mp4; codecs="av01.0.08M.08"',
  vp8: 'video/webm; codecs="vp8"', vp9: 'video/webm; codecs="vp9"', theora: 'video/ogg; codecs="theora"',
};
const unplayable = new Set();
const probe = document.createElement("video");
export function plays(video) {
  if (unplayable.has(video.id) || !/\.(mp4|m4v|mov|webm|mkv|ogv|ogg)$/i.test(video.path || video.name || "")) return false;
  const type = CODECS[video.codec];
  return Boolean(type && probe.canPlayType(type));
}

// ---------------------------------------------------------------- film strips
const ratioOf = (video) => Math.min(2.5, Math.max(0.4, video.width && video.height ? video.width / video.height : 16 / 9));

export function strip(video, { label, onopen, height = 120, frames = FRAMES } = {}) {
  const image = picture(urlOf(video, "strip", { frames, height }), S.framesOf(frames, cutPath(video.path || video.name || "")[1]));
  const button = make("button", { class: "strip", type: "button", "aria-label": label, tabIndex: -1, onclick: onopen }, image);
  const width = Math.round(frames * height * ratioOf(video)); // its place is kept while it is made
  [button.style.width, button.style.aspectRatio] = [`${width}px`, `${width} / ${height}`];
  image.addEventListener("unreadable", () => {
    button.classList.add("none");
    button.replaceChildren(S.noPicture);
  });
  button.addEventListener("pointermove", (event) => event.pointerType === "mouse" && hover(button, video, frames, event));
  button.addEventListener("pointerleave", () => button === over.button && leave());
  return button;
}

// one video plays at a time: where the pointer is, from the moment that the frame there is of
const over = { button: null, cell: -1, timer: 0, player: null };

function hover(button, video, frames, event) {
  const box = button.getBoundingClientRect();
  const cell = Math.min(frames - 1, Math.max(0, Math.floor((frames * (event.clientX - box.left)) / box.width)));
  if (over.button === button && over.cell === cell) return;
  const other = over.button !== button;
  if (other) leave();
  Object.assign(over, { button, cell });
  clearTimeout(over.timer);
  over.timer = setTimeout(() => playCell(button, video, frames, cell), other ? 150 : 60);
}

export function leave() {
  clearTimeout(over.timer);
  stop(over.player);
  Object.assign(over, { button: null, cell: -1, player: null });
}

function stop(player) {
  if (!player) return;
  player.pause();
  player.removeAttribute("src");
  player.load(); // lets the connection go
  player.remove();
}

export function playCell(button, video, frames = FRAMES, cell = 0) {
  const image = button.querySelector("img");
  if (!image?.naturalWidth || video.unreliable === "still") return null;
  if (over.player && over.player.parentElement !== button) {
    stop(over.player);
    over.player = null;
  }
  const start = Math.max(0, ((cell + 0.5) / frames) * (video.seconds || 0) - 0.5);
  const player = over.player || make("video", { muted: true, playsInline: true, loop: true, class: "cell", "aria-hidden": "true", tabIndex: -1 });
  Object.assign(over, { button, cell, player });
  player.style.left = `${(100 * cell) / frames}%`;
  player.style.width = `${100 / frames}%`;
  const preview = () => {
    player.dataset.kind = "preview";
    player.src = urlOf(video, "preview", { start: start.toFixed(2), seconds: 6, height: 240 });
    player.play().catch(() => null);
  };
  player.onplaying = () => player.classList.add("on");
  player.onerror = () => {
    if (player.dataset.kind === "original") {
      unplayable.add(video.id);
      preview();
    } else if (over.player === player) { // the still stays
      stop(player);
      over.player = null;
    }
  };
  if (player.parentElement !== button) button.append(player);
  if (!plays(video) || !video.id) preview();
  else {
    if (player.dataset.kind !== "original") {
      player.dataset.kind = "original";
      player.src = urlOf(video, "file");
    }
    player.currentTime = start;
    player.play().catch(() => null);
  }
  return player;
}

// ---------------------------------------------------------------- a player of its own
// The original; where the browser cannot play it a preview of 20 s; where that fails too, stills.
export class Player {
  constructor(video, { near = 0, file = null, onready = () => null } = {}) {
    Object.assign(this, { video, near, onready, kind: "", offset: 0, wanted: near });
    this.element = make("video", { playsInline: true, muted: true, preload: "auto", tabIndex: -1 });
    this.still = make("img", { alt: "", hidden: true });
    this.box = make("div", { class: "screen" }, this.element, this.still);
    this.element.onerror = () => this.fall();
    this.element.onloadeddata = () => {
      this.element.currentTime = Math.max(0, this.wanted - this.offset);
      onready(this);
    };
    if (file) this.start("original", URL.createObjectURL(file));
    else if (video.id && plays(video)) this.start("original", urlOf(video, "file"));
    else this.preview();
  }
  start(kind, source) {
    this.kind = kind;
    this.element.src = source;
  }
  preview() {
    this.offset = Math.max(0, this.near - 2);
    this.start("preview", urlOf(this.video, "preview", { start: this.offset.toFixed(2), seconds: 20, height: 480 }));
  }
  fall() {
    if (!this.element.getAttribute("src")) return;
    if (this.kind === "original") {
      unplayable.add(this.video.id);
      this.preview();
    } else {
      this.kind = "stills";
      this.element.hidden = true;
      this.still.hidden = false;
      this.seek(this.wanted);
      this.onready(this);
    }
  }
  get time() {
    return this.kind === "stills" ? this.wanted : this.element.currentTime + this.offset;
  }
  get picture() {
    return this.kind === "stills" ? this.still : this.element;
  }
  get ready() {
    return this.kind === "stills" ? this.still.complete : this.element.readyState >= 2;
  }
  seek(time) {
    this.wanted = Math.max(0, time);
    if (this.kind === "stills") {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => (this.still.src = urlOf(this.video, "still", { time: this.wanted.toFixed(2), height: 480 })), 120);
    } else if (this.element.readyState >= 1) this.element.currentTime = Math.max(0, this.wanted - this.offset);
  }
  play(speed = 1) {
    if (this.kind === "stills") return;
    this.element.playbackRate = speed;
    this.element.play().catch(() => null);
  }
  pause() {
    this.element.pause();
  }
  close() {
    clearTimeout(this.timer);
    if (this.element.src.startsWith("blob:")) URL.revokeObjectURL(this.element.src);
    stop(this.element);
  }
}
