// An address that names no view.
import { html } from "../lib/view.js";
import { Empty } from "../parts/basics.js";

export function NoView() {
  return html`<main id="main" tabindex="-1">
    <div class="title"><h1>Not found</h1></div>
    <${Empty} title="There is no view at this address">
      <p><a href="#/">All models</a></p>
    <//>
  </main>`;
}
