// The columns of the tables.
//
// A column has these fields:
// - `id` and `label`: a part of the class of its cells, and the text of its header.
// - `make(cell)`: fills a new cell. `update(parts, item, now)`: shows an item in the children of the cell.
// - `compare(item)`: the value by which the table is sorted.
// - `isHeader`: the cells are the headers of the rows. `isNumber`: they are aligned to the right.
// - `isLive`: the text depends on the time. `isEmpty(item)`: there is nothing to show.

import {
  nextRequest, noticeState, outcomeKind, outcomeText, reasonText, startedAt, stepsText,
} from "../data/records.js";
import { projectName, store } from "../data/store.js";
import { ago, clean, duration, left, localTime, number } from "../format.js";
import { el, foreign, setAttribute, setText } from "./dom.js";
import { hrefOf } from "./route.js";

const jobColumn = {
  id: "job", label: "Job", isHeader: true, compare: wait => wait.name || wait.job,
  make: cell => cell.append(foreign("a", { class: "name" }), foreign("span", { class: "id" })),
  update: ([link, id], item) => {
    // A notification has no name. Its wait does.
    const name = item.name ?? store.waits.get(item.key)?.name ?? "";
    const job = clean(item.job, 160);
    setText(link, name || job);
    setAttribute(link, "href", hrefOf(item));
    setText(id, name ? job : "");
  },
};

const textColumn = (id, label, read, options = {}) => ({
  id, label, compare: read, ...options,
  make: cell => cell.append(foreign("span")),
  update: ([span], item) => setText(span, read(item)),
});

/** A column with a long text: two lines are shown, and the whole is the title. */
const longColumn = (id, label, read) => ({
  id, label, compare: read, isEmpty: item => !read(item),
  make: cell => cell.append(foreign("span", { class: "long" })),
  update: ([span], item) => {
    const text = read(item);
    setText(span, text);
    setAttribute(span, "title", text || null);
  },
});

/** A column with a time that is shown relative to now. It changes every second. */
const timeColumn = (id, label, read, show, options = {}) => ({
  id, label, compare: item => read(item) ?? Infinity, isNumber: true, isLive: true, ...options,
  isEmpty: item => read(item) === null,
  make: cell => cell.append(el("time")),
  update: ([one], item, now) => {
    const ms = read(item);
    const { text, kind = null } = ms === null ? { text: "–" } : show(ms, now, item);
    setText(one, text);
    setAttribute(one, "class", kind);
    setAttribute(one, "datetime", ms === null ? null : new Date(ms).toISOString());
    setAttribute(one, "title", ms === null ? null : localTime(ms));
  },
});

const projectColumn = textColumn("project", "Project", item => projectName(item.project));
const typeColumn = textColumn("type", "Type", wait => wait.type || "–");

const phaseColumn = {
  id: "phase", label: "Phase", compare: wait => wait.phase,
  make: cell => cell.append(
    foreign("span", { class: "phase" }),
    el("progress", { max: 1, value: 0, hidden: true }),
    el("span", { class: "steps" }),
  ),
  update: ([phase, bar, steps], wait) => {
    const hasSteps = wait.total > 0;
    setText(phase, wait.state === "unreadable" ? "cannot be read" : wait.phase || "not read yet");
    setAttribute(phase, "data-phase", wait.phase || "none");
    bar.hidden = !hasSteps;
    if (hasSteps) {
      [bar.max, bar.value] = [wait.total, wait.done];
      setAttribute(bar, "aria-label", `${stepsText(wait, " of ")} steps`);
    }
    setText(steps, stepsText(wait, "/"));
  },
};

const outcomeColumn = {
  id: "outcome", label: "Outcome", compare: wait => wait.outcome ?? "",
  make: cell => cell.append(foreign("span", { class: "badge" })),
  update: ([badge], wait) => {
    setText(badge, wait.outcome === null ? wait.state : outcomeText(wait));
    setAttribute(badge, "data-kind", outcomeKind(wait));
  },
};

/** The columns of each kind of table. The names are in the style sheet. */
export const TABLES = {
  active: {
    name: "active",
    columns: [
      jobColumn,
      projectColumn,
      typeColumn,
      phaseColumn,
      timeColumn("age", "Age", startedAt, (ms, now) => ({ text: duration(now - ms) }), {
        compare: wait => -startedAt(wait),
      }),
      timeColumn("end", "Expected end", wait => wait.endAt, left),
      timeColumn("next", "Next request", wait => wait.nextAt, nextRequest),
      longColumn("error", "Last error", wait => wait.error),
    ],
  },
  finished: {
    name: "finished",
    columns: [
      jobColumn,
      projectColumn,
      typeColumn,
      outcomeColumn,
      longColumn("reason", "Reason", reasonText),
      textColumn("took", "Took", wait => wait.seconds === null ? "–" : duration(wait.seconds * 1000), {
        isNumber: true, compare: wait => wait.seconds ?? Infinity,
      }),
      timeColumn("finished", "Finished", wait => wait.finishedAt, ago),
    ],
  },
  notices: {
    name: "notices",
    columns: [
      jobColumn,
      projectColumn,
      textColumn("receiver", "Receiver", notice => notice.receiver || "–"),
      textColumn("state", "State", noticeState),
      textColumn("tries", "Tries", notice => number(notice.tries), { isNumber: true }),
      timeColumn("try", "Next try", notice => notice.nextAt, left),
      longColumn("error", "Last error", notice => notice.error),
    ],
  },
};
