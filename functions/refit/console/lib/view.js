// Preact with htm: components without a build step. htm never evaluates text as code, and Preact
// writes every value as text, so names and labels that contain HTML are shown as they are.
//
// Listen with `useLayoutEffect`: it runs in the same task as the rendering. `useEffect` runs later,
// and what happens between the two is missed.
import { h, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { render };
export {
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../vendor/hooks.js";
export const html = htm.bind(h);
