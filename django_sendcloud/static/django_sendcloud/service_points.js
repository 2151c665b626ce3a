/* Opens Sendcloud's service point picker and keeps what the buyer chose in a hidden input of the form.

   Works under a strict Content-Security-Policy: no inline script, no eval, no markup from strings. Sendcloud's own
   script is loaded when somebody opens the picker, and not before.

   A form hears of a choice by the events "change" on the input and "sendcloud:service-point" (detail: the point or
   null) on the widget; both bubble. */
(() => {
  "use strict";

  const WIDGET = "[data-sendcloud-service-point]";
  const FIELDS = ["id", "name", "carrier", "street", "house_number", "postal_code", "city", "country"];
  const TIMEOUT = 15000;
  // A page that demands a nonce has given us one; what we load needs it, too.
  const nonce = document.currentScript ? document.currentScript.nonce : "";
  let loading = null;

  function load(url) {
    if (window.sendcloud && window.sendcloud.servicePoints) return Promise.resolve();
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = url;
      script.async = true;
      if (nonce) script.nonce = nonce;
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => reject(new Error("The picker's script could not be loaded.")));
      setTimeout(() => reject(new Error("The picker's script did not come in time.")), TIMEOUT);
      document.head.append(script);
    }).catch((error) => {
      loading = null; // the next click tries again
      throw error;
    });
    return loading;
  }

  class Widget {
    constructor(root) {
      this.root = root;
      this.input = this.part("value");
      this.button = this.part("open");
      this.form = this.input.form;
      this.when = Object.entries(JSON.parse(root.dataset.when));
      // The row of the form around the widget, with its label, disappears along with it.
      this.row = root.closest("[data-service-point-row]") || root;
      if (this.button) {
        this.button.hidden = false;
        this.button.addEventListener("click", () => this.open());
      }
      if (this.form) {
        this.form.addEventListener("change", (event) => this.formChanged(event));
        this.form.addEventListener("reset", () => setTimeout(() => this.formChanged()));
      }
      this.formChanged();
    }

    part(name) {
      return this.root.querySelector(`[data-${name}]`);
    }

    other(name) {
      const element = this.form && this.form.elements.namedItem(name);
      return element ? String(element.value || "").trim() : "";
    }

    get country() {
      return this.other(this.root.dataset.countryField).toUpperCase();
    }

    /* The integration that takes orders to this country has a key and carriers of its own. */
    get route() {
      const { apiKey, carriers, routes } = this.root.dataset;
      const own = JSON.parse(routes || "{}")[this.country];
      return own ? { apiKey: own.api_key, carriers: own.carriers } : { apiKey, carriers };
    }

    get point() {
      try {
        return JSON.parse(this.input.value);
      } catch {
        return null;
      }
    }

    set point(point) {
      this.input.value = point ? JSON.stringify(point) : "";
      this.show();
      this.input.dispatchEvent(new Event("change", { bubbles: true }));
      this.root.dispatchEvent(new CustomEvent("sendcloud:service-point", { bubbles: true, detail: point }));
    }

    say(text, { aloud = false } = {}) {
      const status = this.part("status");
      status.textContent = text;
      // Visible elsewhere already, so only screen readers need it.
      status.classList.toggle("sc-service-point__status--aloud", aloud);
    }

    show() {
      const point = this.point;
      this.part("chosen").hidden = !point;
      this.part("when-none")?.toggleAttribute("hidden", Boolean(point));
      this.part("when-chosen")?.toggleAttribute("hidden", !point);
      if (!point) return;
      const lines = [`${point.street} ${point.house_number}`, `${point.postal_code} ${point.city}`];
      this.part("name").textContent = point.name;
      this.part("address").textContent = lines.map((line) => line.trim()).filter(Boolean).join(", ");
      this.part("post-number").textContent = point.post_number;
      this.part("post-number-line").hidden = !point.post_number;
    }

    formChanged(event) {
      if (event && event.target === this.input) return;
      this.row.hidden = !this.when.every(([name, values]) => values.includes(this.other(name)));
      const point = this.point;
      if (point && this.country && point.country !== this.country) {
        this.point = null;
        this.say(this.root.dataset.saysElsewhere);
      } else {
        this.show();
      }
    }

    async open() {
      const { script, language, postalCodeField, cityField, saysCountry, saysFailed } = this.root.dataset;
      if (!this.country) {
        this.say(saysCountry);
        return;
      }
      const { apiKey, carriers } = this.route;
      if (!apiKey) {
        this.say(saysFailed);
        return;
      }
      this.say("");
      this.busy(true);
      try {
        await load(script);
        const before = this.point;
        const options = { apiKey, country: this.country, language, carriers };
        if (this.other(postalCodeField)) options.postalCode = this.other(postalCodeField);
        if (this.other(cityField)) options.city = this.other(cityField);
        if (before) {
          options.servicePointId = before.id;
          if (before.post_number) options.postNumber = before.post_number;
        }
        window.sendcloud.servicePoints.open(options, (...chosen) => this.chose(...chosen), (errors) => this.failed(errors));
      } catch (error) {
        console.error(error);
        this.busy(false);
        this.say(saysFailed);
      }
    }

    chose(point, postNumber) {
      this.busy(false);
      const text = (value) => (value === null || value === undefined ? "" : String(value));
      this.point = {
        ...Object.fromEntries(FIELDS.map((name) => [name, text(point[name])])),
        id: point.id,
        country: text(point.country).toUpperCase(),
        post_number: text(postNumber),
      };
      this.say(`${this.root.dataset.saysChosen} ${point.name}`, { aloud: true });
      this.button.focus();
    }

    failed(errors) {
      this.busy(false);
      // The picker calls it a failure when it was only closed.
      if ([].concat(errors).some((error) => error !== "Closed")) {
        console.error("The service point picker failed:", errors);
        this.say(this.root.dataset.saysFailed);
      }
      this.button.focus();
    }

    busy(is) {
      this.button.setAttribute("aria-busy", String(is));
      this.button.disabled = is;
    }
  }

  const widgets = new WeakMap();

  function start() {
    for (const root of document.querySelectorAll(WIDGET)) {
      if (!widgets.has(root)) widgets.set(root, new Widget(root));
    }
  }

  if (window.sendcloudServicePointWidgets) return; // included twice
  window.sendcloudServicePointWidgets = { start };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
  // A browser that goes back brings the former values of a form with it.
  window.addEventListener("pageshow", () => {
    for (const root of document.querySelectorAll(WIDGET)) widgets.get(root)?.formChanged();
  });
})();
