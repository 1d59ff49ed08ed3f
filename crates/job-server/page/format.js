// Texts for people: printable texts of the server, durations, numbers and times. Uses nothing else of the page.

/** Maximum length of one text of the server that is kept. */
const MAX_TEXT = 500;

/** Characters without a shape of their own: controls, formats such as bidi overrides, surrogates. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

/** Returns a text of the server as one printable line of limited length. */
export function clean(text, max = MAX_TEXT) {
  const whole = typeof text === "string" ? text : text === null || text === undefined ? "" : String(text);
  const cut = whole.length > max ? whole.slice(0, max) : whole;
  const shown = cut.replace(INVISIBLE, one => `\\u{${one.codePointAt(0).toString(16)}}`);
  return whole.length > max ? `${shown}… (${whole.length - cut.length} more characters)` : shown;
}

/** Returns a duration in milliseconds as text, such as `3d 4h`, `2h 5m`, `4m 7s` or `12s`. */
export function duration(ms) {
  const all = Math.max(0, Math.floor(ms / 1000));
  const [d, h, m, s] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60, all % 60];
  if (d) return h ? `${d}d ${h}h` : `${d}d`;
  if (h) return m ? `${h}h ${m}m` : `${h}h`;
  if (m) return s ? `${m}m ${s}s` : `${m}m`;
  return `${s}s`;
}

/** Returns a number with at most one decimal and separators of thousands, without the slow tables of locales. */
export function number(value) {
  if (!Number.isFinite(value)) return "–";
  const [whole, decimals] = String(Math.round(value * 10) / 10).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (decimals ? `.${decimals}` : "");
}

/** Returns a number and its noun. */
export function plural(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** Returns a time of the API in milliseconds, or `null` if there is none. */
export function parseTime(text) {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

/** Made at the first use, because it is slow to make. */
let timeFormat = null;

/** Returns a time in the language and the time zone of the user. */
export function localTime(ms) {
  if (ms === null) return "";
  timeFormat ??= new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  return timeFormat.format(ms);
}

/** Returns a time in the past, relative to `now`. Returns `{ text, kind }`, as the functions below do. */
export function ago(ms, now) {
  return { text: `${duration(now - ms)} ago` };
}

/** Returns a time that may be in the future or in the past, relative to `now`. */
export function until(ms, now) {
  return ms >= now ? { text: `in ${duration(ms - now)}` } : ago(ms, now);
}

/** Returns a time that is late if it is in the past, relative to `now`. */
export function left(ms, now) {
  return ms >= now ? { text: `in ${duration(ms - now)}` } : { text: `${duration(now - ms)} late`, kind: "late" };
}

/** Quotes an argument for a shell. */
export function quote(text) {
  return /^[\w.,:@%+=/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
