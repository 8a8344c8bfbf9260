// Ask for an API key where it is first needed.
import { useFocusHandover } from "../lib/focus.js";
import { keyOf, onKeyChange, setKey } from "../lib/session.js";
import { html, useLayoutEffect, useState } from "../lib/view.js";

const WHY = {
  predict: "Predictions have a key of their own, so that clients who predict can do nothing else.",
  label: "Labels have a key of their own, so that only those who know the truth can report it.",
};

export function useKey(purpose) {
  const [key, change] = useState(keyOf(purpose));
  useLayoutEffect(() => onKeyChange(() => change(keyOf(purpose))), [purpose]);
  return key;
}

export function KeyForm({ purpose, refusal }) {
  const form = useFocusHandover();
  const save = (event) => {
    event.preventDefault();
    const value = new FormData(event.target).get("key").trim();
    if (value) setKey(purpose, value);
  };
  const id = `key-${purpose}`;
  return html`<form ref=${form} class="key-form" onSubmit=${save}>
    <label for=${id}>The ${purpose} key</label>
    <p class="muted" id=${`${id}-why`}>${WHY[purpose]} <code>refit status</code> shows it.</p>
    ${refusal && html`<p class="bad-text" role="alert">${refusal}</p>`}
    <div class="row">
      <input
        id=${id}
        name="key"
        type="password"
        autocomplete="off"
        spellcheck="false"
        required
        aria-describedby=${`${id}-why`}
      />
      <button class="primary" type="submit">Use this key</button>
    </div>
  </form>`;
}
