// The short records of waits and notifications, made from the JSON of the API, and what follows from a record.

import { clean, duration, parseTime } from "../format.js";

/** How long an attempt is due before its wait is overdue, as in the server. */
const OVERDUE_MS = 120_000;

function splitKey(key) {
  const at = String(key).indexOf(":");
  return [key.slice(0, at), key.slice(at + 1)];
}

/** Returns the short record of a wait. Its report and its document are not kept. */
export function toWait(status) {
  const [project, job] = splitKey(status.key);
  const { active, result } = status;
  const report = result?.report ?? {};
  const progress = active?.progress;
  const failures = report.failures?.reasons ?? [];
  const path = report.failure?.job_types ?? [];
  const reason = report.failure?.reason ?? failures.find(one => one.reason)?.reason ?? report.error ?? "";
  const outcome = result ? clean(result.outcome, 60) : null;
  return {
    key: status.key, project, job, number: status.number,
    state: clean(status.state, 30),
    createdAt: parseTime(status.created_at),
    beganAt: parseTime(active?.began_at),
    type: clean(active?.job_type ?? report.type, 80),
    name: clean(active?.name ?? report.name, 160),
    phase: clean(active?.phase ?? report.phase, 60),
    done: progress?.success ?? null,
    failedSteps: progress?.failed ?? 0,
    total: progress?.total ?? null,
    attempts: active?.attempts ?? report.attempts ?? null,
    isInFlight: Boolean(active?.is_in_flight),
    nextAt: parseTime(active?.next_attempt_at),
    endAt: parseTime(active?.expected_end_at),
    deadlineAt: parseTime(active?.deadline_at),
    error: clean(active?.last_error),
    outcome,
    isFailed: outcome !== null && !result.is_success,
    step: clean(path.slice(1).join(" > "), 160),
    reason: clean(reason),
    seconds: report.duration ?? report.elapsed ?? null,
    finishedAt: parseTime(result?.finished_at),
  };
}

/** Returns the short record of a notification. */
export function toNotice(status) {
  const [project, job] = splitKey(status.key);
  return {
    id: String(status.id), key: status.key, project, job,
    receiver: clean(status.receiver ?? (status.queue ? `queue ${status.queue}` : ""), 200),
    state: clean(status.state, 30),
    tries: status.tries ?? null,
    error: clean(status.last_error),
    nextAt: parseTime(status.next_try_at),
  };
}

/** Returns whether an attempt of a wait has been due for long. */
export function isOverdue(wait, now) {
  if (wait.outcome !== null || wait.nextAt === null || wait.state === "paused") return false;
  return wait.nextAt < now - OVERDUE_MS;
}

/** Returns whether a wait has finished with a success. */
export const isSuccess = wait => wait.outcome !== null && !wait.isFailed;

/** Returns when a job was created or, if that is unknown, when the wait for it began. */
export const startedAt = wait => wait.beganAt ?? wait.createdAt;

/** Returns whether a user has canceled a wait. The server counts it with the waits that stopped early. */
export const isCanceled = wait => wait.outcome === "stopped";

/** Returns the outcome of a finished wait in words. */
export const outcomeText = wait => isCanceled(wait) ? "canceled" : wait.outcome.replaceAll("_", " ");

/** Returns how many steps of a job have succeeded and failed, such as `3/9, 1 failed`. */
export function stepsText(wait, separator) {
  if (!(wait.total > 0)) return "";
  const failed = wait.failedSteps > 0 ? `, ${wait.failedSteps} failed` : "";
  return `${wait.done}${separator}${wait.total}${failed}`;
}

/**
 * Returns the kind of an outcome. A failed job is red. A wait that stopped before the job ended is amber, or
 * grey if a user has canceled it.
 */
export function outcomeKind(wait) {
  if (wait.outcome === null) {
    return wait.state === "paused" ? "paused" : wait.state === "unreadable" ? "stopped" : "active";
  }
  if (!wait.isFailed) return "success";
  return wait.state === "ended" ? "failed" : isCanceled(wait) ? "canceled" : "stopped";
}

/** Returns why a job or a wait has failed. */
export function reasonText(wait) {
  const text = [wait.step, wait.reason].filter(Boolean).join(": ");
  return text || (wait.isFailed && !isCanceled(wait) ? "no reason given" : "");
}

/** Returns when the next request of a wait is due, relative to `now`, as text and kind. */
export function nextRequest(ms, now, wait) {
  if (wait.isInFlight) return { text: "in flight", kind: "flight" };
  if (wait.state === "paused") return { text: "paused", kind: "faint" };
  if (isOverdue(wait, now)) return { text: `${duration(now - ms)} late`, kind: "late" };
  return ms > now ? { text: `in ${duration(ms - now)}` } : { text: "due" };
}

/** Returns the state of a notification in words. */
export const noticeState = notice => notice.state === "failed" ? "given up" : notice.state;
