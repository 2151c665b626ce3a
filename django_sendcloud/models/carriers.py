"""Names of carriers by Sendcloud's codes: one spelling for operators and buyers."""

from __future__ import annotations

__all__ = ["CARRIERS", "carrier_name"]

#: Carriers with service points by Sendcloud's codes. No operation lists them, so operators may add codes.
CARRIERS = {
    "bpost": "bpost",
    "brt": "BRT",
    "chronopost": "Chronopost",
    "colisprive": "Colis Privé",
    "colissimo": "Colissimo",
    "correos": "Correos",
    "ctt_express": "CTT Express",
    "dhl": "DHL",
    "dhl_de": "DHL (DE)",
    "dhl_express": "DHL Express",
    "dhl_parcel_iberia": "DHL Parcel Iberia",
    "dpd": "DPD",
    "dpd_at": "DPD (AT)",
    "dpd_fr": "DPD (FR)",
    "dpd_gb": "DPD (GB)",
    "gls_de": "GLS (DE)",
    "gls_es": "GLS (ES)",
    "gls_it": "GLS (IT)",
    "gls_nl": "GLS (NL)",
    "hermes_de": "Hermes (DE)",
    "homerr": "Homerr",
    "inpost_es": "InPost (ES)",
    "inpost_gb": "InPost (GB)",
    "inpost_it": "InPost (IT)",
    "inpost_pl": "InPost (PL)",
    "mondial_relay": "Mondial Relay",
    "mrw": "MRW",
    "postat": "Österreichische Post",
    "poste_italiane": "Poste Italiane",
    "postnl": "PostNL",
    "seur": "SEUR",
    "ups": "UPS",
}


def carrier_name(code: str) -> str:
    """Return a carrier's name; made of its code if the name is unknown."""
    found = CARRIERS.get(code.lower())
    if found or not code.islower():
        return found or code
    return " ".join(word.upper() if len(word) <= LONGEST_SHORTHAND else word.capitalize() for word in code.split("_"))


# Shorter words of a code are abbreviations: ``dhl_de``, ``gls_eu``, ``ups``.
LONGEST_SHORTHAND = 3
