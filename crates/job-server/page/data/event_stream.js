// The parser of server-sent events.

import { ServerError } from "./api.js";

/** Maximum length of one event. A job has at most 8 MiB. */
const MAX_EVENT = 12 << 20;

/** Parses server-sent events. Memory is bounded: a larger event is an error. */
export class EventParser {
  #handle;
  #pieces = [];
  #data = [];
  #name = "";
  #size = 0;

  /** The parser calls `handle` with the name and the data of each event. */
  constructor(handle) {
    this.#handle = handle;
  }

  /** Parses the next part of the stream. It may end anywhere in a line. */
  push(text) {
    let start = 0;
    for (let end; (end = text.indexOf("\n", start)) >= 0; start = end + 1) {
      this.#add(text.slice(start, end));
      const line = this.#pieces.join("").replace(/\r$/, "");
      this.#pieces = [];
      this.#parseLine(line);
    }
    this.#add(text.slice(start));
  }

  #add(piece) {
    this.#size += piece.length;
    if (this.#size > MAX_EVENT) throw new ServerError("the server sent an event that is too large");
    if (piece) this.#pieces.push(piece);
  }

  #parseLine(line) {
    if (line === "") {
      const [name, data] = [this.#name || "message", this.#data.join("\n")];
      this.#data = [];
      this.#name = "";
      this.#size = 0;
      if (data) this.#handle(name, data);
    } else if (line.startsWith(":")) {
      this.#size -= line.length;
    } else {
      const at = line.indexOf(":");
      const field = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
      if (field === "event") this.#name = value;
      if (field === "data") this.#data.push(value);
    }
  }
}
