// Sign in with the operate key.
import { tryKey } from "../lib/api.js";
import { setKey } from "../lib/session.js";
import { html, useLayoutEffect, useRef, useState } from "../lib/view.js";

export function SignIn({ refusal }) {
  const [state, setState] = useState({ isTrying: false, problem: refusal });
  const input = useRef(null);
  useLayoutEffect(() => input.current.focus(), []);
  const signIn = async (event) => {
    event.preventDefault();
    const key = new FormData(event.target).get("key").trim();
    if (key === "") return;
    setState({ isTrying: true, problem: null });
    try {
      await tryKey(key);
      setKey("operate", key);
    } catch (error) {
      setState({ isTrying: false, problem: error.message });
      input.current.select();
    }
  };
  return html`<main id="main" class="sign-in" tabindex="-1">
    <form class="card" onSubmit=${signIn}>
      <h1>Sign in to Refit</h1>
      <p class="muted">See what your models do and why, and operate them.</p>
      <label for="operate-key">The operate key</label>
      <input
        id="operate-key"
        ref=${input}
        name="key"
        type="password"
        autocomplete="off"
        spellcheck="false"
        required
        aria-describedby="key-help"
        aria-invalid=${state.problem ? "true" : "false"}
      />
      ${state.problem && html`<p class="bad-text" role="alert">${state.problem}</p>`}
      <button class="primary" type="submit" disabled=${state.isTrying}>
        ${state.isTrying ? "Signing in …" : "Sign in"}
      </button>
      <div id="key-help" class="muted help">
        <p>
          <code>refit status</code> shows the key of a local stack, and on AWS the id of the key
          with the command that shows it.
        </p>
        <p>The key stays in this tab and is gone when you close it.</p>
      </div>
    </form>
  </main>`;
}
