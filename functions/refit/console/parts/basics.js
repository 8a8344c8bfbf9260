// Small parts that all views share.
import { ago, dateTime, until } from "../lib/format.js";
import { useNow } from "../lib/resource.js";
import { html, useLayoutEffect, useState } from "../lib/view.js";

export function Badge({ of, texts }) {
  const [text, tone] = texts[of] ?? [String(of), "quiet"];
  return html`<span class=${`badge ${tone}`}><span class="dot" aria-hidden="true"></span>${text}</span>`;
}

export function Ago({ at }) {
  const now = useNow();
  return html`<time datetime=${at} title=${dateTime(at)}>${ago(at, now)}</time>`;
}

// past: what to say once the moment is over.
export function Until({ at, past }) {
  const now = useNow();
  const isPast = new Date(at) <= now;
  return html`<time datetime=${at} title=${dateTime(at)}>${isPast ? past : until(at, now)}</time>`;
}

export function Card({ title, aside, children, id }) {
  const heading = title && html`<h2 id=${id}>${title}</h2>`;
  return html`<section class="card">
    ${(title || aside) && html`<header class="card-head">${heading}${aside}</header>`} ${children}
  </section>`;
}

export function Facts({ of }) {
  return html`<dl class="facts">
    ${of.map(
      ([name, value, note]) => html`<div key=${name}>
        <dt>${name}</dt>
        <dd>${value}${note && html`<span class="note">${note}</span>`}</dd>
      </div>`,
    )}
  </dl>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty">
    <p class="empty-title">${title}</p>
    <div class="muted">${children}</div>
  </div>`;
}

// Grey shapes in the place of what is being loaded, so that nothing moves when it arrives.
export function Skeleton({ lines = 3, height = 20 }) {
  return html`<div class="skeleton" role="status">
    <span class="hidden">Loading</span>
    ${Array.from(
      { length: lines },
      (_, line) => html`<div key=${line} class="bone" style=${{ height: `${height}px` }}></div>`,
    )}
  </div>`;
}

// The messages of the API name its routes, which is no help to a person at this page.
const MISSING = {
  ModelNotFound: "There is no model of this name. It may have been removed.",
  RunNotFound: "The model has no run of this name.",
};

export function Problem({ error }) {
  return html`<div class="problem" role="alert">
    <p class="problem-title">
      ${error.status === 404 && !error.isForeign ? "Not found" : "This could not be loaded"}
    </p>
    <p><${Text} of=${MISSING[error.code] ?? error.message} /></p>
    ${error.code === "ModelNotFound" && html`<p><a href="#/">All models</a></p>`}
  </div>`;
}

export function isShown({ data, error }) {
  return data !== null && (error === null || error.isPassing);
}

// Shows what was loaded; before that a skeleton, or why it could not be loaded. What was loaded
// stays during a failure that passes, but not when it was removed or is refused now.
export function Loaded({ resource, skeleton, children }) {
  if (isShown(resource)) return children(resource.data);
  if (resource.error !== null) return html`<${Problem} error=${resource.error} />`;
  return skeleton ?? html`<${Skeleton} />`;
}

// A text of the API: what stands in backticks, such as a command, is set as code.
export function Text({ of: text }) {
  return text.split("`").map((part, index) => (index % 2 === 0 ? part : html`<code>${part}</code>`));
}

// A table that scrolls by itself where it is too wide, also with the keyboard.
export function Scroll({ label, children }) {
  return html`<div class="scroll" role="region" aria-label=${label} tabindex="0">${children}</div>`;
}

export function More({ pages }) {
  if (pages.failure) return html`<${Problem} error=${pages.failure} />`;
  if (pages.more === null) return null;
  return html`<p class="more"><button type="button" onClick=${pages.more}>Show older</button></p>`;
}

export function useMedia(query) {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useLayoutEffect(() => {
    const media = matchMedia(query);
    const listener = () => setMatches(media.matches);
    media.addEventListener("change", listener);
    return () => media.removeEventListener("change", listener);
  }, [query]);
  return matches;
}
