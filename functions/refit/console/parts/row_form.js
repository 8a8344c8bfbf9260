// A form for one row of a table, made from the schema of the live version.
import { count } from "../lib/format.js";
import { html, useRef, useState } from "../lib/view.js";
import { Result, usePrediction } from "./answering.js";
import { Card } from "./basics.js";
import { KeyForm, useKey } from "./keys.js";

const FIRST = 24;
const HINTS = { number: "number", category: "text", boolean: "yes or no", date: "date" };

export function RowForm({ answer }) {
  const { form: schema, model } = answer;
  const key = useKey("predict");
  const prediction = usePrediction(model);
  const form = useRef(null);
  const columns = schema.columns.filter((column) => column.type !== "ignored");
  const [all, setAll] = useState(false);
  const submit = (event) => {
    event.preventDefault();
    const entries = [...new FormData(event.target)].filter(([, text]) => text !== "");
    const types = new Map(columns.map((column) => [column.name, column.type]));
    const typed = entries.map(([name, text]) => {
      const isNumber = types.get(name) === "number" && Number.isFinite(Number(text));
      return [name, isNumber ? Number(text) : text];
    });
    prediction.predict(Object.fromEntries(typed));
  };
  const fill = () => {
    columns.forEach((column) => {
      form.current.elements.namedItem(column.name).value = column.example ?? "";
    });
    prediction.clear();
  };
  return html`<div class="try">
    <${Card} title="A row to predict" id="row">
      <form ref=${form} onSubmit=${submit}>
        <p class="muted">
          Empty fields are missing values.
          ${columns.length < schema.columns.length &&
          ` ${count(schema.columns.length - columns.length, "column")} that the model does not use ${schema.columns.length - columns.length === 1 ? "is" : "are"} left out.`}
        </p>
        <div class="fields">
          ${columns.map(
            (column, index) =>
              html`<${Field} key=${column.name} column=${column} isHidden=${!all && index >= FIRST} />`,
          )}
        </div>
        ${columns.length > FIRST &&
        html`<p class="more">
          <button type="button" aria-expanded=${String(all)} onClick=${() => setAll(!all)}>
            ${all ? "Show fewer columns" : `Show all ${columns.length} columns`}
          </button>
        </p>`}
        <div class="row">
          <button type="button" onClick=${fill}>Fill with an example</button>
          <button class="primary" type="submit" disabled=${key === null || prediction.state.isSending}>
            Predict ${schema.label}
          </button>
        </div>
      </form>
    <//>
    <${Card} title="Prediction" id="prediction">
      ${key === null
        ? html`<${KeyForm} purpose="predict" refusal=${prediction.state.problem} />`
        : html`<${Result} prediction=${prediction} answer=${answer} />`}
    <//>
  </div>`;
}

function Field({ column, isHidden }) {
  const { name, type, values, example } = column;
  const id = `field-${name}`;
  return html`<div class="field" hidden=${isHidden}>
    <label for=${id}>${name} <span class="note">${HINTS[type]}</span></label>
    ${values !== null && values.length > 0
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
