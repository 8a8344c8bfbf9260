// Changes that a screen reader is told of, and short notices at the lower edge of the page.
import { html, useEffect, useLayoutEffect, useState } from "../lib/view.js";

const SHOWN_MS = 8_000;
const listeners = new Set();

export function announce(text, isShown = false) {
  listeners.forEach((listener) => listener({ text, isShown }));
}

export function Announcer() {
  const [notice, setNotice] = useState(null);
  useLayoutEffect(() => {
    listeners.add(setNotice);
    return () => listeners.delete(setNotice);
  }, []);
  useEffect(() => {
    if (notice === null) return undefined;
    const timer = setTimeout(() => setNotice(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return html`<div aria-live="polite" class=${notice?.isShown ? "notice" : "hidden"}>
    ${notice?.text}
  </div>`;
}
