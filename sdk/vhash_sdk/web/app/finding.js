// How duplicates are to be found: how near, and by which rules one of a group is kept.
import { make } from "../shared/dom.js";
import { S } from "../shared/strings.js";
import { button, complain, dialog, state } from "./shell.js";

export function openFinding(run, start) {
  const rules = (run?.keep || "longest").split(/(?<!\\),\s*/);
  const list = make("ol", { class: "rules" });
  const draw = () => list.replaceChildren(...rules.map((rule, i) => make("li", {}, make("div", {}, make("b", {}, rule), make("small", {}, S.rules[rule] || S.ruleOf(rule))),
    button("↑", () => move(i, -1), { "aria-label": S.earlier(rule), disabled: i === 0 }), button("↓", () => move(i, 1), { "aria-label": S.later(rule), disabled: i === rules.length - 1 }),
    button("×", () => (rules.splice(i, 1), draw()), { "aria-label": S.without(rule), disabled: rules.length === 1 }))));
  const move = (i, by) => {
    rules.splice(i + by, 0, ...rules.splice(i, 1));
    draw();
  };
  draw();
  const more = make("select", { "aria-label": S.addRule }, make("option", { value: "" }, S.addRule),
    ...Object.keys(S.rules).map((rule) => make("option", { value: rule }, rule)), make("option", { value: "path" }, S.pathRule));
  const text = make("input", { type: "search", placeholder: "/originals/", "aria-label": S.pathRule, hidden: true });
  more.addEventListener("change", () => {
    text.hidden = more.value !== "path";
    if (!text.hidden) return text.focus();
    if (more.value && !rules.includes(more.value)) rules.push(more.value);
    more.value = "";
    draw();
  });
  text.addEventListener("change", () => {
    if (text.value) rules.push(`path~${text.value.replaceAll(",", "\\,")}`);
    [text.value, text.hidden, more.value] = ["", true, ""];
    draw();
  });
  const usual = state.library.threshold;
  const own = make("input", { type: "number", min: 0, max: state.library.model.bits, value: run?.radius ?? usual?.radius ?? 60, "aria-label": S.radius, disabled: true });
  const choice = (value, words, checked) => make("label", { class: "choice" }, make("input", { type: "radio", name: "threshold", value, checked, onchange: () => (own.disabled = value === "usual") }), words);
  const said = make("p", { class: "problem", role: "alert" });
  const form = make("form", { class: "finding" },
    make("h3", {}, S.howNear), choice("usual", usual ? S.usual(S.bits(usual.radius)) : S.usualUnknown, true), choice("own", S.ownRadius, false), own,
    make("h3", {}, S.whichKept), make("p", { class: "soft" }, S.rulesText), list, make("div", { class: "add-rule" }, more, text), said);
  const close = dialog(S.findDuplicates, form, {
    buttons: [button(S.cancel, () => close()), button(S.start, async () => {
      try {
        await start({ keep: rules.join(", "), radius: own.disabled ? null : Number(own.value) });
        close();
      } catch (error) {
        said.textContent = error.errors?.[0]?.message || error.message;
        if (error.status >= 500) complain(error);
      }
    }, { class: "main" })],
  });
}
