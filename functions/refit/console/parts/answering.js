// A prediction with its probabilities, and what really happened.
import { pathOf, post } from "../lib/api.js";
import { count, number, percent } from "../lib/format.js";
import { refreshAll } from "../lib/resource.js";
import { setKey } from "../lib/session.js";
import { html, useEffect, useRef, useState } from "../lib/view.js";
import { LABEL_RESULTS } from "../lib/words.js";
import { announce } from "./announcer.js";
import { KeyForm, useKey } from "./keys.js";

const SHOWN_CLASSES = 10;
const MOST_BUTTONS = 20;
const FOLLOW_MS = 2_000;
const FOLLOW_TIMES = 90;

// Returns {state, predict, clear}; state is {row, isSending, problem, version}.
export function usePrediction(model) {
  const [state, setState] = useState({ row: null, isSending: false, problem: null, version: null });
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

export function Result({ prediction, answer }) {
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

// Ask what it really was, post it, and follow it until it is counted.
function Truth({ id, answer }) {
  const { form, model } = answer;
  const key = useKey("label");
  const [sent, setSent] = useState(null); // {label, status, reason, before}
  const [problem, setProblem] = useState(null);
  useFollowing(sent, answer);
  const send = async (label) => {
    setProblem(null);
    try {
      const path = pathOf("models", model, "ground-truth");
      const body = { labels: [{ inferenceId: id, label }] };
      const before = countedOf(answer);
      const [result] = (await post(path, body, "label")).results;
      setSent({ label, status: result.status, reason: result.reason ?? null, before });
      announce(`The label ${label} was ${LABEL_RESULTS[result.status]}.`);
    } catch (error) {
      if (error.isAboutKey) setKey("label", null);
      setProblem(error.message);
    }
  };
  if (key === null) return html`<${KeyForm} purpose="label" refusal=${problem} />`;
  return html`<div class="truth">
    <h3 id="truth">What was it really?</h3>
    <${Choices} form=${form} chosen=${sent?.label} onChoose=${send} />
    ${problem && html`<p class="bad-text" role="alert">${problem}</p>`}
    ${sent && html`<${Progress} sent=${sent} now=${countedOf(answer)} />`}
  </div>`;
}

function Choices({ form, chosen, onChoose }) {
  if (form.classes !== null && form.classes.length <= MOST_BUTTONS) {
    return html`<div class="choices" role="group" aria-labelledby="truth">
      ${form.classes.map(
        (name) => html`<button
          key=${name}
          type="button"
          aria-label=${`It was ${name}`}
          aria-pressed=${String(chosen === name)}
          onClick=${() => onChoose(name)}
        >
          ${name}
        </button>`,
      )}
    </div>`;
  }
  const submit = (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get("label").trim();
    if (text === "") return;
    onChoose(form.task === "regression" ? Number(text) : text);
  };
  return html`<form class="row" onSubmit=${submit}>
    ${form.classes === null
      ? html`<input name="label" type="number" step="any" required aria-labelledby="truth" />`
      : html`<select name="label" required aria-labelledby="truth">
          ${form.classes.map((name) => html`<option key=${name}>${name}</option>`)}
        </select>`}
    <button type="submit">Send the label</button>
  </form>`;
}

function countedOf({ loop }) {
  return loop?.quality?.labelled ?? 0;
}

function Progress({ sent, now }) {
  if (sent.status === "rejected") {
    return html`<p class="bad-text" role="alert">The label was rejected: ${sent.reason}.</p>`;
  }
  const isCounted = now > sent.before;
  const isJoined = sent.status !== "held" || isCounted;
  return html`<ol class="progress" aria-live="polite">
    <li class="done">Label ${String(sent.label)} sent: ${LABEL_RESULTS[sent.status]}</li>
    <li class=${isJoined ? "done" : "waiting"}>
      ${isJoined ? "Joined with its prediction" : "Is joined when its prediction has been captured"}
    </li>
    <li class=${isCounted ? "done" : "waiting"} data-testid="counted">
      ${isCounted
        ? `Counted: ${count(now, "labelled prediction")}, ${sent.before.toLocaleString("en")} before`
        : "Is counted at the next check of the model"}
    </li>
  </ol>`;
}

function useFollowing(sent, answer) {
  const done = useRef(false);
  done.current = sent !== null && countedOf(answer) > sent.before;
  useEffect(() => {
    if (sent === null || sent.status === "rejected") return undefined;
    let times = 0;
    const timer = setInterval(() => {
      times += 1;
      if (done.current || times > FOLLOW_TIMES) clearInterval(timer);
      else refreshAll();
    }, FOLLOW_MS);
    return () => clearInterval(timer);
  }, [sent]);
}
