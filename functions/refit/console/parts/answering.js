// A prediction with its probabilities.
import { pathOf, post } from "../lib/api.js";
import { number, percent } from "../lib/format.js";
import { setKey } from "../lib/session.js";
import { html, useEffect, useState } from "../lib/view.js";
import { announce } from "./announcer.js";
import { Card } from "./basics.js";
import { KeyForm, useKey } from "./keys.js";
import { Truth } from "./truth.js";

const SHOWN_CLASSES = 10;

// Returns {state, predict, clear}; state is {row, isSending, problem, version}.
export function usePrediction(model) {
  const key = useKey("predict");
  const [state, setState] = useState({ row: null, isSending: false, problem: null, version: null });
  // A refusal of the key is about that key only, not about the next one.
  useEffect(() => {
    if (key !== null) setState((before) => ({ ...before, problem: null }));
  }, [key]);
  const clear = () => setState({ row: null, isSending: false, problem: null, version: null });
  const predict = async (instance) => {
    setState((before) => ({ ...before, isSending: true, problem: null }));
    try {
      const path = pathOf("models", model, "predictions");
      const answer = await post(path, { instances: [instance] }, "predict");
      const [row] = answer.predictions;
      setState({ row, isSending: false, problem: null, version: answer.modelVersion });
      announce(`Prediction: ${row.prediction}`);
    } catch (error) {
      if (error.isAboutKey) setKey("predict", null);
      setState({ row: null, isSending: false, problem: error.message, version: null });
    }
  };
  return { state, predict, clear };
}

// prediction: of usePrediction. known: the label, if the row is one of the held-out rows.
export function PredictionCard({ prediction, answer, known }) {
  const key = useKey("predict");
  const { row } = prediction.state;
  useEffect(() => {
    // On a narrow screen the result is below the inputs.
    if (row !== null && matchMedia("(max-width: 900px)").matches) {
      document.getElementById("prediction").scrollIntoView();
    }
  }, [row]);
  return html`<${Card} title="Prediction" id="prediction">
    ${key === null
      ? html`<${KeyForm} purpose="predict" refusal=${prediction.state.problem} />`
      : html`<${Result} prediction=${prediction} answer=${answer} known=${known} />`}
  <//>`;
}

function Result({ prediction, answer, known }) {
  const { row, problem, version, isSending } = prediction.state;
  if (problem) return html`<p class="bad-text" role="alert">${problem}</p>`;
  if (row === null) {
    return html`<p class="muted">${isSending ? "Predicting …" : "The prediction appears here."}</p>`;
  }
  const value = typeof row.prediction === "number" ? number(row.prediction) : row.prediction;
  return html`<div class="result">
    <p class="figure">
      <span class="muted">Version ${version} predicts</span>
      <span class="huge" data-testid="prediction">${value}</span>
      ${known !== null && html`<span class="muted">In the held-out data its label is <b>${typeof known === "number" ? number(known) : known}</b>.</span>`}
    </p>
    ${row.probabilities && html`<${Probabilities} of=${row.probabilities} />`}
    <${Truth} key=${row.inferenceId} id=${row.inferenceId} answer=${answer} />
  </div>`;
}

function Probabilities({ of: probabilities }) {
  const all = Object.entries(probabilities);
  const ranked = [...all].sort((a, b) => b[1] - a[1]);
  const kept = new Set(ranked.slice(0, SHOWN_CLASSES).map(([name]) => name));
  return html`<div>
    <h3>Probabilities</h3>
    <ul class="bars">
      ${all
        .filter(([name]) => kept.has(name))
        .map(
          ([name, value]) => html`<li key=${name} class=${name === ranked[0][0] ? "top" : ""}>
            <span class="bar-name">${name}</span>
            <span class="bar-track" aria-hidden="true">
              <span style=${{ width: `${value * 100}%` }}></span>
            </span>
            <span class="num">${percent(value)}</span>
          </li>`,
        )}
    </ul>
    ${all.length > kept.size && html`<p class="muted">The ${kept.size} most probable of ${all.length} classes.</p>`}
  </div>`;
}
