// Live data: one poller for each path that a view shows.
import { get } from "./api.js";
import { useEffect, useLayoutEffect, useState } from "./view.js";

const FAST_MS = 2_000;
const SLOW_MS = 15_000;
const LONGEST_MS = 60_000;
const KEPT = 60;
const HURRY_MS = 30_000;

const pollers = new Map();
const connection = { lostSince: null, nextTryAt: null };
let hurryUntil = 0;
const connectionListeners = new Set();
let onRefusedKey = () => {};

export function whenKeyIsRefused(listener) {
  onRefusedKey = listener;
}

export function forgetAll() {
  pollers.forEach((poller) => poller.stop());
  pollers.clear();
  setConnection(null, null);
}

class Poller {
  constructor(path) {
    Object.assign(this, { path, data: null, error: null, loadedAt: null, failures: 0 });
    Object.assign(this, { text: null, timer: null, loading: false });
    Object.assign(this, { isFast: () => false, isFinal: () => false });
    this.listeners = new Set();
  }

  listen(listener) {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.poll();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.stop();
    };
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
  }

  async poll() {
    this.stop();
    if (this.loading || document.hidden || this.hasEnded()) return;
    this.loading = true;
    try {
      const data = await get(this.path);
      const text = JSON.stringify(data);
      const changed = text !== this.text || this.error !== null;
      Object.assign(this, { text, error: null, failures: 0, loadedAt: Date.now() });
      if (changed) this.data = data;
      setConnection(null, null);
      if (changed) this.notify();
    } catch (error) {
      this.failures += 1;
      this.error = error;
      if (error.isAboutKey) onRefusedKey(error);
      this.notify();
    } finally {
      this.loading = false;
    }
    if (this.listeners.size > 0 && !this.error?.isAboutKey && !this.hasEnded()) this.schedule();
  }

  hasEnded() {
    return this.data !== null && this.error === null && this.isFinal(this.data);
  }

  schedule() {
    const isFast = Date.now() < hurryUntil || (this.data !== null && this.isFast(this.data));
    let delay = isFast ? FAST_MS : SLOW_MS;
    if (this.failures > 0) {
      const backoff = Math.min(LONGEST_MS, FAST_MS * 2 ** (this.failures - 1));
      delay = Math.max(backoff * (0.75 + Math.random() / 2), (this.error.retryAfterS ?? 0) * 1000);
      if (this.error.isPassing || this.error.isForeign) {
        setConnection(connection.lostSince ?? Date.now(), Date.now() + delay);
      } else {
        setConnection(null, null); // it was refused, so the API answers
      }
    }
    this.timer = setTimeout(() => this.poll(), delay);
  }

  notify() {
    this.listeners.forEach((listener) => listener());
  }
}

function setConnection(lostSince, nextTryAt) {
  if (connection.lostSince === lostSince && connection.nextTryAt === nextTryAt) return;
  Object.assign(connection, { lostSince, nextTryAt });
  connectionListeners.forEach((listener) => listener());
}

function pollerOf(path) {
  let poller = pollers.get(path);
  if (poller === undefined) {
    poller = new Poller(path);
    pollers.set(path, poller);
    for (const [other, candidate] of pollers) {
      if (pollers.size <= KEPT) break;
      if (candidate.listeners.size === 0 && candidate !== poller) pollers.delete(other);
    }
  }
  return poller;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  pollers.forEach((poller) => poller.listeners.size > 0 && poller.poll());
});
addEventListener("online", () => refreshAll());

// After an action: ask at once, and often for a while, until its effect shows.
export function hurry() {
  hurryUntil = Date.now() + HURRY_MS;
  refreshAll();
}

export function refreshAll() {
  pollers.forEach((poller) => {
    poller.failures = 0;
    if (poller.listeners.size > 0) poller.poll();
  });
}

// The newest answer of a path: {data, error, loadedAt}. It is polled while it is shown, until it is
// final.
export function useResource(path, isFast = () => false, isFinal = () => false) {
  const [, render] = useState(0);
  const poller = pollerOf(path);
  Object.assign(poller, { isFast, isFinal });
  const { data, error, loadedAt } = poller;
  useLayoutEffect(() => poller.listen(() => render((count) => count + 1)), [poller]);
  return { data, error, loadedAt };
}

// A list that is polled on its first page, and grows by `more`.
export function usePages(path, items, idOf, isFast) {
  const first = useResource(path, isFast);
  const [older, setOlder] = useState({ path, items: [], next: undefined });
  const [failure, setFailure] = useState(null);
  const own = older.path === path ? older : { path, items: [], next: undefined };
  const head = first.data ? items(first.data) : [];
  const known = new Set(head.map(idOf));
  const next = own.next === undefined ? (first.data?.next ?? null) : own.next;
  const more = async () => {
    try {
      const page = await get(path, { next });
      const merged = [...own.items, ...items(page)];
      setOlder({ path, items: merged, next: page.next ?? null });
      setFailure(null);
    } catch (error) {
      setFailure(error);
    }
  };
  const all = [...head, ...own.items.filter((item) => !known.has(idOf(item)))];
  return { ...first, items: all, more: next === null ? null : more, failure };
}

export function useConnection() {
  const [, render] = useState(0);
  useLayoutEffect(() => {
    const listener = () => render((count) => count + 1);
    connectionListeners.add(listener);
    return () => connectionListeners.delete(listener);
  }, []);
  return connection;
}

// The time now, for relative times; it renders again every few seconds.
export function useNow(everyMs = 5_000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
