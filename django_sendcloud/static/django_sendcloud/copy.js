// Copies an address to the clipboard. Without JavaScript the button stays hidden, and the link beside it does.
(() => {
  "use strict";
  const possible = Boolean(navigator.clipboard);

  function show() {
    if (possible) document.querySelectorAll("[data-sc-copy][hidden]").forEach((button) => button.removeAttribute("hidden"));
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-sc-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.scCopy);
      button.textContent = button.dataset.scCopied;
    } catch {
      button.hidden = true; // the browser forbids it: the link is still there
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    show();
    // Parts of a page are replaced while it is open.
    new MutationObserver(show).observe(document.body, { childList: true, subtree: true });
  });
})();
