// Reads the lists of the API into the store.

import { requestJson } from "./api.js";
import { isSuccess, toNotice, toWait } from "./records.js";
import { MAX_WAITS, keepWait, reportChange, setProjects, store } from "./store.js";

/** Maximum number of waits of each finished state that are read. */
export const MAX_FINISHED = 5_000;
/** Number of waits in the first request, so that rows appear early, and in the others. */
const FIRST_LIMIT = 200, LIMIT = 1_000;
/** Maximum number of notifications that are kept. */
const MAX_NOTICES = 1_000;

/** A reading of lists, for the connection with a signal. A reading that is not the last one of its kind stops. */
class Reading {
  /** The keys that events changed since the reading began: events are newer than lists. `null` after the end. */
  changedKeys = new Set();

  constructor(signal) {
    this.signal = signal;
  }

  /** Keeps a wait of a list, unless an event has changed it. */
  keep(wait) {
    if (!this.changedKeys.has(wait.key)) keepWait(wait);
  }
}

/** The reading of all lists, or `null` if there is none at present. */
let listsReading = null;
/** The reading of the waits that have succeeded, also after its end. It is `null` if they have to be read. */
let finishedReading = null;
let lastUndelivered = 0;

/** Waits that have succeeded are read only if the page shows them. */
let isFinishedShown = false;

/** Keeps the wait of an event. */
export function handleWait(wait) {
  listsReading?.changedKeys.add(wait.key);
  finishedReading?.changedKeys?.add(wait.key);
  keepWait(wait);
  reportChange();
}

/**
 * Reads the projects and all lists of waits again, and drops waits that are in no list any more. Returns
 * whether the lists were read to their end: a later call ends an earlier one.
 */
export async function readLists(signal) {
  const reading = listsReading = new Reading(signal);
  // The user may select another state meanwhile. Successes that were missed are read when they are shown again.
  const readsFinished = isFinishedShown;
  finishedReading = readsFinished ? reading : null;
  const listed = new Set();
  // The last key that each list was read to.
  const ends = {};
  Object.assign(store, { isLoading: true, hasLeftOut: false });
  const { projects = [] } = await requestJson("api/v1/projects", { signal });
  setProjects(projects);
  const states = [["active", MAX_WAITS], ["failed", MAX_FINISHED]];
  if (readsFinished) states.push(["finished", MAX_FINISHED]);
  for (const [state, max] of states) {
    ends[state] = await readWaits(state, max, signal, () => reading === listsReading, wait => {
      listed.add(wait.key);
      reading.keep(wait);
    });
    if (reading !== listsReading) return false;
  }
  // A finished wait beyond the end of its list stays, because it may exist.
  const isCovered = wait => {
    if (wait.outcome === null) return true;
    const end = isSuccess(wait) ? ends.finished : ends.failed;
    return end !== undefined && (end === null || wait.key <= end);
  };
  for (const [key, wait] of store.waits) {
    if (!listed.has(key) && !reading.changedKeys.has(key) && isCovered(wait)) store.waits.delete(key);
  }
  listsReading = reading.changedKeys = null;
  store.isLoading = false;
  reportChange();
  return true;
}

/**
 * Reads the waits of a state in the order of their keys, at most `max`. Returns the last key if there are more,
 * or `null`.
 */
async function readWaits(state, max, signal, isCurrent, add) {
  let after = "";
  for (let count = 0; count < max;) {
    const limit = count === 0 ? FIRST_LIMIT : LIMIT;
    const query = new URLSearchParams({ state, limit: String(limit) });
    if (after) query.set("after", after);
    const page = await requestJson(`api/v1/waits?${query}`, { signal });
    if (!isCurrent()) return null;
    for (const status of page.waits) add(toWait(status));
    count += page.waits.length;
    // The first rows appear at once.
    reportChange({ isUrgent: limit === FIRST_LIMIT });
    if (!page.next || page.waits.length === 0) return null;
    after = page.next;
  }
  store.hasLeftOut = true;
  return after;
}

/** Sets whether the page shows waits that have succeeded. */
export function setFinishedShown(isShown) {
  isFinishedShown = isShown;
}

/** Reads the waits that have succeeded, unless this was done since all lists were read for this connection. */
export async function readFinished(signal) {
  if (finishedReading?.signal === signal) return;
  const reading = finishedReading = new Reading(signal);
  try {
    await readWaits("finished", MAX_FINISHED, signal, () => reading === finishedReading, wait => reading.keep(wait));
    reading.changedKeys = null;
  } catch {
    if (finishedReading === reading) finishedReading = null;
  }
}

/** Reads the notifications that were not delivered. */
export async function readUndelivered(signal) {
  const reading = lastUndelivered += 1;
  const { notifications = [] } = await requestJson("api/v1/notifications/undelivered", { signal });
  if (reading !== lastUndelivered) return;
  store.undelivered = notifications.slice(0, MAX_NOTICES).map(toNotice);
  reportChange();
}

/** Ends all readings of the lists. */
export function stopReading() {
  listsReading = finishedReading = null;
  lastUndelivered += 1;
}
