// Actions on a model. Each one says what will happen, and asks before it is done.
import { pathOf, post } from "../lib/api.js";
import { useFocusHandover } from "../lib/focus.js";
import { hurry } from "../lib/resource.js";
import { html, useState } from "../lib/view.js";
import { announce } from "./announcer.js";
import { Dialog } from "./dialog.js";

const ACTIONS = {
  retrain: {
    button: "Retrain now",
    title: ({ model }) => `Retrain ${model} now?`,
    says: () =>
      "A run trains a new version on the files of the live version and on the labelled " +
      "predictions. The live version stays until the gate finds the new one better. On AWS this " +
      "costs a training job. Without a new label or another setting since the last run it waits " +
      "for one.",
    choice: "Retrain even if no label or setting is new",
    path: ({ model }) => pathOf("models", model, "retrain"),
    body: (subject, isChosen) => (isChosen ? { again: true } : undefined),
  },
  unblock: {
    button: "Unblock",
    title: ({ model }) => `Unblock ${model}?`,
    says: () =>
      "Runs and deployments that nothing works on any more are ended, and what waits for them " +
      "starts. If the endpoint does not serve the live version, the newest approved version is " +
      "deployed again. If retraining stopped because several retrainings in a row brought no " +
      "better version, the next drift starts one again: mend the cause first.",
    path: ({ model }) => pathOf("models", model, "unblock"),
  },
  retry: {
    button: "Repeat this run",
    title: ({ run }) => `Repeat run ${run}?`,
    says: () => "A new run starts with the same files, or the failed deployment is tried again.",
    path: ({ model }) => pathOf("models", model, "retry"),
    body: ({ run }) => ({ run }),
  },
  approve: {
    button: "Approve",
    title: ({ version }) => `Approve version ${version}?`,
    says: () =>
      "The version is marked as approved in the model registry, and is deployed if it is the " +
      "newest approved one. Predictions continue during the deployment.",
    path: ({ model, version }) => pathOf("models", model, "versions", version, "approve"),
  },
  reject: {
    button: "Reject",
    isDanger: true,
    title: ({ version }) => `Reject version ${version}?`,
    says: ({ isLive }) =>
      isLive
        ? "The version is live. It is marked as rejected, and the newest version that is still " +
          "approved is deployed in its place."
        : "The version is marked as rejected in the model registry, and will not be deployed.",
    path: ({ model, version }) => pathOf("models", model, "versions", version, "reject"),
  },
  rollback: {
    button: "Roll back to this",
    isDanger: true,
    title: ({ version }) => `Roll back to version ${version}?`,
    says: ({ version }) =>
      `Version ${version} is deployed in place of the live one. Predictions continue during the ` +
      "deployment.",
    path: ({ model }) => pathOf("models", model, "rollback"),
    body: ({ version }) => ({ version }),
  },
};

// subject: {model, version, run, isLive}, as far as the action needs it.
export function Action({ name, subject, isPrimary = false }) {
  const [isOpen, setOpen] = useState(false);
  const button = useFocusHandover();
  const action = ACTIONS[name];
  const label = subject.version && `${action.button}: version ${subject.version}`;
  return html`<button
      ref=${button}
      type="button"
      class=${isPrimary ? "primary" : ""}
      aria-label=${label}
      onClick=${() => setOpen(true)}
    >
      ${action.button}
    </button>
    ${isOpen &&
    html`<${Confirm} action=${action} subject=${subject} onClose=${() => setOpen(false)} />`}`;
}

function Confirm({ action, subject, onClose }) {
  const [state, setState] = useState({ isSending: false, problem: null });
  const [isChosen, choose] = useState(false);
  const confirm = async () => {
    setState({ isSending: true, problem: null });
    try {
      const answer = await post(action.path(subject), action.body?.(subject, isChosen));
      announce(answer.text, true);
      hurry();
      onClose();
    } catch (error) {
      setState({ isSending: false, problem: error.message });
    }
  };
  return html`<${Dialog} title=${action.title(subject)} onClose=${onClose}>
    <p>${action.says(subject)}</p>
    ${action.choice &&
    html`<label class="choice">
      <input type="checkbox" checked=${isChosen} onChange=${(event) => choose(event.target.checked)} />
      ${action.choice}
    </label>`}
    ${state.problem && html`<p class="bad-text" role="alert">${state.problem}</p>`}
    <div class="row end">
      <button type="button" onClick=${onClose}>Cancel</button>
      <button
        type="button"
        class=${action.isDanger ? "danger" : "primary"}
        disabled=${state.isSending}
        onClick=${confirm}
      >
        ${state.isSending ? "Sending …" : action.button}
      </button>
    </div>
  <//>`;
}
