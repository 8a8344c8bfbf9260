// Try the live version: draw a digit, or fill a form.
import { html } from "../lib/view.js";
import { Empty } from "../parts/basics.js";
import { Pad } from "../parts/pad.js";
import { RowForm } from "../parts/row_form.js";

export function Try({ answer }) {
  const { form } = answer;
  if (form === null) {
    return html`<${Empty} title="No version is live">
      <p>When one is, you can ask it for a prediction here and tell it what it really was.</p>
    <//>`;
  }
  return form.imageSide === null
    ? html`<${RowForm} answer=${answer} />`
    : html`<${Pad} answer=${answer} />`;
}
