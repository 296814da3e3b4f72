// A list of any length in the page's own scrolling: only what is near the window is in the document.
import { make } from "../shared/dom.js";

const NEAR = 600; // pixels above and below the window
const BELOW_BARS = 120; // what stays at the window's top covers no more

// Sums of heights that can be changed one by one (a Fenwick tree).
class Heights {
  constructor(count, estimate) {
    this.one = new Float64Array(count);
    this.sums = new Float64Array(count + 1);
    for (let i = 0; i < count; i++) this.sums[i + 1] = this.one[i] = estimate(i);
    for (let i = 1; i <= count; i++) if (i + (i & -i) <= count) this.sums[i + (i & -i)] += this.sums[i];
  }
  set(place, height) {
    const change = height - this.one[place];
    if (!change) return 0;
    this.one[place] = height;
    for (let i = place + 1; i < this.sums.length; i += i & -i) this.sums[i] += change;
    return change;
  }
  before(place) {
    let sum = 0;
    for (let i = place; i > 0; i -= i & -i) sum += this.sums[i];
    return sum;
  }
  placeAt(y) {
    let place = 0;
    for (let step = 1 << 30; step; step >>= 1) {
      if (place + step < this.sums.length && this.sums[place + step] <= y) y -= this.sums[(place += step)];
    }
    return Math.min(place, this.one.length - 1);
  }
}

export class VirtualList {
  // render(place): an element, or null while nothing is known of it; estimate(place): its height in pixels
  constructor(host, { render, estimate, label }) {
    this.host = host;
    Object.assign(this, { render, estimate, shown: new Map(), count: 0, heights: new Heights(0) });
    this.list = make("div", { class: "virtual", role: "list", "aria-label": label });
    host.replaceChildren(this.list);
    this.sizes = new ResizeObserver((entries) => this.measured(entries));
    this.onscroll = () => (this.frame ??= requestAnimationFrame(() => this.update()));
    addEventListener("scroll", this.onscroll, { passive: true });
    addEventListener("resize", this.onscroll);
  }
  begin() { // what comes next is another list, to be looked at from its beginning
    this.begins = true;
  }
  reset(count) {
    this.count = count;
    this.heights = new Heights(count, this.estimate);
    for (const element of this.shown.values()) this.sizes.unobserve(element);
    this.shown.clear();
    this.list.replaceChildren();
    if (this.begins) scrollBy(0, Math.min(0, this.list.getBoundingClientRect().top - BELOW_BARS));
    this.begins = false;
    this.update();
  }
  refresh(from = 0, to = this.count) {
    for (const [place, element] of this.shown) if (place >= from && place < to && element.dataset.waits) this.drop(place);
    this.update();
  }
  assume(first, heights) { // known better now; what is looked at stays where it is
    const top = -this.list.getBoundingClientRect().top;
    const place = this.count ? this.heights.placeAt(Math.max(0, top)) : 0;
    const before = this.heights.before(place);
    heights.forEach((height, i) => this.heights.set(first + i, height));
    this.hold(top > 0 ? this.heights.before(place) - before : 0);
  }
  hold(moved) {
    if (!moved) return;
    this.list.style.height = `${this.heights.before(this.count)}px`;
    scrollBy(0, moved);
  }
  again(place) { // what it shows has changed
    if (!this.shown.has(place)) return;
    this.drop(place);
    this.update();
  }
  drop(place) {
    const element = this.shown.get(place);
    this.sizes.unobserve(element);
    element.remove();
    this.shown.delete(place);
  }
  update() {
    this.frame = null;
    if (!this.list.isConnected) return;
    const top = -this.list.getBoundingClientRect().top;
    const [first, last] = this.count ? [this.heights.placeAt(Math.max(0, top - NEAR)), this.heights.placeAt(Math.max(0, top + innerHeight + NEAR))] : [0, -1];
    for (const place of [...this.shown.keys()]) if (place < first || place > last) this.drop(place);
    let before = this.list.firstElementChild;
    for (let place = first; place <= last; place++) {
      const there = this.shown.get(place);
      if (there) {
        before = there.nextElementSibling;
        continue;
      }
      let element = this.render(place);
      if (!element) {
        element = make("div", { class: "waits", data: { waits: "1" } });
        element.style.height = `${this.heights.one[place]}px`;
      }
      element.setAttribute("role", "listitem");
      element.setAttribute("aria-setsize", this.count);
      element.setAttribute("aria-posinset", place + 1);
      element.dataset.place = place;
      this.list.insertBefore(element, before);
      this.shown.set(place, element);
      this.sizes.observe(element);
    }
    this.list.style.paddingTop = `${this.count ? this.heights.before(first) : 0}px`;
    this.list.style.height = `${this.heights.before(this.count)}px`;
    this.onrange?.(first, last);
  }
  measured(entries) {
    const top = -this.list.getBoundingClientRect().top;
    let moved = 0;
    for (const { target } of entries) {
      const place = Number(target.dataset.place);
      if (this.shown.get(place) !== target || target.dataset.waits) continue;
      const style = getComputedStyle(target);
      const change = this.heights.set(place, target.offsetHeight + parseFloat(style.marginBottom));
      if (change && this.heights.before(place + 1) - change < top) moved += change;
    }
    this.hold(moved);
    this.onscroll();
  }
  show(place) { // bring it into the window; its element
    const y = this.list.getBoundingClientRect().top + this.heights.before(place);
    const height = this.heights.one[place];
    if (y < BELOW_BARS || y + height > innerHeight - 40) scrollBy(0, y - Math.max(BELOW_BARS, (innerHeight - height) / 3));
    this.update();
    return this.shown.get(place);
  }
  close() {
    removeEventListener("scroll", this.onscroll);
    removeEventListener("resize", this.onscroll);
    this.sizes.disconnect();
  }
}
