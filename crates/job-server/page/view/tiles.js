// The tiles of the summary.

import { store } from "../data/store.js";
import { duration, number } from "../format.js";
import { $, setAttribute, setText } from "./dom.js";
import { filter } from "./filter.js";

/** Shows the summary. */
export function renderTiles() {
  const { waits, notifications, budget } = store.summary;
  const failed = waits.failed + waits.stopped;
  // The first try of a notification is not a problem, even if it takes long.
  const undelivered = notifications.retrying + notifications.failed;
  const tiles = {
    active: { count: waits.active, more: `${number(waits.succeeded)} have succeeded`, kind: null },
    overdue: {
      count: waits.overdue,
      more: waits.overdue ? "late requests" : "no request is late",
      kind: waits.overdue ? "late" : null,
    },
    failed: {
      count: failed,
      more: waits.stopped
        ? `${number(waits.stopped)} stopped or canceled`
        : failed ? "the jobs failed" : "none has failed",
      kind: waits.failed ? "bad" : failed ? "late" : null,
    },
    paused: {
      count: waits.paused,
      more: waits.paused ? "in paused projects" : "no project is paused",
      kind: null,
    },
    undelivered: {
      count: undelivered,
      more: notifications.failed
        ? `${number(notifications.failed)} given up`
        : undelivered ? "tried again" : notifications.pending ? "none has failed" : "all delivered",
      kind: notifications.failed ? "bad" : null,
    },
  };
  for (const tile of document.querySelectorAll(".tile")) {
    const { state } = tile.dataset;
    const { count, more, kind } = tiles[state];
    setText(tile.querySelector(".count"), number(count));
    setText(tile.querySelector(".more"), more);
    setAttribute(tile, "data-kind", kind);
    setAttribute(tile, "aria-pressed", state === "undelivered" ? null : String(state === filter.state));
  }
  setText($("budget-rate"), `${number(budget.requests_per_second)} requests/s`);
  setText($("budget-flight"), number(budget.in_flight));
  setText($("budget-queued"), number(budget.queued));
  const isThrottled = budget.throttled_for > 0;
  setText($("budget-throttled"), isThrottled ? `for ${duration(Math.ceil(budget.throttled_for) * 1000)}` : "no");
  setAttribute($("budget-throttled"), "class", isThrottled ? "late" : null);
}
