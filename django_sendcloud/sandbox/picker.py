"""Stand-in for Sendcloud's service point picker: the script of a checkout, the frame it opens, and a few points.

As the real one, it opens with ``sendcloud.servicePoints.open(options, success, failure)``, needs the public key of an
integration with service points enabled, shows only the carriers enabled there, and reports closing as a failure.
"""

from __future__ import annotations

import html
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from .http import Response
from .store import SandboxIntegration

__all__ = ["POINTS", "SCRIPT_PATH", "answer"]

SCRIPT_PATH: Final = "/service-points.js"
_FRAME_PATH: Final = "/service-points/"
_LANGUAGES: Final = ("de-de", "en-gb", "en-us", "es-es", "fr-fr", "it-it", "nl-nl")

_NAMES: Final = ("id", "carrier", "name", "street", "house_number", "postal_code", "city", "country")
#: All service points of the sandbox, by id.
POINTS: Final[Mapping[int, Mapping[str, Any]]] = {
    row[0]: dict(zip(_NAMES, row, strict=True))
    for row in (
        (1000001, "postnl", "Boekhandel Stadhuisplein", "Stadhuisplein", "1", "5611 EM", "Eindhoven", "NL"),
        (1000002, "postnl", "Pakketautomaat Stationsplein", "Stationsplein", "22", "5611 AC", "Eindhoven", "NL"),
        (1000003, "dhl", "Supermarkt Centrum", "Markt", "7", "2611 GS", "Delft", "NL"),
        (1000004, "bpost", "Postpunt Grote Markt", "Grote Markt", "12", "2000", "Antwerpen", "BE"),
        (1000005, "dhl_de", "Packstation 145", "Marienplatz", "8", "80331", "München", "DE"),
        (1000006, "dpd", "Kiosk am Rathaus", "Rathausplatz", "3", "1010", "Wien", "AT"),
        (1000007, "mondial_relay", "Librairie de l'Hôtel de Ville", "Rue de Rivoli", "40", "75004", "Paris", "FR"),
    )
}
_NEEDS_POST_NUMBER: Final = "dhl_de"

_SCRIPT: Final = """\
"use strict";
// A stand-in for Sendcloud's service point picker.
(() => {
  const origin = new URL(document.currentScript.src).origin;
  let open = null;

  window.sendcloud = {
    servicePoints: {
      open(options, success, failure) {
        if (open) open.remove();
        const frame = document.createElement("iframe");
        const query = new URLSearchParams({ origin: location.origin });
        for (const [name, value] of Object.entries(options)) query.set(name, value);
        frame.title = "Service points";
        frame.src = `${origin}/service-points/?${query}`;
        Object.assign(frame.style, {
          position: "fixed", inset: "0", width: "100%", height: "100%", border: "0", zIndex: "2147483647",
        });
        const listen = (event) => {
          if (event.origin !== origin || event.source !== frame.contentWindow) return;
          window.removeEventListener("message", listen);
          frame.remove();
          open = null;
          if (event.data.errors) failure(event.data.errors);
          else success(event.data.point, event.data.postNumber);
        };
        window.addEventListener("message", listen);
        frame.addEventListener("load", () => frame.focus());
        document.body.append(frame);
        open = frame;
      },
    },
  };
})();
"""

_PAGE: Final = """\
<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Service points</title>
<style nonce="{nonce}">
  :root {{ color-scheme: light; }}
  * {{ box-sizing: border-box; }}
  body {{ margin: 0; min-height: 100vh; padding: 5vh 1rem; background: rgb(0 0 0 / .5); color: #1b2530; }}
  body {{ font: 16px/1.5 system-ui, sans-serif; }}
  main {{ background: #fff; max-width: 34rem; margin: 0 auto; padding: 1.25rem; border-radius: .75rem; }}
  header {{ display: flex; justify-content: space-between; align-items: center; gap: 1rem; }}
  h1 {{ font-size: 1.25rem; margin: 0; }}
  ul {{ list-style: none; margin: 1rem 0 0; padding: 0; display: grid; gap: .6rem; }}
  li {{ border: 1px solid #ccd4dc; border-radius: .5rem; padding: .75rem 1rem; }}
  li p {{ margin: .5rem 0 0; }}
  small {{ color: #55616e; }}
  button, input {{ font: inherit; border-radius: .4rem; border: 1px solid #8794a1; padding: .4rem .9rem; }}
  button {{ background: #fff; cursor: pointer; min-height: 2.75rem; }}
  li button {{ background: #12527c; border-color: #12527c; color: #fff; }}
  :focus-visible {{ outline: 3px solid #f2a33a; outline-offset: 2px; }}
</style>
<main>
  <header><h1>Service points near {where}</h1><button type="button" id="close">Close</button></header>
  <ul>{points}</ul>
</main>
<script nonce="{nonce}" id="world" type="application/json">{world}</script>
<script nonce="{nonce}">
  "use strict";
  const world = JSON.parse(document.getElementById("world").textContent);
  const send = (message) => parent.postMessage(message, world.origin);
  const close = () => send({{ errors: ["Closed"] }});
  if (world.error) send({{ errors: [world.error] }});
  document.getElementById("close").addEventListener("click", close);
  addEventListener("keydown", (event) => {{ if (event.key === "Escape") close(); }});
  for (const form of document.querySelectorAll("form")) {{
    form.addEventListener("submit", (event) => {{
      event.preventDefault();
      send({{ point: world.points[form.id], postNumber: form.elements.post ? form.elements.post.value : "" }});
    }});
  }}
  const begin = () => {{
    const first = document.querySelector("li input, li button") || document.getElementById("close");
    if (document.activeElement === document.body || document.activeElement === first) first.focus();
  }};
  addEventListener("focus", begin);
  begin();
</script>
"""

_POINT: Final = """
    <li><form id="{id}"><strong>{name}</strong><br>
      <small>{street} {house_number}, {postal_code} {city} · {carrier}</small>
      {extra}<p><button>Choose</button></p></form></li>"""
_POST_NUMBER: Final = '<p><label>Post number <input name="post" required value="{}"></label></p>'


def answer(path: str, query: str, integrations: Iterable[SandboxIntegration]) -> Response | None:
    """Return the response to a browser's request; ``None`` if it is not for the picker."""
    if path == SCRIPT_PATH:
        return Response(200, _SCRIPT.encode(), "text/javascript; charset=utf-8", {"Cache-Control": "no-cache"})
    if path == _FRAME_PATH:
        options = {name: values[-1] for name, values in parse_qs(query).items()}
        return _frame(options, {integration.public_key: integration for integration in integrations})
    return None


def _frame(options: Mapping[str, str], integrations: Mapping[str, SandboxIntegration]) -> Response:
    integration = integrations.get(options.get("apiKey", ""))
    points: dict[int, Mapping[str, Any]] = {}
    error = ""
    if integration is None:
        error = "Invalid API key"
    elif not integration.service_point_enabled:
        error = "Service point support is not activated for this integration"
    elif options.get("language", "en-us") not in _LANGUAGES:
        error = "Unsupported language"
    else:
        wanted = options["carriers"].split(",") if "carriers" in options else integration.service_point_carriers
        carriers = set(wanted) & set(integration.service_point_carriers)
        country = options.get("country", "").upper()
        points = {
            number: point
            for number, point in POINTS.items()
            if point["country"] == country and point["carrier"] in carriers
        }
    nonce = secrets.token_urlsafe(12)
    origin = options.get("origin", "")
    world = {"origin": origin, "error": error, "points": {str(number): dict(point) for number, point in points.items()}}
    page = _PAGE.format(
        nonce=nonce,
        language=html.escape(options.get("language", "en-us")),
        where=html.escape(options.get("postalCode") or options.get("country", "")),
        points="".join(_item(point, options) for point in points.values()) or "<li>None of your carriers has any.</li>",
        # A "<" could end the script element.
        world=json.dumps(world).replace("<", "\\u003c"),
    )
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'",
    }
    return Response(200, page.encode(), "text/html; charset=utf-8", headers)


def _item(point: Mapping[str, Any], options: Mapping[str, str]) -> str:
    extra = ""
    if point["carrier"] == _NEEDS_POST_NUMBER:
        extra = _POST_NUMBER.format(html.escape(options.get("postNumber", "")))
    return _POINT.format(**{name: html.escape(str(value)) for name, value in point.items()}, extra=extra)
