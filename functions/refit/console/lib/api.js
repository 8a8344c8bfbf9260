// Requests to the API. All paths are relative to the stage that serves this page.
import { keyOf } from "./session.js";

const ROOT = new URL("../../../", import.meta.url);
const TIMEOUT_MS = 35_000; // API Gateway ends an integration after 29 s

class ApiError extends Error {
  // status is 0 when no answer arrived. The code is null when the answer is none of Refit's.
  constructor(status, code, message, retryAfterS = null) {
    super(message);
    Object.assign(this, { status, code, retryAfterS });
  }

  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }

  // Every refusal of a Refit stack has a code. Without one, something else answers: the stack was
  // removed, or its address has changed.
  get isForeign() {
    return !this.isPassing && this.code === null;
  }

  get isAboutKey() {
    return !this.isForeign && (this.status === 401 || this.status === 403);
  }
}

const SIGNATURE =
  "This stack also requires requests that are signed with AWS credentials (ApiAuthorizer is " +
  "AWS_IAM). A page cannot sign requests: use the refit command.";

export function pathOf(...parts) {
  return parts.map(encodeURIComponent).join("/");
}

export async function get(path, query = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return send(url, { method: "GET" }, keyOf("operate"));
}

export async function post(path, body, purpose = "operate") {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const content = body === undefined ? undefined : JSON.stringify(body);
  return send(new URL(path, ROOT), { method: "POST", headers, body: content }, keyOf(purpose));
}

export async function tryKey(key) {
  const url = new URL("models", ROOT);
  url.searchParams.set("limit", "1");
  return send(url, { method: "GET" }, key);
}

async function send(url, options, key) {
  const headers = { ...options.headers, accept: "application/json", "x-api-key": key ?? "" };
  let response;
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    response = await fetch(url, { ...options, headers, signal, cache: "no-store" });
  } catch {
    throw new ApiError(0, "NoConnection", "The API cannot be reached.");
  }
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  const { code = null, message = response.statusText } = body?.error ?? {};
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  throw new ApiError(response.status, code, worded(response.status, code, message), retryAfter);
}

function worded(status, code, message) {
  if (code === "MISSING_AUTHENTICATION_TOKEN") return SIGNATURE;
  if (status === 429) return "Too many requests: the limit of the API key is reached.";
  if (status >= 500) return "The API has a problem at the moment.";
  if (code === null) {
    return (
      `No Refit stack answers at this address any more (status ${status}). It was removed, or has ` +
      "another address now: `refit status` prints it."
    );
  }
  if (code === "KeyNotAllowed") return "This key belongs to this stack, but does not open this route.";
  if (status === 401 || status === 403) return "This stack does not know this key.";
  return message;
}
