// A table that shows a part of a list.

import { now } from "../data/store.js";
import { el, setAttribute } from "./dom.js";

const classOf = column => `c-${column.id}${column.isNumber ? " number" : ""}`;

/** Shows items in a table. The row of an item is reused while the item is shown. */
export class TableView {
  #element;
  #head;
  #body;
  #onSort;
  #columns = null;
  /** The rows by the ids of their items. */
  #rows = new Map();

  /** `onSort` is called with a column if its header is clicked. Without it, headers are only texts. */
  constructor(element, onSort = null) {
    this.#element = element;
    this.#head = element.tHead;
    [this.#body] = element.tBodies;
    this.#onSort = onSort;
  }

  clear() {
    this.#rows.clear();
    this.#body.replaceChildren();
  }

  /** Shows the items, and only these. `sort` is the order that the headers state. */
  show({ name, columns }, items, { sort = null, idOf = item => item.key } = {}) {
    if (this.#columns !== columns) this.#setColumns(name, columns);
    if (sort !== null) this.#showSort(sort);
    const at = now();
    const shown = new Set(items.map(idOf));
    for (const [id, row] of this.#rows) {
      if (shown.has(id)) continue;
      row.tr.remove();
      this.#rows.delete(id);
    }
    let place = this.#body.firstChild;
    for (const item of items) {
      const id = idOf(item);
      const row = this.#rows.get(id) ?? this.#makeRow(id);
      this.#update(row, item, at);
      if (row.tr === place) place = place.nextSibling;
      else this.#body.insertBefore(row.tr, place);
    }
  }

  /** Updates the times only. */
  tick(at) {
    for (const { cells, item } of this.#rows.values()) {
      this.#columns.forEach((column, index) => {
        if (column.isLive) column.update(cells[index].parts, item, at);
      });
    }
  }

  #setColumns(name, columns) {
    this.#columns = columns;
    this.clear();
    this.#element.dataset.columns = name;
    this.#head.replaceChildren(el("tr", { role: "row" }, ...columns.map(column => {
      const label = this.#onSort ? el("button", { type: "button" }, column.label) : column.label;
      if (this.#onSort) label.addEventListener("click", () => this.#onSort(column));
      return el("th", { scope: "col", role: "columnheader", class: classOf(column) }, label);
    })));
  }

  #showSort(sort) {
    [...this.#head.rows[0].cells].forEach((cell, index) => {
      const direction = sort.isDescending ? "descending" : "ascending";
      setAttribute(cell, "aria-sort", this.#columns[index].id === sort.id ? direction : null);
    });
  }

  #makeRow(id) {
    const cells = this.#columns.map(column => {
      const cell = el(column.isHeader ? "th" : "td", {
        role: column.isHeader ? "rowheader" : "cell", scope: column.isHeader ? "row" : null,
        "data-label": column.label, class: classOf(column),
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
      if (column.isEmpty) cell.classList.toggle("empty", column.isEmpty(item));
    });
  }
}
