// What a prediction really was: ask, send the label, and follow the counts of the next check. The API
// says what became of a label when it is sent, and how many labels a check has counted, but not which.
import { pathOf, post } from "../lib/api.js";
import { count } from "../lib/format.js";
import { refreshAll } from "../lib/resource.js";
import { setKey } from "../lib/session.js";
import { html, useEffect, useRef, useState } from "../lib/view.js";
import { LABEL_RESULTS } from "../lib/words.js";
import { announce } from "./announcer.js";
import { KeyForm, useKey } from "./keys.js";

const MOST_BUTTONS = 20;
const FOLLOW_MS = 2_000;
const FOLLOW_MINUTES = 3;
const FOLLOWED = new Set(["new", "held"]); // other labels change no number

export function Truth({ id, answer }) {
  const { form, model } = answer;
  const key = useKey("label");
  const [sent, setSent] = useState(null); // {label, status, reason, before, at}
  const [problem, setProblem] = useState(null);
  const hasGivenUp = useFollowing(sent, answer);
  const send = async (label) => {
    setProblem(null);
    try {
      const path = pathOf("models", model, "ground-truth");
      const body = { labels: [{ inferenceId: id, label }] };
      const before = countedOf(answer);
      const [result] = (await post(path, body, "label")).results;
      setSent({ label, status: result.status, reason: result.reason ?? null, before, at: Date.now() });
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
    ${sent && html`<${Progress} sent=${sent} now=${countedOf(answer)} hasGivenUp=${hasGivenUp} />`}
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

function Progress({ sent, now, hasGivenUp }) {
  if (sent.status === "rejected") {
    return html`<p class="bad-text" role="alert">The label was rejected: ${sent.reason}.</p>`;
  }
  if (sent.status === "repeat" || sent.status === "corrected") {
    return html`<ol class="progress" aria-live="polite">
      <li class="done">Label ${String(sent.label)} sent: ${LABEL_RESULTS[sent.status]}</li>
      <li class="done">${sent.status === "repeat" ? "Nothing changes" : "Counts in place of the label before"}</li>
    </ol>`;
  }
  const hasChanged = now !== sent.before;
  const isJoined = sent.status !== "held";
  const hasEnded = hasChanged || hasGivenUp;
  return html`<ol class="progress" aria-live="polite">
    <li class="done">Label ${String(sent.label)} sent: ${LABEL_RESULTS[sent.status]}</li>
    <li class=${isJoined ? "done" : hasEnded ? "" : "waiting"}>
      ${isJoined
        ? "Joined with its prediction"
        : "Is joined when its prediction has been captured; until then, Labels counts it as held"}
    </li>
    <li class=${hasChanged ? "done" : hasEnded ? "" : "waiting"}>
      ${hasChanged
        ? `Since then, a check has counted ${count(now, "labelled prediction")}, ${sent.before.toLocaleString("en")} before`
        : hasGivenUp
          ? `No check has changed the count of labelled predictions in ${FOLLOW_MINUTES} minutes. Labels shows it.`
          : "Waiting for a check that changes the count of labelled predictions"}
    </li>
  </ol>`;
}

function useFollowing(sent, answer) {
  const [hasGivenUp, setGivenUp] = useState(false);
  const done = useRef(false);
  done.current = sent !== null && countedOf(answer) !== sent.before;
  useEffect(() => {
    setGivenUp(false);
    if (!FOLLOWED.has(sent?.status)) return undefined;
    const timer = setInterval(() => {
      const isLate = Date.now() - sent.at > FOLLOW_MINUTES * 60_000;
      if (isLate) setGivenUp(true);
      if (done.current || isLate) clearInterval(timer);
      else refreshAll();
    }, FOLLOW_MS);
    return () => clearInterval(timer);
  }, [sent]);
  return hasGivenUp;
}
