// Where the focus goes when the element that has it leaves the page.
import { useLayoutEffect, useRef } from "./view.js";

export function focusMain() {
  document.getElementById("main")?.focus();
}

// Returns a ref. If its element has the focus when it is removed, the main part of the page gets it:
// otherwise the next Tab would begin at the top of the page.
export function useFocusHandover() {
  const element = useRef(null);
  useLayoutEffect(() => {
    const own = element.current;
    return () => {
      if (own.contains(document.activeElement)) focusMain();
    };
  }, []);
  return element;
}
