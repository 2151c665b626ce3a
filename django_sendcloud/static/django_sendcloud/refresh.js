// Keeps parts of the admin's pages current. One request replaces all elements with an id and data-sc-refresh="seconds"
// by their newest versions, until none asks for it any more. An element that has disappeared shows data-sc-gone.
// Without JavaScript, a link in the page does the same.
(() => {
  "use strict";
  let timer = 0;

  function watched() {
    return [...document.querySelectorAll("[data-sc-refresh]")].filter((element) => element.id && Number(element.dataset.scRefresh));
  }

  function schedule() {
    clearTimeout(timer);
    const seconds = Math.min(...watched().map((element) => Number(element.dataset.scRefresh)));
    if (Number.isFinite(seconds)) timer = setTimeout(refresh, seconds * 1000);
  }

  function replace(old, page) {
    // Keep the focus of an operator who works within this part.
    if (old.contains(document.activeElement)) return;
    const fresh = page.getElementById(old.id);
    if (fresh) {
      old.replaceWith(document.importNode(fresh, true));
    } else {
      if (old.dataset.scGone) old.textContent = old.dataset.scGone;
      old.removeAttribute("data-sc-refresh");
    }
  }

  async function refresh() {
    if (!document.hidden) {
      try {
        const response = await fetch(location.href, { credentials: "same-origin", headers: { "X-Requested-With": "XMLHttpRequest" } });
        if (response.ok && !response.redirected) {
          const page = new DOMParser().parseFromString(await response.text(), "text/html");
          watched().forEach((old) => replace(old, page));
        } else {
          return; // the session has ended, or the page is gone: reloading says so
        }
      } catch {
        // the network is away for a moment
      }
    }
    schedule();
  }

  document.addEventListener("DOMContentLoaded", schedule);
})();
