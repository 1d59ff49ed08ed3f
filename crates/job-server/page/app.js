// The status page. It reads the API and changes nothing.
//
// - The token is in the variable `token` of this module and nowhere else.
// - Texts of the server are shown only through `textContent`, after `clean`.
// - Memory is bounded: at most MAX_WAITS short records of waits, and PAGE_ROWS rows of a table.

// ---------------------------------------------------------------------------------------- limits

/** Maximum number of waits in memory. If there are more, the page states how many it left out. */
const MAX_WAITS = 20_000;
/** Maximum number of waits of each finished state that are read at the start. */
const MAX_FINISHED = 5_000;
/** Number of rows of a table in the document. */
const PAGE_ROWS = 100;
/** Number of waits in the first request, so that rows appear early, and in the others. */
const FIRST_LIMIT = 2 * PAGE_ROWS, LIMIT = 1_000;
/** Maximum number of items of a card about waits that need attention. */
const CARD_ITEMS = 3;
/** Maximum length of one text of the server that is kept. */
const MAX_TEXT = 500;
/** Maximum length of one event. A job has at most 8 MiB. */
const MAX_EVENT = 12 << 20;
/** Maximum length of the JSON in the view of one wait. */
const MAX_JSON = 200_000;
/** The server sends a comment every 15 s. After this time without a byte, the connection is lost. */
const SILENCE_MS = 40_000;
/** Delays before a connection is opened again. The last one repeats. */
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
/** Time after which the lists are read again, because no event reports that a wait was deleted. */
const LIST_MS = 15 * 60_000;
/** Minimum time between two changes of the tables. */
const RENDER_MS = 1_000;
/** How long an attempt is due before its wait is overdue, as in the server. */
const OVERDUE_MS = 120_000;
/** The outcomes that are a success. */
const SUCCESSES = new Set(["succeeded", "ready", "gone"]);

// ---------------------------------------------------------------------------------------- texts

/** Characters without a shape of their own: controls, formats such as bidi overrides, surrogates. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

/** Returns a text of the server as one printable line of limited length. */
function clean(text, max = MAX_TEXT) {
  const whole = typeof text === "string" ? text : text === null || text === undefined ? "" : String(text);
  const cut = whole.length > max ? whole.slice(0, max) : whole;
  const shown = cut.replace(INVISIBLE, one => `\\u{${one.codePointAt(0).toString(16)}}`);
  return whole.length > max ? `${shown}… (${whole.length - cut.length} more characters)` : shown;
}

/** Returns a duration in milliseconds, such as `3d 4h`, `2h 5m`, `4m 7s` or `12s`. */
function duration(ms) {
  const all = Math.max(0, Math.floor(ms / 1000));
  const [d, h, m, s] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60, all % 60];
  if (d) return h ? `${d}d ${h}h` : `${d}d`;
  if (h) return m ? `${h}h ${m}m` : `${h}h`;
  if (m) return s ? `${m}m ${s}s` : `${m}m`;
  return `${s}s`;
}

/** Returns a number with at most one decimal and separators of thousands, without the slow tables of locales. */
function number(value) {
  if (!Number.isFinite(value)) return "–";
  const [whole, decimals] = String(Math.round(value * 10) / 10).split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (decimals ? `.${decimals}` : "");
}
const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
const time = text => { const ms = Date.parse(text); return Number.isNaN(ms) ? null : ms; };
let timeFormat = null;
const localTime = ms => ms === null ? "" : (timeFormat ??= new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" })).format(ms);

/** Quotes an argument for a shell. */
const quote = text => /^[\w.,:@%+=/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

// ---------------------------------------------------------------------------------------- document

const $ = id => document.getElementById(id);

/** Creates an element. Texts become text nodes, never markup. */
function el(name, attributes = {}, ...children) {
  const one = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key in one && typeof value !== "string") one[key] = value;
    else one.setAttribute(key, value);
  }
  one.append(...children.filter(child => child !== null && child !== undefined));
  return one;
}

/** Sets the text of an element, unless it has this text already. */
function setText(one, text) {
  if (one.textContent !== text) one.textContent = text;
}

function setAttribute(one, name, value) {
  if (value === null) one.removeAttribute(name);
  else if (one.getAttribute(name) !== value) one.setAttribute(name, value);
}

// ---------------------------------------------------------------------------------------- state

let token = null;
/** Short records of waits, by key. */
const waits = new Map();
/** The names of projects, by id. */
let projects = new Map();
let undelivered = [];
let summary = null;
/** Number of waits that are not kept because there are too many. */
let left_out = 0;
/** The clock of the server minus the clock of this machine, in milliseconds. */
let clockOffset = 0;
const now = () => Date.now() + clockOffset;

/** Returns the short record of a wait. Its report and its document are not kept. */
function toRecord(status) {
  const [project, job] = splitKey(status.key);
  const { active, result } = status;
  const report = result?.report ?? {};
  const progress = active?.progress;
  const failures = report.failures?.reasons ?? [];
  const path = report.failure?.job_types ?? [];
  const reason = report.failure?.reason ?? failures.find(one => one.reason)?.reason ?? report.error ?? "";
  const outcome = result ? clean(result.outcome, 60) : null;
  return {
    key: status.key, project, job, number: status.number,
    state: clean(status.state, 30),
    createdAt: time(status.created_at),
    beganAt: time(active?.began_at),
    type: clean(active?.job_type ?? report.type, 80),
    name: clean(active?.name ?? report.name, 160),
    phase: clean(active?.phase ?? report.phase, 60),
    done: progress ? progress.done ?? (progress.success ?? 0) + (progress.failed ?? 0) : null,
    total: progress?.total ?? null,
    attempts: active?.attempts ?? report.attempts ?? null,
    isInFlight: Boolean(active?.is_in_flight),
    nextAt: time(active?.next_attempt_at),
    endAt: time(active?.expected_end_at),
    deadlineAt: time(active?.deadline_at),
    error: clean(active?.last_error),
    outcome,
    isFailed: outcome !== null && !SUCCESSES.has(outcome),
    step: clean(path.slice(1).join(" > "), 160),
    reason: clean(reason),
    seconds: report.duration ?? report.elapsed ?? null,
    finishedAt: time(result?.finished_at),
  };
}

function splitKey(key) {
  const at = String(key).indexOf(":");
  return [key.slice(0, at), key.slice(at + 1)];
}

const isOverdue = (wait, at) => wait.outcome === null && wait.nextAt !== null && wait.nextAt < at - OVERDUE_MS && wait.state !== "paused";
const startedAt = wait => wait.beganAt ?? wait.createdAt;
const projectName = id => projects.get(id) ?? clean(id, 80);

/** Keeps a wait. If there are too many, a finished one is dropped, or this one is not kept. */
function keep(record) {
  if (!waits.has(record.key) && waits.size >= MAX_WAITS) {
    left_out += 1;
    if (record.outcome !== null && !record.isFailed) return;
    const old = [...waits.values()].find(one => one.outcome !== null && !one.isFailed);
    if (!old) return;
    waits.delete(old.key);
  }
  waits.set(record.key, record);
}

// ---------------------------------------------------------------------------------------- requests

class TokenRefused extends Error {}
class ServerError extends Error {}

/** The address of the API, relative to the page, so that a proxy may add a path. */
const BASE = new URL(".", location.href);
BASE.hash = BASE.search = "";

/** Sends a request with the token. Fails if the status is not a success. */
async function request(path, { signal, accept = "application/json" } = {}) {
  const response = await fetch(new URL(path, BASE), {
    headers: { authorization: `Bearer ${token}`, accept },
    cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", signal,
  });
  if (response.ok) return response;
  if (response.status === 401) throw new TokenRefused("the server refused the token");
  let problem = {};
  try { problem = JSON.parse((await response.text()).slice(0, 10_000)); } catch { /* not a problem document */ }
  const detail = clean(problem.detail ?? problem.title ?? response.statusText, 300);
  const error = new ServerError(`the server answered ${response.status}${detail ? `: ${detail}` : ""}`);
  error.status = response.status;
  throw error;
}

const json = async (path, options) => (await request(path, options)).json();

/** Parses server-sent events. Memory is bounded: a larger event is an error. */
class EventParser {
  #pieces = [];
  #data = [];
  #name = "";
  #size = 0;
  constructor(handle) { this.handle = handle; }

  push(text) {
    let start = 0;
    for (let end; (end = text.indexOf("\n", start)) >= 0; start = end + 1) {
      this.#add(text.slice(start, end));
      const line = this.#pieces.join("").replace(/\r$/, "");
      this.#pieces = [];
      this.#line(line);
    }
    this.#add(text.slice(start));
  }

  #add(piece) {
    this.#size += piece.length;
    if (this.#size > MAX_EVENT) throw new ServerError("the server sent an event that is too large");
    if (piece) this.#pieces.push(piece);
  }

  #line(line) {
    if (line === "") {
      const [name, data] = [this.#name || "message", this.#data.join("\n")];
      this.#data = [];
      this.#name = "";
      this.#size = 0;
      if (data) this.handle(name, data);
    } else if (line.startsWith(":")) {
      this.#size -= line.length;
    } else {
      const at = line.indexOf(":");
      const field = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
      if (field === "event") this.#name = value;
      if (field === "data") this.#data.push(value);
    }
  }
}

// ---------------------------------------------------------------------------------------- connection

/** The connection: `none`, `connecting`, `live`, `waiting` or `refused`. */
let connection = "none";
let stream = null;
let retries = 0;
let retryAt = 0;
/** When the last byte arrived, and when the last one of a live connection did. */
let lastByteAt = 0;
let dataAt = 0;
let lastProblem = "";

const CONNECTION_TEXTS = {
  none: "", connecting: "Connecting", live: "Live", waiting: "Disconnected", refused: "Token refused",
};

function setConnection(next) {
  connection = next;
  $("connection").hidden = next === "none";
  setAttribute($("connection"), "data-state", next);
  setText($("connection-text"), CONNECTION_TEXTS[next]);
  $("reconnect").hidden = next !== "waiting";
  $("forget").hidden = token === null;
  tick();
}

/** Opens the stream of events, reads the lists, and stays until the stream ends. */
async function connect() {
  stream?.abort();
  const controller = stream = new AbortController();
  const { signal } = controller;
  lastByteAt = Date.now();
  setConnection("connecting");
  try {
    const response = await request("api/v1/events", { signal, accept: "text/event-stream" });
    const parser = new EventParser((name, data) => handleEvent(name, data, signal));
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    // Events that arrive while the lists are read are newer than the lists.
    const lists = readLists(signal).catch(error => controller.abort(error));
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      lastByteAt = dataAt = Date.now();
      parser.push(decoder.decode(value, { stream: true }));
    }
    await lists;
    throw new ServerError("the server closed the connection");
  } catch (error) {
    if (stream !== controller) return;
    controller.abort();
    const cause = signal.aborted && signal.reason instanceof Error && signal.reason.name !== "AbortError" ? signal.reason : error;
    if (cause instanceof TokenRefused) return refuse();
    lastProblem = cause instanceof ServerError ? cause.message : "the server cannot be reached";
    const delay = RETRY_MS[Math.min(retries, RETRY_MS.length - 1)];
    retries += 1;
    // Pages that lost the same server do not return at the same moment.
    retryAt = Date.now() + delay * (0.75 + Math.random() / 2);
    setConnection("waiting");
  }
}

function handleEvent(name, data, signal) {
  if (name === "summary") {
    setSummary(JSON.parse(data));
    if (connection !== "live") setConnection("live");
  } else if (name === "wait") {
    const status = JSON.parse(data);
    const record = toRecord(status);
    touched?.add(record.key);
    keep(record);
    detail?.handleWait(status);
    render();
  } else if (name === "reset") {
    readLists(signal).catch(error => stream?.abort(error));
  }
}

function setSummary(value) {
  const before = summary?.notifications;
  summary = value;
  const at = time(summary.time);
  if (at !== null) clockOffset = at - Date.now();
  const after = summary.notifications;
  if (before && (before.failed !== after?.failed || before.pending !== after?.pending)) readUndelivered();
  render();
}

/** Shows the form for the token again, and drops everything that was read. */
function refuse() {
  forget();
  setConnection("refused");
  setText($("login-error"), "The server refused this token. It may have been replaced; the state folder of the server has the current one.");
  $("token").focus();
}

function forget() {
  stream?.abort();
  stream = token = summary = touched = null;
  waits.clear();
  projects = new Map();
  undelivered = [];
  left_out = retries = 0;
  $("detail").close();
  $("board").hidden = true;
  $("login").hidden = false;
  for (const view of [waitsView, noticesView]) view.clear();
  $("attention").replaceChildren();
  shownCards = "[]";
}

// ---------------------------------------------------------------------------------------- lists

/** The keys that events changed while the lists are read. */
let touched = null;
let listing = 0;
let listedAt = 0;

/** Reads all lists again. Waits that are in no list any more are dropped. */
async function readLists(signal) {
  const mine = listing += 1;
  const seen = touched = new Set();
  const listed = new Set();
  left_out = 0;
  const { projects: all = [] } = await json("api/v1/projects", { signal });
  projects = new Map(all.map(one => [one.id, clean(one.name, 80)]));
  setProjects();
  const states = [["active", MAX_WAITS], ["failed", MAX_FINISHED]];
  if (filter.state === "finished") states.push(["finished", MAX_FINISHED]);
  for (const [state, max] of states) {
    await readWaits(state, max, signal, record => {
      listed.add(record.key);
      if (!seen.has(record.key)) keep(record);
    }, () => listing === mine);
    if (listing !== mine) return;
  }
  for (const [key, wait] of waits) {
    const isOther = wait.outcome !== null && !wait.isFailed && filter.state !== "finished";
    if (!listed.has(key) && !seen.has(key) && !isOther) waits.delete(key);
  }
  touched = null;
  listedAt = Date.now();
  // Not at the first event, so that a server whose lists fail is not asked every second.
  retries = 0;
  await readUndelivered(signal);
}

async function readWaits(state, max, signal, add, isCurrent = () => true) {
  let after = "";
  for (let count = 0; count < max;) {
    const limit = count === 0 ? FIRST_LIMIT : LIMIT;
    const query = new URLSearchParams({ state, limit: String(limit) });
    if (after) query.set("after", after);
    const page = await json(`api/v1/waits?${query}`, { signal });
    if (!isCurrent()) return;
    for (const status of page.waits) add(toRecord(status));
    count += page.waits.length;
    // The first rows appear at once.
    if (limit === FIRST_LIMIT) renderNow();
    else render();
    if (!page.next || page.waits.length === 0) return;
    after = page.next;
  }
  left_out += 1;
}

let finishedWasRead = null;

/** Reads waits that have succeeded. The page needs them only if the user asks for them. */
function readFinished() {
  const signal = stream?.signal;
  if (!signal || finishedWasRead === signal) return;
  finishedWasRead = signal;
  readWaits("finished", MAX_FINISHED, signal, record => { if (!touched?.has(record.key)) keep(record); })
    .catch(() => { finishedWasRead = null; });
}

let noticesRun = 0;

async function readUndelivered(signal = stream?.signal) {
  const mine = noticesRun += 1;
  try {
    const { notifications = [] } = await json("api/v1/notifications/undelivered", { signal });
    if (mine !== noticesRun) return;
    undelivered = notifications.slice(0, 1000).map(toNotice);
    render();
  } catch (error) {
    if (error instanceof TokenRefused && signal && !signal.aborted) stream?.abort(error);
  }
}

function toNotice(status) {
  const [project, job] = splitKey(status.key);
  return {
    id: String(status.id), key: status.key, project, job,
    receiver: clean(status.receiver ?? (status.queue ? `queue ${status.queue}` : ""), 200),
    state: clean(status.state, 30),
    tries: status.tries ?? null,
    error: clean(status.last_error),
    nextAt: time(status.next_try_at),
  };
}

// ---------------------------------------------------------------------------------------- tables

const href = wait => `#/${encodeURIComponent(wait.project)}/${encodeURIComponent(wait.job)}`;

/** A text of the server in its own direction. */
const foreign = (name, attributes = {}, ...children) => el(name, { dir: "auto", ...attributes }, ...children);

const jobColumn = {
  id: "job", label: "Job", header: true, compare: wait => wait.name || wait.job,
  make: cell => cell.append(foreign("a", { class: "name" }), foreign("span", { class: "id" })),
  update: ([link, id], wait) => {
    const known = wait.name ?? waits.get(wait.key)?.name ?? "";
    const job = clean(wait.job, 160);
    setText(link, known || job);
    setAttribute(link, "href", href(wait));
    setText(id, known ? job : "");
  },
};
const textColumn = (id, label, read, options = {}) => ({
  id, label, compare: options.compare ?? read, ...options,
  make: cell => cell.append(foreign("span")),
  update: ([span], wait, at) => setText(span, read(wait, at)),
});
/** A column with a long text: two lines are shown, and the whole is the title. */
const longColumn = (id, label, read) => ({
  id, label, compare: read, empty: wait => !read(wait),
  make: cell => cell.append(foreign("span", { class: "long" })),
  update: ([span], wait) => {
    const text = read(wait);
    setText(span, text);
    setAttribute(span, "title", text || null);
  },
});
/** A column with a time that is shown relative to now. It changes every second. */
const timeColumn = (id, label, read, show) => ({
  id, label, compare: wait => read(wait) ?? Infinity, isNumber: true, isLive: true,
  empty: wait => read(wait) === null,
  make: cell => cell.append(el("time")),
  update: ([one], wait, at) => {
    const ms = read(wait);
    const { text, kind = null } = ms === null ? { text: "–" } : show(ms, at, wait);
    setText(one, text);
    setAttribute(one, "class", kind);
    setAttribute(one, "datetime", ms === null ? null : new Date(ms).toISOString());
    setAttribute(one, "title", ms === null ? null : localTime(ms));
  },
});
const ago = (ms, at) => ({ text: `${duration(at - ms)} ago` });
const until = (ms, at) => ms >= at ? { text: `in ${duration(ms - at)}` } : ago(ms, at);
const left = (ms, at) => ms >= at ? { text: `in ${duration(ms - at)}` } : { text: `${duration(at - ms)} late`, kind: "late" };
const projectColumn = textColumn("project", "Project", wait => projectName(wait.project));
const typeColumn = textColumn("type", "Type", wait => wait.type || "–");

function nextText(ms, at, wait) {
  if (wait.isInFlight) return { text: "in flight", kind: "flight" };
  if (wait.state === "paused") return { text: "paused", kind: "faint" };
  if (isOverdue(wait, at)) return { text: `${duration(at - ms)} late`, kind: "late" };
  return ms > at ? { text: `in ${duration(ms - at)}` } : { text: "due" };
}

const phaseColumn = {
  id: "phase", label: "Phase", compare: wait => wait.phase,
  make: cell => cell.append(foreign("span", { class: "phase" }), el("progress", { max: 1, value: 0, hidden: true }), el("span", { class: "steps" })),
  update: ([phase, bar, steps], wait) => {
    const hasSteps = wait.total > 0;
    setText(phase, wait.state === "unreadable" ? "cannot be read" : wait.phase || "not read yet");
    setAttribute(phase, "data-phase", wait.phase || "none");
    bar.hidden = !hasSteps;
    if (hasSteps) {
      [bar.max, bar.value] = [wait.total, wait.done];
      setAttribute(bar, "aria-label", `${wait.done} of ${wait.total} steps`);
    }
    setText(steps, hasSteps ? `${wait.done}/${wait.total}` : "");
  },
};

const outcomeColumn = {
  id: "outcome", label: "Outcome", compare: wait => wait.outcome ?? "",
  make: cell => cell.append(foreign("span", { class: "badge" })),
  update: ([badge], wait) => {
    setText(badge, (wait.outcome ?? wait.state).replaceAll("_", " "));
    setAttribute(badge, "data-kind", outcomeKind(wait));
  },
};
/** A failed job is red. A wait that stopped before the job ended is amber. */
function outcomeKind(wait) {
  if (wait.outcome === null) return wait.state === "paused" ? "paused" : wait.state === "unreadable" ? "stopped" : "active";
  if (!wait.isFailed) return "success";
  return wait.outcome === "failed" || wait.outcome === "broken" ? "failed" : "stopped";
}

const reasonText = wait => [wait.step, wait.reason].filter(Boolean).join(": ") || (wait.isFailed ? "no reason given" : "");

const ACTIVE_COLUMNS = [
  jobColumn, projectColumn, typeColumn, phaseColumn,
  { ...timeColumn("age", "Age", startedAt, (ms, at) => ({ text: duration(at - ms) })), compare: wait => -startedAt(wait) },
  timeColumn("end", "Expected end", wait => wait.endAt, left),
  timeColumn("next", "Next request", wait => wait.nextAt, nextText),
  longColumn("error", "Last error", wait => wait.error),
];
const FINISHED_COLUMNS = [
  jobColumn, projectColumn, typeColumn, outcomeColumn, longColumn("reason", "Reason", reasonText),
  textColumn("took", "Took", wait => wait.seconds === null ? "–" : duration(wait.seconds * 1000), { isNumber: true, compare: wait => wait.seconds ?? Infinity }),
  timeColumn("finished", "Finished", wait => wait.finishedAt, ago),
];
const NOTICE_COLUMNS = [
  jobColumn, projectColumn, textColumn("receiver", "Receiver", one => one.receiver || "–"),
  textColumn("state", "State", one => one.state === "failed" ? "given up" : one.state),
  textColumn("tries", "Tries", one => number(one.tries), { isNumber: true, compare: one => one.tries }),
  timeColumn("try", "Next try", one => one.nextAt, left),
  longColumn("error", "Last error", one => one.error),
];

/** A table that shows a part of a list, and reuses the row of an item while it is shown. */
class TableView {
  #rows = new Map();
  #columns = null;
  constructor(table, onSort) {
    this.table = table;
    this.onSort = onSort;
    [this.head] = table.tHead ? [table.tHead] : [];
    [this.body] = table.tBodies;
  }

  clear() {
    this.#rows.clear();
    this.body.replaceChildren();
  }

  #setColumns(columns, sort) {
    if (this.#columns !== columns) {
      this.#columns = columns;
      this.clear();
      this.table.dataset.columns = columns === ACTIVE_COLUMNS ? "active" : columns === FINISHED_COLUMNS ? "finished" : "notices";
      this.head.replaceChildren(el("tr", { role: "row" }, ...columns.map(column => {
        const label = this.onSort ? el("button", { type: "button" }, column.label) : column.label;
        if (this.onSort) label.addEventListener("click", () => this.onSort(column));
        return el("th", { scope: "col", role: "columnheader", class: `c-${column.id}${column.isNumber ? " number" : ""}` }, label);
      })));
    }
    if (!sort) return;
    [...this.head.rows[0].cells].forEach((cell, index) => {
      const isSorted = columns[index].id === sort.id;
      setAttribute(cell, "aria-sort", isSorted ? (sort.isDescending ? "descending" : "ascending") : null);
    });
  }

  show(columns, items, sort, idOf = item => item.key) {
    this.#setColumns(columns, sort);
    const at = now();
    const shown = new Set(items.map(idOf));
    for (const [id, row] of this.#rows) {
      if (shown.has(id)) continue;
      row.tr.remove();
      this.#rows.delete(id);
    }
    let place = this.body.firstChild;
    for (const item of items) {
      const id = idOf(item);
      const row = this.#rows.get(id) ?? this.#makeRow(id);
      this.#update(row, item, at);
      if (row.tr === place) place = place.nextSibling;
      else this.body.insertBefore(row.tr, place);
    }
  }

  #makeRow(id) {
    const cells = this.#columns.map(column => {
      const cell = el(column.header ? "th" : "td", {
        role: column.header ? "rowheader" : "cell", scope: column.header ? "row" : null,
        "data-label": column.label, class: `c-${column.id}${column.isNumber ? " number" : ""}`,
      });
      column.make(cell);
      return { cell, parts: [...cell.children] };
    });
    const tr = el("tr", { role: "row" }, ...cells.map(({ cell }) => cell));
    tr.addEventListener("click", event => {
      // A click on the link is handled by the browser, and a selected text is kept.
      if (event.target.closest("a") || String(getSelection())) return;
      tr.querySelector("a.name").click();
    });
    const row = { tr, cells, item: null };
    this.#rows.set(id, row);
    return row;
  }

  #update(row, item, at) {
    row.item = item;
    this.#columns.forEach((column, index) => {
      const { cell, parts } = row.cells[index];
      column.update(parts, item, at);
      if (column.empty) cell.classList.toggle("empty", column.empty(item));
    });
  }

  /** Updates the times only. */
  tick(at) {
    for (const { cells, item } of this.#rows.values()) {
      this.#columns.forEach((column, index) => { if (column.isLive) column.update(cells[index].parts, item, at); });
    }
  }
}

const filter = { state: "active", project: "", text: "", page: 0, sort: null };
const DEFAULT_SORTS = { active: { id: "age", isDescending: true }, finished: { id: "finished", isDescending: true } };
const isFinishedState = () => filter.state === "failed" || filter.state === "finished";
const columnsOf = () => isFinishedState() ? FINISHED_COLUMNS : ACTIVE_COLUMNS;
const sortOf = () => filter.sort ?? DEFAULT_SORTS[isFinishedState() ? "finished" : "active"];

const waitsView = new TableView($("waits"), column => {
  const sort = sortOf();
  filter.sort = { id: column.id, isDescending: sort.id === column.id && !sort.isDescending };
  filter.page = 0;
  renderNow();
});
const noticesView = new TableView($("notifications"), null);

const STATES = {
  active: wait => wait.outcome === null,
  overdue: (wait, at) => isOverdue(wait, at),
  paused: wait => wait.outcome === null && wait.state === "paused",
  failed: wait => wait.isFailed,
  finished: wait => wait.outcome !== null,
};

/** Returns the waits that the filters select, sorted. */
function selected(at) {
  const inState = STATES[filter.state];
  const text = filter.text.toLowerCase();
  const has = value => value !== null && value.toLowerCase().includes(text);
  const hasText = wait => !text || has(wait.job) || has(wait.name) || has(wait.type) || has(wait.phase)
    || has(wait.error) || has(reasonText(wait)) || has(projectName(wait.project)) || has(wait.outcome);
  const found = [...waits.values()].filter(wait =>
    inState(wait, at) && (!filter.project || wait.project === filter.project) && hasText(wait));
  const sort = sortOf();
  const column = columnsOf().find(one => one.id === sort.id) ?? columnsOf()[0];
  const values = new Map(found.map(wait => [wait, column.compare(wait, at)]));
  const order = sort.isDescending ? -1 : 1;
  const compare = (one, other) => one < other ? -1 : one > other ? 1 : 0;
  return found.sort((one, other) =>
    order * compare(values.get(one), values.get(other)) || compare(one.key, other.key));
}

// ---------------------------------------------------------------------------------------- rendering

let renderTimer = null;
let renderedAt = 0;

/** Renders soon, and at most once a second. */
function render() {
  if (renderTimer !== null) return;
  renderTimer = setTimeout(renderNow, Math.max(0, renderedAt + RENDER_MS - Date.now()));
}

function renderNow() {
  clearTimeout(renderTimer);
  renderTimer = null;
  renderedAt = Date.now();
  if (token === null) return;
  const at = now();
  renderTiles();
  renderAttention(at);
  renderWaits(at);
  renderNotices();
}

function renderTiles() {
  const { waits: counts = {}, notifications = {}, budget = {} } = summary ?? {};
  const failed = (counts.failed ?? 0) + (counts.stopped ?? 0);
  const open = (notifications.pending ?? 0) + (notifications.failed ?? 0);
  const tiles = {
    active: [counts.active, counts.unreadable ? `${number(counts.unreadable)} cannot be read` : `${number(counts.succeeded)} have succeeded`, counts.unreadable ? "late" : ""],
    overdue: [counts.overdue, counts.overdue ? "late requests" : "no request is late", counts.overdue ? "late" : ""],
    failed: [summary ? failed : undefined, counts.stopped ? `${number(counts.stopped)} stopped early` : failed ? "the jobs failed" : "none has failed", failed ? "bad" : ""],
    paused: [counts.paused, counts.paused ? "in paused projects" : "no project is paused", ""],
    undelivered: [summary ? open : undefined, notifications.failed ? `${number(notifications.failed)} given up` : open ? "tried again" : "all delivered", notifications.failed ? "bad" : ""],
  };
  for (const tile of document.querySelectorAll(".tile")) {
    const [count, more, kind] = tiles[tile.dataset.state];
    setText(tile.querySelector(".count"), number(count));
    setText(tile.querySelector(".more"), summary ? more : "");
    setAttribute(tile, "data-kind", kind || null);
    setAttribute(tile, "aria-pressed", tile.dataset.state === "undelivered" ? null : String(tile.dataset.state === filter.state));
  }
  setText($("budget-rate"), summary ? `${number(budget.requests_per_second)} requests/s` : "–");
  setText($("budget-flight"), number(budget.in_flight));
  setText($("budget-queued"), number(budget.queued));
  const throttled = budget.throttled_for > 0;
  setText($("budget-throttled"), !summary ? "–" : throttled ? `for ${duration(Math.ceil(budget.throttled_for) * 1000)}` : "no");
  setAttribute($("budget-throttled"), "class", throttled ? "late" : null);
}

/** Inserts an item into the first items of an order. */
function insert(items, item, compare) {
  let at = items.length;
  while (at > 0 && compare(item, items[at - 1]) < 0) at -= 1;
  items.splice(at, 0, item);
  if (items.length > CARD_ITEMS) items.pop();
}

/** Shows the newest failures, the waits that are overdue the longest, and what was not delivered. */
function renderAttention(at) {
  const [failed, overdue] = [[], []];
  // The tables of the other states show the same.
  $("attention").hidden = filter.state !== "active";
  for (const wait of waits.values()) {
    if (wait.isFailed) insert(failed, wait, (one, other) => other.finishedAt - one.finishedAt);
    else if (isOverdue(wait, at)) insert(overdue, wait, (one, other) => one.nextAt - other.nextAt);
  }
  const counts = summary?.waits ?? {};
  const describe = (wait, ...texts) => ({ href: href(wait), name: wait.name || waits.get(wait.key)?.name || clean(wait.job, 160), text: texts.filter(Boolean).join(" · ") });
  const cards = [
    { title: "Failed", kind: "bad", state: "failed", count: (counts.failed ?? 0) + (counts.stopped ?? 0),
      items: failed.map(wait => describe(wait, wait.type, reasonText(wait))), when: failed.map(wait => `${duration(at - wait.finishedAt)} ago`) },
    { title: "Overdue", kind: "late", state: "overdue", count: counts.overdue ?? 0,
      items: overdue.map(wait => describe(wait, wait.type, wait.error || "no request was made")), when: overdue.map(wait => `${duration(at - wait.nextAt)} late`) },
    { title: "Not delivered", kind: "bad", state: "undelivered", count: undelivered.length,
      items: undelivered.slice(0, CARD_ITEMS).map(one => describe(one, one.receiver, one.error)), when: undelivered.map(one => one.state === "failed" ? "given up" : plural(one.tries, "try", "tries")) },
  ].filter(card => card.items.length > 0);
  // The cards are built again only if more than their times changed, so that the focus stays.
  const text = JSON.stringify(cards.map(({ when, ...card }) => card));
  if (text !== shownCards) {
    shownCards = text;
    $("attention").replaceChildren(...cards.map(card => el("div", { class: "card", "data-kind": card.kind },
      el("h2", {}, card.title),
      el("ul", {}, ...card.items.map(one => el("li", {},
        el("div", { class: "line" }, foreign("a", { href: one.href, class: "name" }, one.name), el("span", { class: "when faint" })),
        foreign("div", { class: "long", title: one.text }, one.text)))),
      card.count > card.items.length ? allButton(card.count, card.state) : null)));
  }
  const spans = $("attention").querySelectorAll(".when");
  cards.flatMap(card => card.when.slice(0, card.items.length)).forEach((when, index) => setText(spans[index], when));
}

let shownCards = "[]";

function allButton(count, state) {
  const button = el("button", { class: "quiet", type: "button" }, `Show all ${number(count)}`);
  button.addEventListener("click", () => showState(state));
  return button;
}

function renderWaits(at) {
  const found = selected(at);
  const pages = Math.max(1, Math.ceil(found.length / PAGE_ROWS));
  filter.page = Math.min(filter.page, pages - 1);
  const start = filter.page * PAGE_ROWS;
  const shown = found.slice(start, start + PAGE_ROWS);
  waitsView.show(columnsOf(), shown, sortOf());
  const isLoading = touched !== null;
  setText($("count"), found.length === 0
    ? isLoading ? "Loading" : "No wait matches."
    : `${number(start + 1)} to ${number(start + shown.length)} of ${number(found.length)}${isLoading ? ", loading" : ""}`);
  $("previous").disabled = filter.page === 0;
  $("next").disabled = filter.page >= pages - 1;
  $("previous").hidden = $("next").hidden = pages === 1;
  $("waits").hidden = found.length === 0;
  $("capped").hidden = left_out === 0;
  if (left_out > 0) setText($("capped"), `There are more waits than this page keeps (${number(MAX_WAITS)}, of them ${number(MAX_FINISHED)} finished). The summary counts all of them; cce-job ls --server ${quote(BASE.href)} lists them.`);
  if (shown.length && performance.getEntriesByName("first-rows").length === 0) {
    requestAnimationFrame(() => performance.mark("first-rows"));
  }
}

function renderNotices() {
  const shown = undelivered.slice(0, PAGE_ROWS);
  $("undelivered").hidden = shown.length === 0;
  noticesView.show(NOTICE_COLUMNS, shown, null, one => one.id);
  $("undelivered-more").hidden = undelivered.length <= PAGE_ROWS;
  setText($("undelivered-more"), `${number(undelivered.length - shown.length)} more are not shown.`);
}

function setProjects() {
  const select = $("filter-project");
  const names = [...projects].sort(([, one], [, other]) => one.localeCompare(other));
  select.replaceChildren(el("option", { value: "" }, "All"), ...names.map(([id, name]) => el("option", { value: id }, name)));
  if (!projects.has(filter.project)) filter.project = "";
  select.value = filter.project;
}

/** Runs every second: counts times up and opens the connection again. */
function tick() {
  const at = Date.now();
  const isDown = connection === "waiting" || connection === "connecting" && retries > 0;
  if (connection === "waiting" && at >= retryAt) { connect(); return; }
  if ((connection === "live" || connection === "connecting") && at - lastByteAt > SILENCE_MS) {
    stream?.abort(new ServerError("the server has sent nothing for 40 s"));
  }
  if (connection === "live" && touched === null && listedAt && at - listedAt > LIST_MS) {
    listedAt = at;
    readLists(stream.signal).catch(error => stream?.abort(error));
  }
  setText($("connection-detail"), connection === "waiting" ? `reconnecting in ${duration(Math.ceil((retryAt - at) / 1000) * 1000)}` : "");
  $("stale").hidden = !isDown || summary === null;
  if (isDown) setText($("stale"), `Not connected: ${lastProblem}. The data are ${duration(at - dataAt)} old.`);
  if (document.hidden || $("board").hidden) return;
  waitsView.tick(now());
  noticesView.tick(now());
  detail?.tick(now());
}

// ---------------------------------------------------------------------------------------- one wait

/** The view of one wait. */
class Detail {
  #controller = new AbortController();
  #image = null;
  #status = null;
  #imageTimer = null;

  constructor(project, job) {
    [this.project, this.job] = [project, job];
    this.key = `${project}:${job}`;
    this.path = `api/v1/waits/${encodeURIComponent(project)}/${encodeURIComponent(job)}`;
    this.facts = el("dl", { class: "facts" });
    this.why = foreign("p", { class: "why", hidden: true });
    this.figure = el("figure", {}, el("p", { class: "faint" }, "Loading the timeline"));
    this.notices = el("div");
    this.commands = el("div", { class: "commands" });
    this.raw = el("pre", { dir: "ltr", tabindex: "0" });
    this.badge = foreign("span", { class: "badge" });
    this.problem = el("p", { class: "error", role: "alert" });
    setText($("detail-title"), clean(job, 160));
    $("detail-body").replaceChildren(this.problem, this.why, this.facts, this.figure,
      el("h3", {}, "Notifications"), this.notices, el("h3", {}, "Commands"), this.commands,
      el("details", {}, el("summary", {}, "All fields as JSON"), this.raw));
    this.read();
  }

  async read() {
    const { signal } = this.#controller;
    const parts = [
      json(this.path, { signal }).then(status => this.show(status)),
      this.readImage(),
      this.readNotices(),
    ];
    for (const result of await Promise.allSettled(parts)) {
      if (result.status === "rejected" && !signal.aborted) setText(this.problem, sentence(result.reason));
    }
  }

  handleWait(status) {
    if (status.key !== this.key) return;
    const hasEnded = status.result && !this.#status?.result;
    this.show(status);
    if (hasEnded) this.readNotices().catch(() => {});
    // A job with many changes does not cause a request for each.
    this.#imageTimer ??= setTimeout(() => { this.#imageTimer = null; this.readImage().catch(() => {}); }, 3_000);
  }

  show(status) {
    this.#status = status;
    const wait = this.wait = toRecord(status);
    document.title = `${wait.name || clean(wait.job, 80)} · CCE jobs`;
    $("detail-title").replaceChildren(foreign("span", {}, [wait.type, wait.name].filter(Boolean).join(" ") || clean(wait.job, 160)), " ", this.badge);
    setText(this.badge, (wait.outcome ?? (wait.state === "waiting" ? wait.phase || "waiting" : wait.state)).replaceAll("_", " "));
    setAttribute(this.badge, "data-kind", outcomeKind(wait));
    const why = wait.outcome === null ? wait.error && `Last error: ${wait.error}` : reasonText(wait);
    this.why.hidden = !why;
    setText(this.why, why);
    setAttribute(this.why, "data-kind", outcomeKind(wait));
    this.live = [];
    const fact = (name, text) => text ? el("div", {}, el("dt", {}, name), foreign("dd", {}, text)) : null;
    const moment = (name, ms, show) => {
      if (ms === null) return null;
      const value = el("span");
      this.live.push(at => setText(value, show(ms, at, wait).text));
      return el("div", {}, el("dt", {}, name), el("dd", {}, value, " ", el("span", { class: "faint" }, localTime(ms))));
    };
    const facts = [
      fact("Job", clean(wait.job, 200)),
      fact("Project", projectName(wait.project)),
      fact("Type", wait.type),
      fact("Name", wait.name),
      fact("Phase", wait.phase),
      fact("Steps", wait.total > 0 ? `${wait.done} of ${wait.total}` : ""),
      fact("Attempts", wait.attempts === null ? "" : number(wait.attempts)),
      moment("Job created", wait.beganAt, ago),
      moment("Wait started", wait.createdAt, ago),
      wait.outcome === null ? moment("Next request", wait.nextAt, nextText) : null,
      wait.outcome === null ? moment("Expected end", wait.endAt, left) : null,
      wait.outcome === null ? moment("Deadline", wait.deadlineAt, until) : null,
      moment("Finished", wait.finishedAt, ago),
      fact("Took", wait.seconds === null ? "" : duration(wait.seconds * 1000)),
      fact("Number", String(wait.number ?? "")),
    ];
    this.facts.replaceChildren(...facts.filter(one => one !== null));
    this.tick(now());
    this.showCommands(wait);
    const text = JSON.stringify(status, null, 2);
    // Line breaks are those of the JSON. Other invisible characters are shown as escape sequences.
    setText(this.raw, text.slice(0, MAX_JSON).split("\n").map(line => clean(line, MAX_JSON)).join("\n")
      + (text.length > MAX_JSON ? `\n… (${number(text.length - MAX_JSON)} more characters)` : ""));
  }

  tick(at) { this.live?.forEach(update => update(at)); }

  async readImage() {
    const { signal } = this.#controller;
    try {
      const response = await request(`${this.path}/timeline.svg`, { signal, accept: "image/svg+xml" });
      // An image cannot run scripts or load anything.
      const url = URL.createObjectURL(new Blob([await response.blob()], { type: "image/svg+xml" }));
      if (signal.aborted) { URL.revokeObjectURL(url); return; }
      const image = el("img", { src: url, alt: `Timeline of job ${clean(this.job, 160)}` });
      await image.decode().catch(() => {});
      this.figure.replaceChildren(image);
      if (this.#image) URL.revokeObjectURL(this.#image);
      this.#image = url;
    } catch (error) {
      if (error.status !== 404) throw error;
      this.figure.replaceChildren(el("p", { class: "faint" }, "No timeline: the job was never read."));
    }
  }

  async readNotices() {
    const { notifications = [] } = await json(`${this.path}/notifications`, { signal: this.#controller.signal });
    const all = notifications.slice(0, 100).map(toNotice);
    this.notices.replaceChildren(all.length === 0 ? el("p", { class: "faint" }, "None.") : el("ul", { class: "notices" }, ...all.map(one => el("li", {},
      foreign("span", {}, one.receiver || "–"), " ",
      el("span", { class: "badge", "data-kind": one.state === "failed" ? "failed" : one.state === "delivered" ? "success" : "active" }, one.state === "failed" ? "given up" : one.state), " ",
      el("span", { class: "faint" }, plural(one.tries, "try", "tries") + (one.nextAt === null ? "" : `, the next at ${localTime(one.nextAt)}`)),
      foreign("div", { class: "long" }, one.error),
      one.state === "delivered" ? null : command("Send again", retryCommand(one.id))))));
  }

  showCommands(wait) {
    const server = `--server ${quote(BASE.href)}`;
    const project = `--project ${quote(projectName(wait.project))}`;
    const list = wait.outcome === null
      ? [["Stop the wait; the job goes on", `cce-job cancel ${quote(wait.job)} ${project} ${server}`], ["Follow it in a terminal", `cce-job watch ${quote(wait.job)} ${project} ${server}`]]
      : [["Wait for the job again", `cce-job watch ${quote(wait.job)} ${project} ${server}`]];
    const text = JSON.stringify(list);
    if (this.shownCommands === text) return;
    this.shownCommands = text;
    this.commands.replaceChildren(...list.map(([label, line]) => command(label, line)));
  }

  close() {
    this.#controller.abort();
    clearTimeout(this.#imageTimer);
    if (this.#image) URL.revokeObjectURL(this.#image);
    $("detail-body").replaceChildren();
    document.title = "CCE jobs";
  }
}

/** `cce-job` has no command for this, so it is a request. The token is in the variable that `cce-job` reads. */
const retryCommand = id => `curl -X POST -H "Authorization: Bearer $CCE_JOB_SERVER_TOKEN" ${quote(new URL(`api/v1/notifications/${encodeURIComponent(id)}/retry`, BASE).href)}`;

const sentence = error => {
  const text = error instanceof TokenRefused || error instanceof ServerError ? error.message : "the server cannot be reached";
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
};

/** A command line with a button that copies it. */
function command(label, line) {
  const code = el("code", { dir: "ltr" }, line);
  const button = el("button", { class: "quiet", type: "button", "aria-label": `Copy: ${label}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line);
      setText(button, "Copied");
    } catch {
      // Without https, a page has no clipboard.
      getSelection().selectAllChildren(code);
      setText(button, "Selected");
    }
    setTimeout(() => setText(button, "Copy"), 2_000);
  });
  return el("div", { class: "command" }, el("span", { class: "label" }, label), code, button);
}

let detail = null;

/** Opens or closes the view of a wait, according to the fragment of the address. */
function route() {
  const parts = token === null ? null : /^#\/([^/]+)\/([^/]+)$/.exec(location.hash);
  let ids = null;
  try { ids = parts && [decodeURIComponent(parts[1]), decodeURIComponent(parts[2])]; } catch { /* not an address of this page */ }
  if (ids && detail && detail.project === ids[0] && detail.job === ids[1]) return;
  detail?.close();
  detail = null;
  if (ids === null) { $("detail").close(); return; }
  detail = new Detail(...ids);
  if (!$("detail").open) $("detail").showModal();
  $("detail").scrollTop = 0;
}

// ---------------------------------------------------------------------------------------- controls

function showState(state) {
  if (state === "undelivered") {
    $("undelivered").scrollIntoView({ block: "start" });
    $("undelivered").focus({ preventScroll: true });
    return;
  }
  [filter.state, filter.page, filter.sort] = [state, 0, null];
  $("filter-state").value = state;
  if (state === "finished") readFinished();
  renderNow();
}

$("login-form").addEventListener("submit", async event => {
  event.preventDefault();
  const field = $("token");
  const candidate = field.value.trim();
  setText($("login-error"), "");
  if (!/^[\x21-\x7e]+$/.test(candidate)) {
    setText($("login-error"), "A token has only letters, digits and punctuation, without spaces.");
    return;
  }
  $("login-button").disabled = true;
  token = candidate;
  try {
    setSummary(await json("api/v1/summary"));
  } catch (error) {
    token = summary = null;
    if (error instanceof TokenRefused) setConnection("refused");
    setText($("login-error"), error instanceof TokenRefused ? "The server refused this token." : sentence(error));
    field.select();
    return;
  } finally {
    $("login-button").disabled = false;
  }
  field.value = "";
  $("login").hidden = true;
  $("board").hidden = false;
  renderNow();
  connect();
  route();
});

$("forget").addEventListener("click", () => {
  forget();
  setConnection("none");
  $("token").focus();
});
$("reconnect").addEventListener("click", () => connect());
$("filters").addEventListener("submit", event => event.preventDefault());
$("filter-state").addEventListener("change", event => showState(event.target.value));
$("filter-project").addEventListener("change", event => {
  [filter.project, filter.page] = [event.target.value, 0];
  renderNow();
});
let textTimer = null;
$("filter-text").addEventListener("input", event => {
  clearTimeout(textTimer);
  textTimer = setTimeout(() => {
    [filter.text, filter.page] = [event.target.value.trim(), 0];
    renderNow();
  }, 150);
});
for (const [id, step] of [["previous", -1], ["next", 1]]) {
  $(id).addEventListener("click", () => {
    filter.page += step;
    renderNow();
    $("waits-title").scrollIntoView({ block: "start" });
  });
}
for (const tile of document.querySelectorAll(".tile")) tile.addEventListener("click", () => showState(tile.dataset.state));
$("detail-close").addEventListener("click", () => $("detail").close());
$("detail").addEventListener("close", () => {
  detail?.close();
  detail = null;
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
});
// A click beside the dialog closes it.
$("detail").addEventListener("click", event => { if (event.target === $("detail")) $("detail").close(); });
addEventListener("hashchange", route);
addEventListener("online", () => { if (connection === "waiting") connect(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) { tick(); render(); } });
setInterval(tick, 1_000);
$("token").focus();
