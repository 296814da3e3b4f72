// Numbers as people read them.
export const number = new Intl.NumberFormat("en");

export function bytes(count) {
  const units = ["bytes", "KB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) (count /= 1000), unit++;
  return `${unit && count < 100 ? count.toFixed(1) : Math.round(count)} ${units[unit]}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return "? s";
  if (value < 60) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${String(m).padStart(2, "0")}:${String(s).padStart(2, "0")}` : `${m}:${String(s).padStart(2, "0")}`;
}

export const plural = (count, one, many = `${one}s`) => `${number.format(count)} ${count === 1 ? one : many}`;
export const rate = (value) => (value === 0 ? "0" : value < 0.001 ? value.toExponential(0) : value.toPrecision(2));
export const percent = (share) => `${Math.round(100 * share)} %`;

// A path in two: the folder with its slash, and the name.
export function cutPath(path) {
  const cut = path.lastIndexOf("/") + 1;
  return [path.slice(0, cut), path.slice(cut)];
}
