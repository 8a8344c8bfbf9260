// What holds a model, and the command that frees it.
import { html } from "../lib/view.js";
import { Ago, Card, Text } from "./basics.js";

const LONG_MS = 3_600_000;
const UNBLOCKED = ["retraining", "endpoint", "run", "deployment"];

// A run and a deployment hold the model for as long as they work, so they are shown after a while.
function lasting(holds) {
  const before = Date.now() - LONG_MS;
  return holds.filter(
    ({ kind, since }) => !["run", "deployment"].includes(kind) || new Date(since) < before,
  );
}

export function isFreedByUnblocking(holds) {
  return lasting(holds).some(({ kind }) => UNBLOCKED.includes(kind));
}

export function Holds({ of: holds }) {
  const shown = lasting(holds);
  if (shown.length === 0) return null;
  return html`<${Card} title="What holds the model" id="holds">
    <ul class="rows">
      ${shown.map(
        ({ kind, since, text, command }) => html`<li key=${kind}>
          <p><${Text} of=${text} /> ${since && html`<span class="muted">Since <${Ago} at=${since} />.</span>`}</p>
          <p class="muted">To free it: <code>${command}</code></p>
        </li>`,
      )}
    </ul>
  <//>`;
}
