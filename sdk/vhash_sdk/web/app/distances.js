// What a distance means: how often strangers come as near, and how many copies lie farther.
import { make, svg } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { number, rate } from "../shared/text.js";
import { get } from "./api.js";
import { button, complain, empty, head, state } from "./shell.js";

const [W, H, LEFT, BOTTOM, TOP, RIGHT] = [860, 380, 62, 44, 16, 56];
let chosen = null;
let look = "codes";

export function open(host) {
  return new Distances(host);
}

class Distances {
  constructor(host) {
    this.host = host;
    this.body = make("div", { class: "distances" });
    host.append(head(S.views.distances, S.distancesText), this.body);
    this.load().catch((error) => (error.status === 404 ? this.body.replaceChildren(empty(S.noCalibration, S.noCalibrationText)) : complain(error)));
  }
  async load() {
    this.table = await get("/v1/calibration");
    chosen ??= this.table.threshold?.radius ?? 60;
    this.draw();
  }
  get rates() {
    return look === "second" ? this.table.second_look.rates : this.table.rates;
  }
  draw() {
    const { bits, second_look: second } = this.table;
    this.plot = svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "plot", role: "img", "aria-label": S.plotLabel });
    this.field = make("input", { type: "range", min: 0, max: bits, step: 1, value: chosen, class: "plot-range", "aria-label": S.distance });
    this.field.addEventListener("input", () => this.choose(Number(this.field.value)));
    this.said = make("div", { class: "meaning", "aria-live": "polite" });
    this.kinds = make("div", { class: "kinds" });
    const looks = second ? make("div", { class: "modes", role: "group", "aria-label": S.view }, ...["codes", "second"].map((name) => button(S.looks[name], () => {
      look = name;
      this.draw();
    }, { "aria-pressed": String(look === name) }))) : "";
    this.body.replaceChildren(looks, make("div", { class: "card plot-card" }, this.plot, this.field, make("div", { class: "plot-legend" },
      make("span", { class: "key strangers" }, S.strangersCurve), look === "codes" && this.table.copies.length ? make("span", { class: "key copies" }, S.copiesCurve) : "")), this.said, this.kinds, make("p", { class: "soft" }, S.madeFrom(this.table.made, number.format(this.table.pairs), number.format(this.table.scenes))));
    this.curves();
    this.choose(chosen);
    this.plot.addEventListener("pointerdown", (event) => this.drag(event));
    this.plot.addEventListener("pointermove", (event) => event.buttons && this.drag(event));
  }
  drag(event) {
    const box = this.plot.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * W;
    this.choose(Math.round(Math.min(this.table.bits, Math.max(0, ((x - LEFT) / (W - LEFT - RIGHT)) * this.table.bits))));
  }
  x(bits) {
    return LEFT + (bits / this.table.bits) * (W - LEFT - RIGHT);
  }
  y(value) { // logarithmic, 1e-7 to 1
    return TOP + (Math.min(7, -Math.log10(Math.max(value, 1e-7))) / 7) * (H - TOP - BOTTOM);
  }
  share(value) {
    return TOP + (1 - value) * (H - TOP - BOTTOM);
  }
  get missed() { // of all kinds of copies together
    const { copies, bits } = this.table;
    return Array.from({ length: bits + 1 }, (_, d) => copies.reduce((sum, each) => sum + each.missed[d], 0) / copies.length);
  }
  curves() {
    const { bits, copies } = this.table;
    const rates = this.rates;
    const draw = (...parts) => this.plot.append(...parts);
    for (let power = 0; power <= 7; power++) {
      const y = this.y(10 ** -power);
      draw(svg("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y, y2: y }), svg("text", { class: "axis", x: LEFT - 8, y: y + 4, "text-anchor": "end" }, power ? `1e-${power}` : "1"));
    }
    for (let d = 0; d <= bits; d += bits / 8) draw(svg("text", { class: "axis", x: this.x(d), y: H - BOTTOM + 20, "text-anchor": "middle" }, String(d)));
    draw(svg("text", { class: "axis title", x: (LEFT + W - RIGHT) / 2, y: H - 6, "text-anchor": "middle" }, look === "second" ? S.verifiedBits : S.bitsApart));
    const line = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    const known = rates.filter(({ estimate }) => estimate > 0);
    const banded = rates.filter(({ high }) => high > 0);
    draw(svg("path", { class: "band", d: `${line(banded.map(({ distance, high }) => [this.x(distance), this.y(high)]))}${line(banded.toReversed().map(({ distance, low }) => [this.x(distance), this.y(low)])).replace("M", "L")}Z` }));
    draw(svg("path", { class: "curve strangers", d: line(known.map(({ distance, estimate }) => [this.x(distance), this.y(estimate)])) }));
    if (look === "codes" && copies.length) {
      draw(svg("path", { class: "curve copies", d: line(this.missed.map((value, d) => [this.x(d), this.share(value)])) }));
      for (const share of [0, 0.5, 1]) draw(svg("text", { class: "axis copies", x: W - RIGHT + 8, y: this.share(share) + 4 }, `${100 * share} %`));
    }
    this.marker = svg("g", { class: "marker" }, svg("line", { y1: TOP, y2: H - BOTTOM }), svg("circle", { r: 5 }));
    if (state.library.threshold && look === "codes") {
      const x = this.x(state.library.threshold.radius);
      draw(svg("line", { class: "threshold", x1: x, x2: x, y1: TOP, y2: H - BOTTOM }), svg("text", { class: "axis", x: x + 5, y: TOP + 12 }, S.threshold));
    }
    draw(this.marker);
  }
  choose(bits) {
    chosen = bits;
    const found = this.rates[bits];
    this.field.value = bits;
    this.field.setAttribute("aria-valuetext", S.bits(bits));
    const x = this.x(bits);
    this.marker.firstChild.setAttribute("x1", x);
    this.marker.firstChild.setAttribute("x2", x);
    this.marker.lastChild.setAttribute("cx", x);
    this.marker.lastChild.setAttribute("cy", this.y(found.estimate || found.high));
    const n = state.library.videos;
    const pairs = (n * (n - 1)) / 2;
    const tile = (big, words) => make("div", { class: "tile" }, make("b", {}, big), make("span", {}, words));
    this.said.replaceChildren(make("h2", {}, look === "second" ? S.verifiedMean(S.bits(bits)) : S.bitsMean(S.bits(bits))),
      make("div", { class: "tiles" }, tile(found.estimate ? S.oneIn(found.estimate) : S.below(rate(found.high)), S.strangersAsNear(rate(found.low), rate(found.high))),
        tile(about(found.estimate * pairs, found.high * pairs), S.pairsHere(number.format(n), number.format(pairs))),
        ...(look === "codes" && this.table.copies.length ? [tile(`${(100 * (1 - this.missed[bits])).toFixed(0)} %`, S.copiesWithin)] : [])));
    this.kinds.replaceChildren(...(look === "codes" && this.table.copies.length ? [make("h2", {}, S.byKind), make("ul", {}, ...this.table.copies.map(({ kind, missed }) => {
      const bar = make("i");
      bar.style.width = `${100 * (1 - missed[bits])}%`;
      return make("li", {}, make("span", {}, kind), make("div", { class: "bits", "aria-hidden": "true" }, bar), make("b", {}, `${(100 * (1 - missed[bits])).toFixed(0)} %`));
    }))] : []));
  }
  back() {
    if (!this.table) this.load().catch(complain);
  }
}
const about = (expected, most) => (most < 0.5 ? S.hardlyAny : expected < 0.5 ? S.atMost(number.format(Math.ceil(most))) : S.about(number.format(Math.round(expected))));
