// Keeps parts of the admin's pages current. One request replaces all elements with an id and data-sc-refresh="seconds"
// by their newest versions, until none asks for it any more. An element that has disappeared shows data-sc-gone.
// A page with data-sc-follow goes where its address leads by then. Where no answer comes any more, because the session
// has ended or the server is away, the element with data-sc-outdated shows that text: an old page must not look good.
// Without JavaScript, a link in the page does the same.
(() => {
  "use strict";
  const MAX_FAILURES = 2;
  let timer = 0;
  let failures = 0;

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

  function sayOutdated() {
    const strip = document.querySelector("[data-sc-outdated]");
    if (!strip || strip.querySelector(".sc-outdated")) return;
    const link = Object.assign(document.createElement("a"), { href: "", textContent: strip.dataset.scOutdated });
    const panel = Object.assign(document.createElement("div"), { className: "sc-panel sc-panel--warn", role: "status" });
    const notice = Object.assign(document.createElement("div"), { className: "sc-notice sc-outdated" });
    panel.append(link);
    notice.append(panel);
    strip.prepend(notice);
  }

  async function refresh() {
    if (!document.hidden && watched().length) {
      try {
        const response = await fetch(location.href, { credentials: "same-origin", headers: { "X-Requested-With": "XMLHttpRequest" } });
        if (response.ok && !response.redirected) {
          failures = 0;
          const page = new DOMParser().parseFromString(await response.text(), "text/html");
          watched().forEach((old) => replace(old, page));
        } else if (response.redirected && document.querySelector("[data-sc-follow]")) {
          location.reload();
          return;
        } else {
          sayOutdated();
          if (response.status < 500) return; // the session has ended, or the page is gone: reloading says so
        }
      } catch {
        // The network may be away for a moment.
        failures += 1;
        if (failures > MAX_FAILURES) sayOutdated();
      }
    }
    schedule();
  }

  document.addEventListener("DOMContentLoaded", schedule);
  // A page that was in the background is old.
  document.addEventListener("visibilitychange", refresh);
})();
