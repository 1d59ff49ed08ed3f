// The status page. It reads the API and changes nothing.
//
// This module connects the others: the form for the token, the controls and the clock. Modules of `data` read
// the server and know nothing of the document. Modules of `view` show what is in the store.
//
// - The token is in the variable `token` of `data/api.js` and nowhere else.
// - Texts of the server are shown only through `textContent`, after `clean`.
// - Memory is bounded: at most MAX_WAITS short records of waits, and PAGE_ROWS rows of a table.

import { TokenRefused, requestJson, sentence, setToken } from "./data/api.js";
import { Connection } from "./data/connection.js";
import { clearStore, setSummary, subscribe } from "./data/store.js";
import { renderBar } from "./view/bar.js";
import * as board from "./view/board.js";
import * as detail from "./view/detail.js";
import { $, setText } from "./view/dom.js";
import { filter } from "./view/filter.js";

/** Delay between the last key and the change of the table. */
const TYPING_MS = 150;

const connection = new Connection({
  onState: tick,
  onWait: detail.handleWait,
  onLists: detail.readAgain,
  onRefused: refuse,
});

/** Runs every second, and when the state of the connection changes. */
function tick() {
  renderBar(connection);
  if (document.hidden) return;
  board.tick();
  detail.tick();
}

// ---------------------------------------------------------------------------------------- the token

/** Checks a token and, if it is valid, shows the board. */
async function signIn(token) {
  setText($("login-error"), "");
  if (!/^[\x21-\x7e]+$/.test(token)) {
    setText($("login-error"), "A token has only letters, digits and punctuation, without spaces.");
    return;
  }
  $("login-button").disabled = true;
  setToken(token);
  try {
    setSummary(await requestJson("api/v1/summary"));
  } catch (error) {
    setToken(null);
    if (error instanceof TokenRefused) connection.close("refused");
    setText($("login-error"), error instanceof TokenRefused ? "The server refused this token." : sentence(error));
    $("token").select();
    return;
  } finally {
    $("login-button").disabled = false;
  }
  $("token").value = "";
  $("login").hidden = true;
  $("board").hidden = $("forget").hidden = false;
  board.renderNow();
  connection.open();
  detail.followHash();
}

/** Drops the token and everything that was read, and shows the form again. */
function forget(state) {
  setToken(null);
  clearStore();
  board.clear();
  $("detail").close();
  $("board").hidden = $("forget").hidden = true;
  $("login").hidden = false;
  connection.close(state);
  $("token").focus();
}

function refuse() {
  forget("refused");
  setText($("login-error"), "The server refused this token. It may have been replaced; the state folder of the "
    + "server has the current one.");
}

$("login-form").addEventListener("submit", event => {
  event.preventDefault();
  signIn($("token").value.trim());
});
$("forget").addEventListener("click", () => forget("none"));

// ---------------------------------------------------------------------------------------- the board

/** Shows the waits in a state, or the notifications that were not delivered. */
function showState(state) {
  if (state === "undelivered") {
    $("undelivered").scrollIntoView({ block: "start" });
    $("undelivered").focus({ preventScroll: true });
    return;
  }
  Object.assign(filter, { state, page: 0, sort: null });
  $("filter-state").value = state;
  connection.setFinishedShown(state === "finished");
  board.renderNow();
}

// The tiles, and the buttons that show all items of a card.
$("board").addEventListener("click", event => {
  const button = event.target.closest("button[data-state]");
  if (button) showState(button.dataset.state);
});

$("filters").addEventListener("submit", event => event.preventDefault());
$("filter-state").addEventListener("change", event => showState(event.target.value));
$("filter-project").addEventListener("change", event => {
  Object.assign(filter, { project: event.target.value, page: 0 });
  board.renderNow();
});
let typingTimer = null;
$("filter-text").addEventListener("input", event => {
  clearTimeout(typingTimer);
  typingTimer = setTimeout(() => {
    Object.assign(filter, { text: event.target.value.trim(), page: 0 });
    board.renderNow();
  }, TYPING_MS);
});

for (const [id, step] of [["previous", -1], ["next", 1]]) {
  $(id).addEventListener("click", () => {
    filter.page += step;
    board.renderNow();
    $("waits-title").scrollIntoView({ block: "start" });
  });
}

// ---------------------------------------------------------------------------------------- one wait

/** Closes the view at once. The event `close` comes later, when another wait may be open. */
function closeDetail() {
  detail.dropDetail();
  $("detail").close();
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
}

$("detail-close").addEventListener("click", closeDetail);
// A click beside the dialog closes it.
$("detail").addEventListener("click", event => {
  if (event.target === $("detail")) closeDetail();
});
// The Escape key closes the dialog, but not the view.
$("detail").addEventListener("close", () => {
  if (detail.isOpen() && !$("detail").open) closeDetail();
});
addEventListener("hashchange", detail.followHash);

// ---------------------------------------------------------------------------------------- the clock

subscribe(isUrgent => isUrgent ? board.renderNow() : board.render());
$("reconnect").addEventListener("click", () => connection.open());
addEventListener("online", () => {
  if (connection.state === "waiting") connection.open();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  connection.tick();
  tick();
  board.render();
});
setInterval(() => {
  connection.tick();
  tick();
}, 1_000);
$("token").focus();
