// Requests to the API. The token is in the variable `token` of this module and nowhere else.

import { clean } from "../format.js";

let token = null;

export function setToken(value) {
  token = value;
}

export const hasToken = () => token !== null;

/** The server refused the token. */
export class TokenRefused extends Error {}
/** The server answered with an error, or broke the protocol. The message is for the user. */
export class ServerError extends Error {}

/** The address of the page. The API is relative to it, so that a proxy may add a path. */
export const BASE = new URL(".", location.href);
BASE.hash = BASE.search = "";

/** Sends a request with the token. Fails if the status is not a success. */
export async function request(path, { signal, accept = "application/json" } = {}) {
  const response = await fetch(new URL(path, BASE), {
    headers: { authorization: `Bearer ${token}`, accept },
    cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", signal,
  });
  if (response.ok) return response;
  if (response.status === 401) throw new TokenRefused("the server refused the token");
  let problem = {};
  try { problem = JSON.parse((await response.text()).slice(0, 10_000)); } catch { /* not a problem document */ }
  const detail = clean(problem.detail ?? problem.title ?? response.statusText, 300);
  const error = new ServerError(`the server answered ${response.status}${detail ? `: ${detail}` : ""}`);
  error.status = response.status;
  throw error;
}

/** Sends a request with the token, and returns the JSON of the reply. */
export async function requestJson(path, options) {
  return (await request(path, options)).json();
}

/** Returns the cause of an error as a fragment of a sentence. */
export function causeOf(error) {
  const hasMessage = error instanceof TokenRefused || error instanceof ServerError;
  return hasMessage ? error.message : "the server cannot be reached";
}

/** Returns the cause of an error as a sentence. */
export function sentence(error) {
  const cause = causeOf(error);
  return `${cause[0].toUpperCase()}${cause.slice(1)}.`;
}
