// A form for one row of a table, made from the schema of the live version.
import { count } from "../lib/format.js";
import { html, useRef, useState } from "../lib/view.js";
import { PredictionCard, usePrediction } from "./answering.js";
import { Card } from "./basics.js";
import { ExampleButtons, useExamples } from "./examples.js";
import { useKey } from "./keys.js";

const FIRST = 24;
const MOST_CHOICES = 500; // of a category with more values, the form knows these only
const HINTS = { number: "number", category: "text", boolean: "yes or no", date: "date" };

export function RowForm({ answer }) {
  const { form: schema, model } = answer;
  const key = useKey("predict");
  const prediction = usePrediction(model);
  const examples = useExamples(answer);
  const form = useRef(null);
  const columns = schema.columns.filter((column) => column.type !== "ignored");
  const [all, setAll] = useState(false);
  const [known, setKnown] = useState(null);
  // Cells are sent as texts, because the API reads them as those of a file.
  const submit = (event) => {
    event.preventDefault();
    const cells = [...new FormData(event.target)].map(([name, text]) => [name, text === "" ? null : text]);
    prediction.predict(Object.fromEntries(cells));
  };
  const fill = ({ values, truth }) => {
    examples.columns.forEach((name, index) => {
      const field = form.current.elements.namedItem(name);
      if (field !== null) field.value = values[index] ?? "";
    });
    setKnown(truth);
    prediction.clear();
  };
  const change = () => {
    setKnown(null);
    prediction.clear();
  };
  return html`<div class="try">
    <${Card} title="A row to predict" id="row">
      <form ref=${form} onSubmit=${submit} onInput=${change}>
        <p class="muted">
          Empty fields are missing values.
          ${columns.length < schema.columns.length &&
          ` ${count(schema.columns.length - columns.length, "column")} that the model does not use ${schema.columns.length - columns.length === 1 ? "is" : "are"} left out.`}
        </p>
        <div class="fields">
          ${columns.map(
            (column, index) =>
              html`<${Field} key=${column.name} id=${`field-${index}`} column=${column} isHidden=${!all && index >= FIRST} />`,
          )}
        </div>
        ${columns.length > FIRST &&
        html`<p class="more">
          <button type="button" aria-expanded=${String(all)} onClick=${() => setAll(!all)}>
            ${all ? "Show fewer columns" : `Show all ${columns.length} columns`}
          </button>
        </p>`}
        <div class="row">
          <button class="primary" type="submit" disabled=${key === null || prediction.state.isSending}>
            Predict ${schema.label}
          </button>
        </div>
      </form>
      <${ExampleButtons} of=${examples} side=${null} onUse=${fill} />
    <//>
    <${PredictionCard} prediction=${prediction} answer=${answer} known=${known} />
  </div>`;
}

function Field({ id, column, isHidden }) {
  const { name, type, values, example } = column;
  return html`<div class="field" hidden=${isHidden}>
    <label for=${id}>${name} <span class="note">${HINTS[type]}</span></label>
    ${values !== null && values.length < MOST_CHOICES
      ? html`<select id=${id} name=${name}>
          <option value="">missing</option>
          ${values.map((value) => html`<option key=${value}>${value}</option>`)}
        </select>`
      : html`<input
          id=${id}
          name=${name}
          inputmode=${type === "number" ? "decimal" : undefined}
          autocomplete="off"
          placeholder=${example === null ? undefined : `such as ${example}`}
        />`}
  </div>`;
}
