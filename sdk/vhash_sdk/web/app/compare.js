// Two videos side by side: played together, one wiped over the other, or only what differs.
import { announce, make } from "../shared/dom.js";
import { spansText, twoLines } from "../shared/lines.js";
import { S } from "../shared/strings.js";
import { cutPath, seconds } from "../shared/text.js";
import { metaOf } from "../shared/video.js";
import { get, post, query } from "./api.js";
import { Player } from "./media.js";
import { button, dialog, guarded, icon, selectOf, state, store, stored } from "./shell.js";

const MODES = ["side", "wipe", "difference"];
const FAR = 0.25; // seconds that two players may be apart before one jumps

// a: the kept one or what was searched by (file: of this browser); b: the other
export function openCompare({ a, b, file = null, distance = null, spans = null, pixels = null, says = null, judge = null, undo = null }) {
  const view = new Compare({ a, b, file, distance, spans, pixels, says, judge, undo });
  const close = dialog(S.compare, view.element, { kind: "full", onclose: () => view.close() });
  view.dismiss = close;
  view.element.focus();
  view.lookUp().catch(() => null);
}

class Compare {
  constructor(given) {
    Object.assign(this, given, { mode: stored("compare") || "side", playing: false, speed: 1, shift: 0, wipe: 50 });
    const { a, b } = this;
    this.players = [];
    this.words = [this.judge ? S.keptOne : a.upload ? S.yours : S.first, this.distance === null ? S.other : S.awayIs(S.bits(this.distance))];
    this.canvas = make("canvas", { "aria-label": S.differenceOf, role: "img" });
    this.edge = make("div", { class: "edge" });
    this.stage = make("div", { class: "stage" });
    this.stage.addEventListener("pointermove", (event) => {
      if (this.mode !== "wipe" || (event.pointerType !== "mouse" && !event.buttons)) return;
      const box = this.stage.getBoundingClientRect();
      this.setWipe((100 * (event.clientX - box.left)) / box.width);
    });
    this.stage.addEventListener("click", () => this.toggle());
    this.toggleButton = button(icon("play"), () => this.toggle(), { class: "main round", "aria-label": S.play });
    this.scrub = make("input", { type: "range", min: 0, max: a.seconds || 0, step: 0.02, value: 0, "aria-label": S.position, class: "scrub" });
    this.scrub.addEventListener("input", () => this.seek(Number(this.scrub.value)));
    this.clock = make("span", { class: "clock" });
    this.modeButtons = make("div", { class: "modes", role: "group", "aria-label": S.view },
      ...MODES.map((mode) => button(S.modes[mode], () => this.setMode(mode), { "aria-pressed": "false", data: { mode } })));
    this.extra = make("label", { class: "extra" });
    this.lineHost = make("div", { class: "line-host" });
    this.said = make("p", { class: "soft said" });
    this.saw = make("p", { class: "soft said pixels" }, this.pixels ? S.pixels(this.pixels) : "");
    this.verdict = this.judge ? make("div", { class: "verdict" }, ...[["m", S.match], ["n", S.notAMatch]].map(([says, text]) =>
      button(text, guarded(() => this.say(says)), { data: { says }, "aria-pressed": "false" }))) : "";
    const figure = (video, words) => make("div", { class: "of" }, make("b", {}, words), " ", make("bdi", { title: video.path || "" }, cutPath(video.path || video.name || "")[1]), metaOf(video, a.seconds ? a : b));
    this.element = make("div", { class: "compare", tabIndex: -1, role: "group", "aria-label": S.compare },
      make("div", { class: "pair" }, ...[a, b].map((video, i) => figure(video, this.words[i]))),
      this.stage, this.said, this.saw,
      make("div", { class: "controls" }, this.toggleButton, this.scrub, this.clock),
      this.lineHost,
      make("div", { class: "controls" }, this.modeButtons, this.extra,
        make("div", { class: "nudge", role: "group", "aria-label": S.shift }, button("−", () => this.nudge(-0.04), { "aria-label": S.earlier_ }), this.shiftSaid = make("output", {}, "0.00 s"), button("+", () => this.nudge(0.04), { "aria-label": S.later_ })),
        selectOf(S.speed, { 0.25: "¼", 0.5: "½", 1: "1×", 2: "2×" }, "1", (value) => ((this.speed = Number(value)), this.playing && this.start())),
        selectOf(S.sound, S.sounds, "none", (value) => this.players.forEach((player, i) => (player.element.muted = value !== "ab"[i]))),
        make("span", { class: "grow" }), this.verdict));
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.begin();
  }

  // the time of b at a time of a, by the best span that both share
  map(time) {
    const span = this.span;
    if (!span) return time + this.shift;
    const [s, e, t, f] = span;
    const along = (time - s) / Math.max(e - s, 1e-6);
    return (this.reversed ? f - along * (f - t) : t + along * (f - t)) + this.shift;
  }
  begin() {
    this.drawLine();
    const start = this.span ? Math.max(0, this.span[0]) : 0;
    const ready = () => {
      this.said.textContent = [...new Set(this.players.map((player) => S.playerKinds[player.kind]))].filter(Boolean).join(" ");
      this.fit();
      this.draw();
    };
    this.players = [new Player(this.a, { near: start, file: this.file, onready: ready }), new Player(this.b, { near: Math.max(0, this.map(start)), onready: ready })];
    this.screens = this.players.map((player, i) => make("figure", {}, player.box, make("figcaption", {}, this.words[i])));
    this.setMode(this.mode);
    this.seek(start);
    const tick = () => {
      if (this.closed) return;
      if (this.playing) this.keepTogether();
      if (this.playing || this.dirty) this.draw();
      this.frame = requestAnimationFrame(tick);
    };
    tick();
  }
  async lookUp() { // where they share what, if nobody has said so yet
    if (!this.spans?.length) {
      if (this.a.id && this.b.id && state.library.has_segments) this.spans = (await get(query("/v1/spans", { a: this.a.id, b: this.b.id }))).spans;
      else if (this.a.upload) {
        const source = { upload: this.a.upload };
        const { spans, pixels: seen } = await post("/v1/compare", { a: source, b: { video: this.b.id }, spans: true });
        this.spans = spans;
        if (seen) this.saw.textContent = S.pixels(seen);
      }
      this.turned = true; // asked with a as the query
    }
    if (this.closed || !this.spans?.length) return;
    this.drawLine();
    if (!this.playing && this.players[0].wanted === 0) this.seek(Math.max(0, this.span[0]));
  }
  drawLine() {
    const spans = this.spans || [];
    // spans of a group have b as their query; those that were looked up here have a
    const drawn = spans.map((span) => (this.turned ? [span.query_start, span.query_end, span.start, span.end] : [span.start, span.end, span.query_start, span.query_end]));
    this.span = drawn[0];
    this.reversed = spans[0]?.reversed || false;
    const title = drawn.length ? spansText(drawn) : S.noSpans;
    this.head = make("i", { class: "playhead" });
    this.lineHost.replaceChildren(twoLines(this.a.seconds, this.b.seconds, drawn, title, this.reversed), this.head);
  }

  // ---------------------------------------------------------------- time
  get time() {
    return this.players[0].time;
  }
  seek(time) {
    const [a, b] = this.players;
    const length = this.a.seconds || a.element.duration || 0;
    const wanted = Math.min(Math.max(0, time), length);
    a.seek(wanted);
    b.seek(Math.max(0, this.map(wanted)));
    this.dirty = 30; // frames in which what was asked for may arrive
    this.tell(wanted);
  }
  tell(time) {
    const length = this.a.seconds || this.players[0].element.duration || 0;
    if (document.activeElement !== this.scrub || this.playing) this.scrub.value = time;
    this.scrub.max = length;
    this.scrub.setAttribute("aria-valuetext", seconds(time));
    this.clock.textContent = `${seconds(time)} / ${seconds(length)}`;
    this.head.style.left = `${(100 * time) / Math.max(this.a.seconds || 0, this.b.seconds || 0, 1e-6)}%`;
  }
  toggle() {
    if (this.playing) this.stop();
    else this.start();
  }
  start() {
    const [a, b] = this.players;
    if (this.a.seconds && this.time > this.a.seconds - 0.1) this.seek(this.span ? this.span[0] : 0);
    this.playing = true;
    a.play(this.speed);
    if (!this.reversed) b.play(this.speed * this.pace());
    this.toggleButton.replaceChildren(icon("pause"));
    this.toggleButton.setAttribute("aria-label", S.pause);
  }
  stop() {
    this.playing = false;
    this.players.forEach((player) => player.pause());
    this.toggleButton.replaceChildren(icon("play"));
    this.toggleButton.setAttribute("aria-label", S.play);
    this.seek(this.time);
  }
  pace() { // how much faster b runs
    if (!this.span) return 1;
    const [s, e, t, f] = this.span;
    return Math.min(4, Math.max(0.25, (f - t) / Math.max(e - s, 1e-6)));
  }
  keepTogether() {
    const [a, b] = this.players;
    const time = this.time;
    this.tell(time);
    if (a.element.ended || (a.kind !== "stills" && a.element.paused && a.ready && !a.element.seeking && time >= (this.a.seconds || Infinity) - 0.2)) return this.stop();
    const wanted = Math.max(0, this.map(time));
    const apart = wanted - b.time;
    if (this.reversed || b.kind === "stills") {
      if (Math.abs(apart) > 0.12 && !b.element.seeking) b.seek(wanted);
    } else if (Math.abs(apart) > FAR && !b.element.seeking) b.seek(wanted);
    else b.element.playbackRate = Math.min(4, Math.max(0.2, this.speed * this.pace() * (1 + Math.max(-0.15, Math.min(0.15, apart))))); // it catches up without a jump
    if (a.kind !== "stills" && a.ready && b.ready && b.element.paused && !this.reversed && !b.element.ended) b.play(this.speed * this.pace());
  }
  nudge(by) {
    this.shift += by;
    this.shiftSaid.textContent = `${this.shift >= 0 ? "" : "−"}${Math.abs(this.shift).toFixed(2)} s`;
    this.seek(this.time);
  }

  // ---------------------------------------------------------------- what is seen
  setMode(mode) {
    this.mode = MODES.includes(mode) ? mode : "side";
    store("compare", this.mode);
    for (const each of this.modeButtons.children) each.setAttribute("aria-pressed", String(each.dataset.mode === this.mode));
    this.stage.className = `stage ${this.mode}`;
    const range = (label, value, max, does) => [label, " ", make("input", { type: "range", min: 0, max, value, "aria-label": label, oninput: (event) => does(Number(event.target.value)) })];
    this.extra.replaceChildren(...(this.mode === "wipe" ? range(S.wipe, this.wipe, 100, (value) => this.setWipe(value)) : this.mode === "difference" ? range(S.gain, this.gain || 2, 8, (value) => ((this.gain = value), this.draw())) : []));
    this.stage.replaceChildren(...this.screens, this.mode === "wipe" ? this.edge : "", this.mode === "difference" ? this.canvas : "");
    this.setWipe(this.wipe);
    this.fit();
    this.dirty = 10;
    if (this.playing) this.start(); // a player that was moved in the document stops
  }
  fit() {
    const first = this.players[0]?.picture;
    const [width, height] = [first?.videoWidth || first?.naturalWidth || this.a.width || 16, first?.videoHeight || first?.naturalHeight || this.a.height || 9];
    this.stage.style.setProperty("--ratio", `${width} / ${height}`);
    this.stage.style.setProperty("--wide", width / height);
  }
  setWipe(share) {
    this.wipe = Math.min(100, Math.max(0, share));
    this.screens[1].style.clipPath = this.mode === "wipe" ? `inset(0 0 0 ${this.wipe}%)` : "";
    this.edge.style.left = `${this.wipe}%`;
    const range = this.mode === "wipe" && this.extra.querySelector("input");
    if (range) range.value = this.wipe;
  }
  draw() {
    this.dirty = Math.max(0, (this.dirty || 0) - 1);
    if (this.mode !== "difference" || !this.players.every((player) => player.ready)) return;
    const [a, b] = this.players.map((player) => player.picture);
    const width = Math.min(960, a.videoWidth || a.naturalWidth || 640);
    const height = Math.round((width * (a.videoHeight || a.naturalHeight || 360)) / (a.videoWidth || a.naturalWidth || 640));
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    const canvas = this.canvas.getContext("2d");
    canvas.globalCompositeOperation = "copy";
    canvas.filter = "none";
    canvas.drawImage(a, 0, 0, width, height);
    canvas.globalCompositeOperation = "difference";
    canvas.drawImage(b, 0, 0, width, height);
    canvas.globalCompositeOperation = "color-dodge"; // brighter: what is black stays so
    const dodge = 1 - 1 / Math.max(1, 1 + (this.gain ?? 2));
    canvas.fillStyle = `rgb(${255 * dodge} ${255 * dodge} ${255 * dodge})`;
    canvas.fillRect(0, 0, width, height);
    canvas.globalCompositeOperation = "source-over";
  }

  // ---------------------------------------------------------------- judging and keys
  async say(says) {
    const done = this.judge(says);
    this.showSaid();
    await done;
    this.showSaid();
  }
  showSaid() {
    for (const each of this.verdict?.children || []) each.setAttribute("aria-pressed", String(each.dataset.says === this.says()));
  }
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
    const isRange = event.target.matches("input[type=range]");
    const does = {
      " ": event.target.closest("button") ? null : () => this.toggle(),
      ",": () => (this.stop(), this.seek(this.time - 1 / (this.a.rate || 25))), ".": () => (this.stop(), this.seek(this.time + 1 / (this.a.rate || 25))),
      ArrowLeft: isRange ? null : () => this.seek(this.time - 1), ArrowRight: isRange ? null : () => this.seek(this.time + 1),
      "[": () => this.nudge(-0.04), "]": () => this.nudge(0.04),
      1: () => this.setMode("side"), 2: () => this.setMode("wipe"), 3: () => this.setMode("difference"),
      m: this.judge && (() => this.say("m")), n: this.judge && (() => this.say("n")),
      u: this.undo && (async () => (await this.undo(), this.showSaid())),
    }[event.key];
    if (!does) return;
    event.preventDefault();
    event.stopPropagation();
    guarded(does)();
    if ("123".includes(event.key)) announce(S.modes[this.mode]);
  }
  close() {
    this.closed = true;
    cancelAnimationFrame(this.frame);
    this.players.forEach((player) => player.close());
  }
}
