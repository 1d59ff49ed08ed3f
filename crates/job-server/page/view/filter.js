// The filter of the waits, and their order.

import { isOverdue, outcomeText, reasonText } from "../data/records.js";
import { projectName, store } from "../data/store.js";
import { TABLES } from "./columns.js";

/** What the user has selected. Without a `sort`, the order is that of the state. */
export const filter = { state: "active", project: "", text: "", page: 0, sort: null };

const STATES = {
  active: wait => wait.outcome === null,
  overdue: isOverdue,
  paused: wait => wait.outcome === null && wait.state === "paused",
  failed: wait => wait.isFailed,
  finished: wait => wait.outcome !== null,
};
const FINISHED_STATES = ["failed", "finished"];

const DEFAULT_SORTS = {
  active: { id: "age", isDescending: true },
  finished: { id: "finished", isDescending: true },
};

/** Returns the table for the selected state. */
export const selectedTable = () => FINISHED_STATES.includes(filter.state) ? TABLES.finished : TABLES.active;

/** Returns the selected order. */
export const selectedSort = () => filter.sort ?? DEFAULT_SORTS[selectedTable().name];

/** Sorts by a column or, if it is the selected one, in the other direction. */
export function sortBy(column) {
  const sort = selectedSort();
  filter.sort = { id: column.id, isDescending: sort.id === column.id && !sort.isDescending };
  filter.page = 0;
}

/** Returns the waits that the filter selects, sorted. */
export function selectedWaits(now) {
  const isInState = STATES[filter.state];
  const text = filter.text.toLowerCase();
  const has = value => value !== null && value.toLowerCase().includes(text);
  const hasText = wait => !text || has(wait.job) || has(wait.name) || has(wait.type) || has(wait.phase)
    || has(wait.error) || has(reasonText(wait)) || has(projectName(wait.project))
    || (wait.outcome !== null && has(outcomeText(wait)));
  const found = [...store.waits.values()].filter(wait =>
    isInState(wait, now) && (!filter.project || wait.project === filter.project) && hasText(wait));
  const sort = selectedSort();
  const { columns } = selectedTable();
  const column = columns.find(one => one.id === sort.id) ?? columns[0];
  const values = new Map(found.map(wait => [wait, column.compare(wait)]));
  const order = sort.isDescending ? -1 : 1;
  const compare = (one, other) => one < other ? -1 : one > other ? 1 : 0;
  return found.sort((one, other) =>
    order * compare(values.get(one), values.get(other)) || compare(one.key, other.key));
}
