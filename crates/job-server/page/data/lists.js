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

/** The keys that events changed while the lists are read, or `null`. Events are newer than the lists. */
let changedKeys = null;
/** The number of the last reading of the lists. A reading that is not the last one stops. */
let lastReading = 0;
let lastUndelivered = 0;

/** Waits that have succeeded are read only if the page shows them. */
let isFinishedShown = false;
/** The connection whose finished waits were read. */
let finishedSignal = null;

/** Keeps the wait of an event. */
export function handleWait(wait) {
  changedKeys?.add(wait.key);
  keepWait(wait);
  reportChange();
}

/**
 * Reads the projects and all lists of waits again, and drops waits that are in no list any more. Returns
 * whether the lists were read to their end: a later call ends an earlier one.
 */
export async function readLists(signal) {
  const reading = lastReading += 1;
  const changed = changedKeys = new Set();
  const listed = new Set();
  Object.assign(store, { isLoading: true, hasLeftOut: false });
  const { projects = [] } = await requestJson("api/v1/projects", { signal });
  setProjects(projects);
  const states = [["active", MAX_WAITS], ["failed", MAX_FINISHED]];
  if (isFinishedShown) states.push(["finished", MAX_FINISHED]);
  for (const [state, max] of states) {
    await readWaits(state, max, signal, () => reading === lastReading, wait => {
      listed.add(wait.key);
      if (!changed.has(wait.key)) keepWait(wait);
    });
    if (reading !== lastReading) return false;
  }
  for (const [key, wait] of store.waits) {
    const isUnlisted = isSuccess(wait) && !isFinishedShown;
    if (!listed.has(key) && !changed.has(key) && !isUnlisted) store.waits.delete(key);
  }
  changedKeys = null;
  store.isLoading = false;
  reportChange();
  return true;
}

/** Reads the waits of a state, at most `max`. */
async function readWaits(state, max, signal, isCurrent, add) {
  let after = "";
  for (let count = 0; count < max;) {
    const limit = count === 0 ? FIRST_LIMIT : LIMIT;
    const query = new URLSearchParams({ state, limit: String(limit) });
    if (after) query.set("after", after);
    const page = await requestJson(`api/v1/waits?${query}`, { signal });
    if (!isCurrent()) return;
    for (const status of page.waits) add(toWait(status));
    count += page.waits.length;
    // The first rows appear at once.
    reportChange({ isUrgent: limit === FIRST_LIMIT });
    if (!page.next || page.waits.length === 0) return;
    after = page.next;
  }
  store.hasLeftOut = true;
}

/** Sets whether the page shows waits that have succeeded. */
export function setFinishedShown(isShown) {
  isFinishedShown = isShown;
}

/** Reads the waits that have succeeded, once for each connection. */
export async function readFinished(signal) {
  if (finishedSignal === signal) return;
  finishedSignal = signal;
  try {
    await readWaits("finished", MAX_FINISHED, signal, () => true, wait => {
      if (!changedKeys?.has(wait.key)) keepWait(wait);
    });
  } catch {
    if (finishedSignal === signal) finishedSignal = null;
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
  lastReading += 1;
  lastUndelivered += 1;
  changedKeys = null;
}
