// A dialog of the browser: it keeps the focus inside, Escape closes it, and the focus returns.
import { focusMain } from "../lib/focus.js";
import { html, useLayoutEffect, useRef } from "../lib/view.js";

export function Dialog({ title, onClose, children }) {
  const dialog = useRef(null);
  useLayoutEffect(() => {
    const opener = document.activeElement;
    const shown = dialog.current;
    shown.showModal();
    return () => {
      shown.close(); // a modal dialog keeps all else from the focus
      if (opener?.isConnected) opener.focus();
      else focusMain();
    };
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${dialog} onCancel=${cancel} aria-labelledby="dialog-title">
    <h2 id="dialog-title">${title}</h2>
    ${children}
  </dialog>`;
}
