// The page: who is signed in, which view the address names, and the bar above it.
import { forgetAll, useConnection, useNow, whenKeyIsRefused } from "./lib/resource.js";
import { timeOf } from "./lib/format.js";
import { keyOf, onKeyChange, signOut } from "./lib/session.js";
import { html, render, useEffect, useLayoutEffect, useRef, useState } from "./lib/view.js";
import { announce, Announcer } from "./parts/announcer.js";
import { hasTab, Model, titleOfTab } from "./views/model.js";
import { Models } from "./views/models.js";
import { NoView } from "./views/no_view.js";
import { SignIn } from "./views/sign_in.js";

function routeOf(hash) {
  const parts = hash.replace(/^#\/?/, "").replace(/\/$/, "").split("/").map(decoded);
  const [first, model = null, tab = "", run = null, ...others] = parts;
  const isKnown =
    ["", "models"].includes(first) &&
    (model === null || (first === "models" && hasTab(tab))) &&
    (run === null || tab === "runs") &&
    others.length === 0;
  return isKnown ? { model, tab, run } : { model: null, tab: "", run: null, isUnknown: true };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function useRoute() {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useLayoutEffect(() => {
    const change = () => setRoute(routeOf(location.hash));
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  return route;
}

function App() {
  const route = useRoute();
  const [key, setKey] = useState(keyOf("operate"));
  const [refusal, setRefusal] = useState(null);
  useLayoutEffect(() => {
    const change = () => setKey(keyOf("operate"));
    whenKeyIsRefused((error) => {
      setRefusal(error.message);
      forgetAll();
      signOut();
    });
    return onKeyChange(change);
  }, []);
  const leave = () => {
    setRefusal(null);
    forgetAll();
    signOut();
  };
  const { model, tab, run, isUnknown = false } = route;
  const title = isUnknown ? "Not found" : [run && `Run ${run}`, titleOfTab(tab), model ?? "Models"];
  useTitle(key === null ? "Sign in" : title);
  usePlaceAnnouncement(`${model} ${tab} ${run} ${isUnknown}`);
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Bar} model=${key === null ? null : model} onLeave=${key === null ? null : leave} />
    ${key === null
      ? html`<${SignIn} refusal=${refusal} />`
      : isUnknown
        ? html`<${NoView} />`
        : model === null
          ? html`<${Models} />`
          : html`<${Model} key=${model} model=${model} tab=${tab} run=${run} />`}
    <${Announcer} />`;
}

function useTitle(parts) {
  const title = [parts].flat().filter(Boolean).join(" · ");
  useEffect(() => {
    document.title = `${title} · Refit`;
  }, [title]);
}

// A screen reader hears which view it is now; the focus stays on the link that was followed.
function usePlaceAnnouncement(place) {
  const before = useRef(place);
  useEffect(() => {
    if (before.current !== place) announce(document.title);
    before.current = place;
  }, [place]);
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function Bar({ model, onLeave }) {
  return html`<header class="bar">
    <a class="brand" href="#/" aria-label="Refit, all models">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <path d="M23 13.2A8 8 0 1 0 24 16" />
        <path d="M24.6 7.6v6.2h-6.2" />
      </svg>
      Refit
    </a>
    ${model !== null &&
    html`<nav class="crumbs" aria-label="Where you are"><a href="#/">Models</a><span aria-hidden="true">/</span><span>${model}</span></nav>`}
    <span class="grow"></span>
    ${onLeave && html`<${Connection} />`} <${ThemeButton} />
    ${onLeave && html`<button type="button" class="quiet" onClick=${onLeave}>Sign out</button>`}
  </header>`;
}

function Connection() {
  const { lostSince, nextTryAt } = useConnection();
  const now = useNow(1_000);
  useEffect(() => {
    if (lostSince !== null) announce(`No connection since ${timeOf(lostSince)}.`);
  }, [lostSince]);
  if (lostSince === null) return html`<span class="connection"><span class="dot"></span>Live</span>`;
  const seconds = Math.max(0, Math.ceil((nextTryAt - now) / 1000));
  return html`<span class="connection lost">
    <span class="dot"></span>No connection since ${timeOf(lostSince)}, next try in ${seconds} s
  </span>`;
}

function ThemeButton() {
  const isDark = () =>
    (document.documentElement.dataset.theme ??
      (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const [dark, setDark] = useState(isDark);
  const toggle = () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem("refit-theme", theme);
    } catch {
      // Storage is disabled: the choice lasts as long as the page.
    }
    setDark(isDark());
  };
  return html`<button type="button" class="quiet" onClick=${toggle}>
    ${dark ? "Light" : "Dark"}<span class="hidden"> theme</span>
  </button>`;
}

render(html`<${App} />`, document.getElementById("app"));
