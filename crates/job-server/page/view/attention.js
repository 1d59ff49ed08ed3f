// The cards about what needs attention.

import { isCanceled, isOverdue, noticeState, reasonText } from "../data/records.js";
import { store } from "../data/store.js";
import { clean, duration, number, plural } from "../format.js";
import { $, el, foreign, setText } from "./dom.js";
import { filter } from "./filter.js";
import { hrefOf } from "./route.js";

/** Maximum number of items of a card. */
const MAX_ITEMS = 3;

/** The cards that are shown, without their times. */
let shownCards = "[]";

/** Shows the newest failures, the waits that are overdue the longest, and what was not delivered. */
export function renderAttention(now) {
  // The tables of the other states show the same.
  $("attention").hidden = filter.state !== "active";
  const cards = [failedCard(now), overdueCard(now), undeliveredCard()].filter(card => card.items.length > 0);
  // The cards are built again only if more than their times changed, so that the focus stays.
  const text = JSON.stringify(cards, (key, value) => key === "when" ? undefined : value);
  if (text !== shownCards) {
    shownCards = text;
    $("attention").replaceChildren(...cards.map(makeCard));
  }
  const spans = $("attention").querySelectorAll(".when");
  cards.flatMap(card => card.items).forEach((item, index) => setText(spans[index], item.when));
}

export function clearAttention() {
  shownCards = "[]";
  $("attention").replaceChildren();
}

function failedCard(now) {
  const { failed, stopped } = store.summary.waits;
  const first = firstWaits(wait => wait.isFailed && !isCanceled(wait), (one, other) => other.finishedAt - one.finishedAt);
  return {
    title: "Failed", kind: "bad", state: "failed", count: failed + stopped,
    items: first.map(wait => toItem(wait, `${duration(now - wait.finishedAt)} ago`, wait.type, reasonText(wait))),
  };
}

function overdueCard(now) {
  const first = firstWaits(wait => isOverdue(wait, now), (one, other) => one.nextAt - other.nextAt);
  return {
    title: "Overdue", kind: "late", state: "overdue", count: store.summary.waits.overdue,
    items: first.map(wait =>
      toItem(wait, `${duration(now - wait.nextAt)} late`, wait.type, wait.error || "no request was made")),
  };
}

function undeliveredCard() {
  const when = notice => notice.state === "failed" ? noticeState(notice) : plural(notice.tries, "try", "tries");
  return {
    title: "Not delivered", kind: "bad", state: "undelivered", count: store.undelivered.length,
    items: store.undelivered.slice(0, MAX_ITEMS)
      .map(notice => toItem(notice, when(notice), notice.receiver, notice.error)),
  };
}

/** Returns the first waits of an order, without sorting all of them. */
function firstWaits(isSelected, compare) {
  const first = [];
  for (const wait of store.waits.values()) {
    if (!isSelected(wait)) continue;
    let at = first.length;
    while (at > 0 && compare(wait, first[at - 1]) < 0) at -= 1;
    first.splice(at, 0, wait);
    if (first.length > MAX_ITEMS) first.pop();
  }
  return first;
}

function toItem(record, when, ...texts) {
  const name = record.name || store.waits.get(record.key)?.name || clean(record.job, 160);
  return { href: hrefOf(record), name, text: texts.filter(Boolean).join(" · "), when };
}

function makeCard({ title, kind, state, count, items }) {
  return el("div", { class: "card", "data-kind": kind },
    el("h2", {}, title),
    el("ul", {}, ...items.map(({ href, name, text }) => el("li", {},
      el("div", { class: "line" },
        foreign("a", { href, class: "name" }, name),
        el("span", { class: "when faint" })),
      foreign("div", { class: "long", title: text }, text)))),
    count > items.length
      ? el("button", { class: "quiet", type: "button", "data-state": state }, `Show all ${number(count)}`)
      : null);
}
