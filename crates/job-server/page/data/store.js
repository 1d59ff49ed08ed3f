// Everything that was read from the server. Memory is bounded: at most MAX_WAITS short records of waits.

import { clean, parseTime } from "../format.js";
import { isSuccess } from "./records.js";

/** Maximum number of waits in memory. If there are more, the page states that it left out some. */
export const MAX_WAITS = 20_000;

/** What was read. Modules of `view` only read it. */
export const store = {
  /** The short records of waits, by key. */
  waits: new Map(),
  /** The names of projects, by id. */
  projects: new Map(),
  /** The short records of notifications that were not delivered. */
  undelivered: [],
  /** The last summary, as the server sent it, or `null` if the page has no valid token. */
  summary: null,
  /** Whether waits were left out because there are too many. */
  hasLeftOut: false,
  /** Whether the lists of waits have not been read to their end. */
  isLoading: true,
};

/** The clock of the server minus the clock of this machine, in milliseconds. */
let clockOffset = 0;

/** Returns the time by the clock of the server, in milliseconds. */
export const now = () => Date.now() + clockOffset;

let listener = () => {};

/** Sets the function that is called after each change. Its argument is whether the change is urgent. */
export function subscribe(onChange) {
  listener = onChange;
}

/** Reports a change of the store. An urgent change is shown at once, the others at most once a second. */
export function reportChange({ isUrgent = false } = {}) {
  listener(isUrgent);
}

/** Keeps a wait. If there are too many, a finished one is dropped, or this one is not kept. */
export function keepWait(wait) {
  const { waits } = store;
  if (!waits.has(wait.key) && waits.size >= MAX_WAITS) {
    store.hasLeftOut = true;
    if (isSuccess(wait)) return;
    const key = firstSuccess();
    if (key === null) return;
    waits.delete(key);
  }
  waits.set(wait.key, wait);
}

/** Returns the key of the first wait that has succeeded, or `null`. Copies nothing, because each event may ask. */
function firstSuccess() {
  for (const [key, wait] of store.waits) if (isSuccess(wait)) return key;
  return null;
}

export function setProjects(projects) {
  store.projects = new Map(projects.map(one => [one.id, clean(one.name, 80)]));
}

/** Keeps a summary, and sets the clock by its time. */
export function setSummary(summary) {
  store.summary = summary;
  const at = parseTime(summary.time);
  if (at !== null) clockOffset = at - Date.now();
  reportChange();
}

/** Returns the name of a project, or its id if the name is unknown. */
export const projectName = id => store.projects.get(id) ?? clean(id, 80);

/** Drops everything. */
export function clearStore() {
  store.waits.clear();
  store.projects = new Map();
  Object.assign(store, { undelivered: [], summary: null, hasLeftOut: false, isLoading: true });
}
