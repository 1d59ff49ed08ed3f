// The bar with the state of the connection, and the notice that the data are old.

import { store } from "../data/store.js";
import { duration } from "../format.js";
import { $, setAttribute, setText } from "./dom.js";

const STATES = {
  none: "", connecting: "Connecting", live: "Live", waiting: "Disconnected", refused: "Token refused",
};

/** Shows the state of the connection. */
export function renderBar(connection) {
  const { state } = connection;
  const at = Date.now();
  $("connection").hidden = state === "none";
  setAttribute($("connection"), "data-state", state);
  setText($("connection-text"), STATES[state]);
  const delay = Math.ceil((connection.retryAt - at) / 1000) * 1000;
  setText($("connection-detail"), state === "waiting" ? `reconnecting in ${duration(delay)}` : "");
  $("reconnect").hidden = state !== "waiting";
  const isStale = connection.isDown && store.summary !== null;
  $("stale").hidden = !isStale;
  if (isStale) {
    setText($("stale"), `Not connected: ${connection.problem}. The data are ${duration(at - connection.dataAt)} old.`);
  }
}
