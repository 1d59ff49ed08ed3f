// The board: the summary, what needs attention, and the tables. It shows what is in the store.

import { MAX_FINISHED } from "../data/lists.js";
import { MAX_WAITS, now, store } from "../data/store.js";
import { number } from "../format.js";
import { clearAttention, renderAttention } from "./attention.js";
import { TABLES } from "./columns.js";
import { listCommand } from "./commands.js";
import { $, el, setText } from "./dom.js";
import { filter, selectedSort, selectedTable, selectedWaits, sortBy } from "./filter.js";
import { TableView } from "./table.js";
import { renderTiles } from "./tiles.js";

/** Number of rows of a table in the document. */
const PAGE_ROWS = 100;
/** Minimum time between two changes of the tables. */
const RENDER_MS = 1_000;

const waitsView = new TableView($("waits"), column => {
  sortBy(column);
  renderNow();
});
const noticesView = new TableView($("notifications"));

let renderTimer = null;
let renderedAt = 0;

/** The projects that the filter offers. */
let shownProjects = null;

/** Renders soon, and at most once a second. */
export function render() {
  renderTimer ??= setTimeout(renderNow, Math.max(0, renderedAt + RENDER_MS - Date.now()));
}

export function renderNow() {
  clearTimeout(renderTimer);
  renderTimer = null;
  renderedAt = Date.now();
  if (store.summary === null) return;
  const at = now();
  renderTiles();
  renderAttention(at);
  renderProjects();
  renderWaits(at);
  renderNotices();
}

/** Updates the times only. */
export function tick() {
  if ($("board").hidden) return;
  waitsView.tick(now());
  noticesView.tick(now());
}

/** Removes what was read from the document. */
export function clear() {
  waitsView.clear();
  noticesView.clear();
  clearAttention();
  shownProjects = null;
  $("filter-project").replaceChildren(el("option", { value: "" }, "All"));
}

function renderProjects() {
  // Until the projects are read, the filter stays.
  if (store.projects === shownProjects || store.projects.size === 0) return;
  shownProjects = store.projects;
  const select = $("filter-project");
  const names = [...store.projects].sort(([, one], [, other]) => one.localeCompare(other));
  select.replaceChildren(
    el("option", { value: "" }, "All"),
    ...names.map(([id, name]) => el("option", { value: id }, name)),
  );
  if (!store.projects.has(filter.project)) filter.project = "";
  select.value = filter.project;
}

function renderWaits(at) {
  const found = selectedWaits(at);
  const pages = Math.max(1, Math.ceil(found.length / PAGE_ROWS));
  filter.page = Math.min(filter.page, pages - 1);
  const start = filter.page * PAGE_ROWS;
  const shown = found.slice(start, start + PAGE_ROWS);
  waitsView.show(selectedTable(), shown, { sort: selectedSort() });
  setText($("count"), countText(start, shown.length, found.length));
  $("previous").disabled = filter.page === 0;
  $("next").disabled = filter.page >= pages - 1;
  $("previous").hidden = $("next").hidden = pages === 1;
  $("waits").hidden = found.length === 0;
  $("capped").hidden = !store.hasLeftOut;
  if (store.hasLeftOut) {
    setText($("capped"), `There are more waits than this page keeps (${number(MAX_WAITS)}, of them `
      + `${number(MAX_FINISHED)} finished). The summary counts all of them; ${listCommand} lists them.`);
  }
  if (shown.length > 0 && performance.getEntriesByName("first-rows").length === 0) {
    requestAnimationFrame(() => performance.mark("first-rows"));
  }
}

function countText(start, shown, found) {
  if (found === 0) return store.isLoading ? "Loading" : "No wait matches.";
  const range = `${number(start + 1)} to ${number(start + shown)} of ${number(found)}`;
  return store.isLoading ? `${range}, loading` : range;
}

function renderNotices() {
  const { undelivered } = store;
  const shown = undelivered.slice(0, PAGE_ROWS);
  $("undelivered").hidden = shown.length === 0;
  noticesView.show(TABLES.notices, shown, { idOf: notice => notice.id });
  $("undelivered-more").hidden = undelivered.length <= PAGE_ROWS;
  setText($("undelivered-more"), `${number(undelivered.length - shown.length)} more are not shown.`);
}
