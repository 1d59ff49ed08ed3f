// The connection to the server: a stream of events that is opened again when it breaks. Events and lists go
// into the store.

import { ServerError, TokenRefused, causeOf, request } from "./api.js";
import { EventParser } from "./event_stream.js";
import { handleWait, readFinished, readLists, readUndelivered, setFinishedShown, stopReading } from "./lists.js";
import { toWait } from "./records.js";
import { setSummary, store } from "./store.js";

/** The server sends a comment every 15 s. After this time without a byte, the connection is lost. */
const SILENCE_MS = 40_000;
/** Delays before a connection is opened again. The last one repeats. */
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
/** Time after which the lists are read again, because no event reports that a wait was deleted. */
const LIST_MS = 15 * 60_000;

/** The connection to the server. There is one, which is opened many times. */
export class Connection {
  /** `none`, `connecting`, `live`, `waiting` (until it is opened again) or `refused`. */
  state = "none";
  /** Why the last connection ended. */
  problem = "";
  /** When the connection is opened again, if it is `waiting`. */
  retryAt = 0;
  /** When the last byte of a stream arrived. */
  dataAt = 0;

  #handlers;
  /** The controller of the current stream. It ends the stream and the requests that belong to it. */
  #stream = null;
  /** Number of connections in a row that ended before the lists were read. */
  #retries = 0;
  /** When the last byte arrived, or the connection was opened. */
  #lastByteAt = 0;
  /** When the lists were read. */
  #listedAt = 0;

  /**
   * The connection calls `handlers.onState()` after a change of its state, `handlers.onWait(status)` for each
   * wait that changed, `handlers.onLists()` after the lists were read, and `handlers.onRefused()` if the server
   * refuses the token.
   */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Whether a connection was lost, and is not live again. */
  get isDown() {
    return this.state === "waiting" || (this.state === "connecting" && this.#retries > 0);
  }

  /** Opens the stream of events, reads the lists, and stays until the stream ends. */
  async open() {
    this.#stream?.abort();
    const controller = this.#stream = new AbortController();
    const { signal } = controller;
    this.#lastByteAt = Date.now();
    this.#setState("connecting");
    try {
      const response = await request("api/v1/events", { signal, accept: "text/event-stream" });
      const parser = new EventParser((name, data) => this.#handleEvent(name, data, controller));
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      // Events that arrive while the lists are read are newer than the lists.
      const lists = this.#readLists(controller);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        this.#lastByteAt = this.dataAt = Date.now();
        parser.push(decoder.decode(value, { stream: true }));
      }
      await lists;
      throw new ServerError("the server closed the connection");
    } catch (error) {
      if (this.#stream !== controller) return;
      controller.abort();
      const { reason } = signal;
      const cause = reason instanceof Error && reason.name !== "AbortError" ? reason : error;
      if (cause instanceof TokenRefused) this.#handlers.onRefused();
      else this.#retryLater(cause);
    }
  }

  #retryLater(error) {
    this.problem = causeOf(error);
    const delay = RETRY_MS[Math.min(this.#retries, RETRY_MS.length - 1)];
    this.#retries += 1;
    // Pages that lost the same server do not return at the same moment.
    this.retryAt = Date.now() + delay * (0.75 + Math.random() / 2);
    this.#setState("waiting");
  }

  /** Ends the connection. It is not opened again by itself. */
  close(state) {
    this.#stream?.abort();
    this.#stream = null;
    this.#retries = 0;
    stopReading();
    this.#setState(state);
  }

  /** Acts on the time: opens a lost connection again, ends a silent one, and reads old lists again. */
  tick() {
    const at = Date.now();
    if (this.state === "waiting" && at >= this.retryAt) {
      this.open();
      return;
    }
    if ((this.state === "live" || this.state === "connecting") && at - this.#lastByteAt > SILENCE_MS) {
      this.#stream?.abort(new ServerError("the server has sent nothing for 40 s"));
    }
    if (this.state === "live" && !store.isLoading && this.#listedAt && at - this.#listedAt > LIST_MS) {
      this.#listedAt = at;
      this.#readLists(this.#stream);
    }
  }

  /** Sets whether the page shows waits that have succeeded. They are read only if it does. */
  setFinishedShown(isShown) {
    setFinishedShown(isShown);
    if (isShown && this.#stream) readFinished(this.#stream.signal);
  }

  #setState(state) {
    this.state = state;
    this.#handlers.onState();
  }

  #handleEvent(name, data, controller) {
    if (name === "summary") {
      const before = store.summary?.notifications;
      setSummary(JSON.parse(data));
      const after = store.summary.notifications;
      const hasChanged = before && (before.failed !== after.failed || before.retrying !== after.retrying);
      if (hasChanged) this.#readUndelivered(controller);
      if (this.state !== "live") this.#setState("live");
    } else if (name === "wait") {
      const status = JSON.parse(data);
      handleWait(toWait(status));
      this.#handlers.onWait(status);
    } else if (name === "reset") {
      this.#readLists(controller);
    }
  }

  /** Reads the lists. An error ends the connection. */
  async #readLists(controller) {
    try {
      if (!await readLists(controller.signal)) return;
      this.#listedAt = Date.now();
      // Not at the first event, so that a server whose lists fail is not asked every second.
      this.#retries = 0;
      this.#handlers.onLists();
      await this.#readUndelivered(controller);
    } catch (error) {
      controller.abort(error);
    }
  }

  /** Reads the notifications that were not delivered. Errors are ignored, unless the token is refused. */
  async #readUndelivered(controller) {
    try {
      await readUndelivered(controller.signal);
    } catch (error) {
      if (error instanceof TokenRefused && !controller.signal.aborted) controller.abort(error);
    }
  }
}
