// The command lines that the page shows, because it changes nothing itself.

import { BASE } from "../data/api.js";
import { projectName } from "../data/store.js";
import { quote } from "../format.js";
import { el, setText } from "./dom.js";

const SERVER = `--server ${quote(BASE.href)}`;

/** Lists all waits. */
export const listCommand = `cce-job ls ${SERVER}`;

/** Returns the labels and the command lines for a wait. */
export function waitCommands(wait) {
  const options = `${quote(wait.job)} --project ${quote(projectName(wait.project))} ${SERVER}`;
  if (wait.outcome !== null) return [["Wait for the job again", `cce-job watch ${options}`]];
  return [
    ["Stop the wait; the job goes on", `cce-job cancel ${options}`],
    // The request has no timeout, so that the server keeps the later of the deadline and that of the default.
    ["Follow it in a terminal; the deadline is then at least 1h away", `cce-job watch --follow ${options}`],
  ];
}

/** Sends a notification again. */
export const retryCommand = id => `cce-job retry ${quote(id)} ${SERVER}`;

/** Returns a command line with its label and a button that copies it. */
export function commandElement(label, line) {
  const code = el("code", { dir: "ltr" }, line);
  const button = el("button", { class: "quiet", type: "button", "aria-label": `Copy: ${label}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(line);
      setText(button, "Copied");
    } catch {
      // Without https, a page has no clipboard.
      getSelection().selectAllChildren(code);
      setText(button, "Selected");
    }
    setTimeout(() => setText(button, "Copy"), 2_000);
  });
  return el("div", { class: "command" }, el("span", { class: "label" }, label), code, button);
}
