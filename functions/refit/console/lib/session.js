// The API keys, in the session storage of this tab only. They are gone when the tab is closed.
const PREFIX = "refit-key-";
const memory = new Map(); // used where session storage is disabled
const listeners = new Set();

const PURPOSES = ["operate", "predict", "label"];

export function keyOf(purpose) {
  try {
    return sessionStorage.getItem(PREFIX + purpose);
  } catch {
    return memory.get(purpose) ?? null;
  }
}

export function setKey(purpose, value) {
  try {
    if (value === null) sessionStorage.removeItem(PREFIX + purpose);
    else sessionStorage.setItem(PREFIX + purpose, value);
  } catch {
    if (value === null) memory.delete(purpose);
    else memory.set(purpose, value);
  }
  listeners.forEach((listener) => listener());
}

export function signOut() {
  PURPOSES.forEach((purpose) => setKey(purpose, null));
}

export function onKeyChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
