// The fragment of the address, which names the wait that is open.

/** Returns the link to the view of a wait. */
export function hrefOf({ project, job }) {
  return `#/${encodeURIComponent(project)}/${encodeURIComponent(job)}`;
}

/** Returns the project and the job in the fragment of the address, or `null` if it names none. */
export function parseHash(hash) {
  const parts = /^#\/([^/]+)\/([^/]+)$/.exec(hash);
  if (parts === null) return null;
  try {
    return { project: decodeURIComponent(parts[1]), job: decodeURIComponent(parts[2]) };
  } catch {
    return null; // not encoded by this page
  }
}
