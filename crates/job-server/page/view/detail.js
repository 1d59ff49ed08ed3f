// The view of one wait, which is open if the fragment of the address names one.

import { hasToken, request, requestJson, sentence } from "../data/api.js";
import {
  nextRequest, noticeState, outcomeKind, outcomeText, reasonText, stepsText, toNotice, toWait,
} from "../data/records.js";
import { now, projectName } from "../data/store.js";
import { ago, clean, duration, left, localTime, number, plural, until } from "../format.js";
import { commandElement, retryCommand, waitCommands } from "./commands.js";
import { $, el, foreign, setAttribute, setText } from "./dom.js";
import { parseHash } from "./route.js";

/** Maximum length of the JSON. */
const MAX_JSON = 200_000;
/** Maximum number of notifications. */
const MAX_NOTICES = 100;
/** Time between a change of the wait and the request for its timeline. */
const TIMELINE_MS = 3_000;

/** The view that is open, or `null`. */
let open = null;

/** Opens or closes the view, according to the fragment of the address. */
export function followHash() {
  const ids = hasToken() ? parseHash(location.hash) : null;
  if (ids !== null && open !== null && open.project === ids.project && open.job === ids.job) return;
  dropDetail();
  if (ids === null) {
    $("detail").close();
    return;
  }
  open = new Detail(ids.project, ids.job);
  if (!$("detail").open) $("detail").showModal();
  $("detail").scrollTop = 0;
}

/** Stops the requests of the view, and removes its contents. */
export function dropDetail() {
  open?.close();
  open = null;
}

/** Returns whether a view is open. */
export const isOpen = () => open !== null;

/** Shows the new status of a wait, if its view is open. */
export function handleWait(status) {
  open?.handleWait(status);
}

/** Reads the wait again, if its view is open, because events may have been missed. */
export function readAgain() {
  open?.read();
}

/** Updates the times. */
export function tick() {
  open?.tick();
}

class Detail {
  #controller = new AbortController();
  #path;
  /** The functions that update the times. */
  #times = [];
  #isFinished = false;
  /** The number of the last reading of the status. What an earlier one returns is dropped. */
  #lastReading = 0;
  #shownCommands = "";
  /** The address of the timeline in the memory of the browser. */
  #imageUrl = null;
  #imageTimer = null;

  #badge = foreign("span", { class: "badge" });
  #problem = el("p", { class: "error", role: "alert" });
  #why = foreign("p", { class: "why", hidden: true });
  #facts = el("dl", { class: "facts" });
  #figure = el("figure", {}, el("p", { class: "faint" }, "Loading the timeline"));
  #notices = el("div");
  #commands = el("div", { class: "commands" });
  #json = el("pre", { dir: "ltr", tabindex: "0" });

  constructor(project, job) {
    [this.project, this.job] = [project, job];
    this.#path = `api/v1/waits/${encodeURIComponent(project)}/${encodeURIComponent(job)}`;
    setText($("detail-title"), clean(job, 160));
    $("detail-body").replaceChildren(
      this.#problem, this.#why, this.#facts, this.#figure,
      el("h3", {}, "Notifications"), this.#notices,
      el("h3", {}, "Commands"), this.#commands,
      el("details", {}, el("summary", {}, "All fields as JSON"), this.#json),
    );
    this.read();
  }

  /** Reads everything. */
  async read() {
    const { signal } = this.#controller;
    setText(this.#problem, "");
    const parts = [this.#readStatus(), this.#readTimeline(), this.#readNotices()];
    for (const result of await Promise.allSettled(parts)) {
      if (result.status === "rejected" && !signal.aborted) setText(this.#problem, sentence(result.reason));
    }
  }

  handleWait(status) {
    if (status.key !== `${this.project}:${this.job}`) return;
    const hasEnded = status.result && !this.#isFinished;
    // The event is newer than a reply that is awaited. An event has no document, so that a result is read again.
    this.#lastReading += 1;
    this.#show(status);
    if (status.result) this.#readStatus().catch(() => {});
    else this.#showJson(status);
    if (hasEnded) this.#readNotices().catch(() => {});
    // A job with many changes does not cause a request for each.
    this.#imageTimer ??= setTimeout(() => {
      this.#imageTimer = null;
      this.#readTimeline().catch(() => {});
    }, TIMELINE_MS);
  }

  tick() {
    const at = now();
    for (const update of this.#times) update(at);
  }

  close() {
    this.#controller.abort();
    clearTimeout(this.#imageTimer);
    if (this.#imageUrl) URL.revokeObjectURL(this.#imageUrl);
    $("detail-body").replaceChildren();
    document.title = "CCE jobs";
  }

  async #readStatus() {
    const reading = this.#lastReading += 1;
    let status = null;
    try {
      status = await requestJson(this.#path, { signal: this.#controller.signal });
    } catch (error) {
      if (reading === this.#lastReading) throw error;
    }
    if (reading !== this.#lastReading) return;
    this.#show(status);
    this.#showJson(status);
  }

  #show(status) {
    const wait = toWait(status);
    this.#isFinished = Boolean(status.result);
    document.title = `${wait.name || clean(wait.job, 80)} · CCE jobs`;
    const title = [wait.type, wait.name].filter(Boolean).join(" ") || clean(wait.job, 160);
    $("detail-title").replaceChildren(foreign("span", {}, title), " ", this.#badge);
    const state = wait.state === "waiting" ? wait.phase || "waiting" : wait.state;
    setText(this.#badge, wait.outcome === null ? state : outcomeText(wait));
    setAttribute(this.#badge, "data-kind", outcomeKind(wait));
    const why = wait.outcome === null ? wait.error && `Last error: ${wait.error}` : reasonText(wait);
    this.#why.hidden = !why;
    setText(this.#why, why);
    setAttribute(this.#why, "data-kind", outcomeKind(wait));
    this.#showFacts(wait);
    this.#showCommands(wait);
  }

  #showFacts(wait) {
    this.#times = [];
    const fact = (name, text) => text ? el("div", {}, el("dt", {}, name), foreign("dd", {}, text)) : null;
    const moment = (name, ms, show) => {
      if (ms === null) return null;
      const value = el("span");
      this.#times.push(at => setText(value, show(ms, at, wait).text));
      const exact = el("span", { class: "faint" }, localTime(ms));
      return el("div", {}, el("dt", {}, name), el("dd", {}, value, " ", exact));
    };
    const isActive = wait.outcome === null;
    const facts = [
      fact("Job", clean(wait.job, 200)),
      fact("Project", projectName(wait.project)),
      fact("Type", wait.type),
      fact("Name", wait.name),
      fact("Phase", wait.phase),
      fact("Steps", stepsText(wait, " of ")),
      fact("Attempts", wait.attempts === null ? "" : number(wait.attempts)),
      moment("Job created", wait.beganAt, ago),
      moment("Wait started", wait.createdAt, ago),
      isActive ? moment("Next request", wait.nextAt, nextRequest) : null,
      isActive ? moment("Expected end", wait.endAt, left) : null,
      isActive ? moment("Deadline", wait.deadlineAt, until) : null,
      moment("Finished", wait.finishedAt, ago),
      fact("Took", wait.seconds === null ? "" : duration(wait.seconds * 1000)),
    ];
    this.#facts.replaceChildren(...facts.filter(one => one !== null));
    this.tick();
  }

  #showCommands(wait) {
    const commands = waitCommands(wait);
    // The same commands stay, so that the focus does.
    const text = JSON.stringify(commands);
    if (this.#shownCommands === text) return;
    this.#shownCommands = text;
    this.#commands.replaceChildren(...commands.map(([label, line]) => commandElement(label, line)));
  }

  #showJson(status) {
    const text = JSON.stringify(status, null, 2);
    // Line breaks are those of the JSON. Other invisible characters are shown as escape sequences.
    const shown = text.slice(0, MAX_JSON).split("\n").map(line => clean(line, MAX_JSON)).join("\n");
    const rest = text.length - MAX_JSON;
    setText(this.#json, rest > 0 ? `${shown}\n… (${number(rest)} more characters)` : shown);
  }

  async #readTimeline() {
    const { signal } = this.#controller;
    try {
      const response = await request(`${this.#path}/timeline.svg`, { signal, accept: "image/svg+xml" });
      // An image cannot run scripts or load anything.
      const url = URL.createObjectURL(new Blob([await response.blob()], { type: "image/svg+xml" }));
      if (signal.aborted) {
        URL.revokeObjectURL(url);
        return;
      }
      const image = el("img", { src: url, alt: `Timeline of job ${clean(this.job, 160)}` });
      await image.decode().catch(() => {});
      this.#figure.replaceChildren(image);
      if (this.#imageUrl) URL.revokeObjectURL(this.#imageUrl);
      this.#imageUrl = url;
    } catch (error) {
      if (error.status !== 404) throw error;
      this.#figure.replaceChildren(el("p", { class: "faint" }, "No timeline: the job was never read."));
    }
  }

  async #readNotices() {
    const { signal } = this.#controller;
    const { notifications = [] } = await requestJson(`${this.#path}/notifications`, { signal });
    const notices = notifications.slice(0, MAX_NOTICES).map(toNotice);
    this.#notices.replaceChildren(notices.length === 0
      ? el("p", { class: "faint" }, "None.")
      : el("ul", { class: "notices" }, ...notices.map(noticeElement)));
  }
}

const NOTICE_KINDS = { failed: "failed", delivered: "success" };

function noticeElement(notice) {
  const tries = plural(notice.tries, "try", "tries");
  const next = notice.nextAt === null ? "" : `, the next at ${localTime(notice.nextAt)}`;
  return el("li", {},
    foreign("span", {}, notice.receiver || "–"), " ",
    el("span", { class: "badge", "data-kind": NOTICE_KINDS[notice.state] ?? "active" }, noticeState(notice)), " ",
    el("span", { class: "faint" }, tries + next),
    foreign("div", { class: "long" }, notice.error),
    notice.state === "delivered" ? null : commandElement("Send again", retryCommand(notice.id)));
}
