// States in words, with the tone that a badge shows them in.
export const STAGES = {
  waiting_for_data: ["Waiting for data", "quiet"],
  preparing: ["Preparing", "busy"],
  training: ["Training", "busy"],
  evaluating: ["Evaluating", "busy"],
  gate: ["At the gate", "busy"],
  awaiting_approval: ["Awaiting approval", "warn"],
  deploying: ["Deploying", "busy"],
  serving: ["Serving", "good"],
  watching: ["Healthy", "good"],
  drift: ["Drift", "bad"],
  retraining: ["Retraining", "busy"],
  blocked: ["Blocked", "bad"],
  removing: ["Being removed", "warn"],
};

export const RUNS = {
  STARTED: ["Started", "busy"],
  PREPARING: ["Preparing", "busy"],
  TRAINING: ["Training", "busy"],
  EVALUATING: ["Evaluating", "busy"],
  REGISTERING: ["At the gate", "busy"],
  DEPLOYING: ["Deploying", "busy"],
  AWAITING_APPROVAL: ["Awaiting approval", "warn"],
  DEPLOYED: ["Deployed", "good"],
  REFUSED: ["Refused at the gate", "warn"],
  FAILED: ["Failed", "bad"],
  SUPERSEDED: ["Superseded", "quiet"],
};

export const APPROVALS = {
  Approved: ["Approved", "good"],
  Rejected: ["Rejected", "quiet"],
  PendingManualApproval: ["Awaiting approval", "warn"],
};

export const ALARMS = {
  OK: ["OK", "good"],
  ALARM: ["Alarm", "bad"],
  OUTDATED: ["Outdated", "warn"],
  INSUFFICIENT_DATA: ["No data yet", "quiet"],
};

export const RETRAINING = {
  healthy: ["No retraining is due", "good"],
  drifting: ["Drift was detected", "bad"],
  retraining: ["A retraining runs", "busy"],
  cooling: ["Cooling down after a retraining", "quiet"],
  blocked: ["Blocked after failed retrainings", "bad"],
};

export const CAUSES = {
  drop: "new files",
  drift: "drift",
  request: "a request",
};

export const CHECKS = {
  floor: "Better than no skill",
  base: "Not worse on the champion's held-out rows",
  new: "Not worse on the new held-out rows",
  fresh: "Better on fresh labels",
};

export const LABEL_RESULTS = {
  new: "accepted",
  repeat: "known already",
  corrected: "accepted as a correction",
  held: "held until its prediction has arrived",
  rejected: "rejected",
};

const BUSY = new Set(Object.keys(STAGES).filter((stage) => STAGES[stage][1] === "busy"));

export function isBusy(stage) {
  return BUSY.has(stage);
}

const ENDED = new Set(["DEPLOYED", "REFUSED", "SUPERSEDED"]);

// Whether a run does not change any more. One that failed can be repeated.
export function hasEnded(run) {
  return ENDED.has(run.status);
}

export function isRunning(run) {
  return run !== null && run !== undefined && RUNS[run.status]?.[1] === "busy";
}
