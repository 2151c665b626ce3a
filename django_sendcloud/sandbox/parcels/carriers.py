"""Carriers of the contract, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["CARRIERS", "carrier_name", "carrier_of"]

_CODES: Final = """
amazon bol bpost brt budbee chronopost cirro colisprive colissimo correos correos_express ctt_express dbschenker
delivengo dhl dhl_2_man_handling dhl_de dhl_ecommerce dhl_express dhl_parcel_gb dhl_parcel_iberia dp dpd dpd_at
dpd_fr dpd_gb dpd_local evri_international fadello fairsenden fedex fedexcrossborder fietskoeriers geodis glovo
gls_de gls_es gls_eu gls_it gls_nl hermes_at hermes_c2c_gb hermes_de hermes_gb hived homerr hurby inpost_es
inpost_gb inpost_it inpost_pl lettresuivie mhi mondial_relay mrw nacex paack parcelforce plx postat
poste_italiane poste_it_delivery postnl postnl_fulfilment postnl_large postnord rjp rjpv2 royal_mail sandd
sendcloud seur skymail spring storeshippers tipsa tnt_it transforce trunkrs ups van_straaten viatim yodel
"""
#: contract: carrier
CARRIERS: Final = frozenset(_CODES.split())
_USUAL: Final = {
    "NL": "postnl",
    "BE": "bpost",
    "DE": "dhl_de",
    "AT": "postat",
    "FR": "colissimo",
    "GB": "royal_mail",
    "ES": "correos",
    "IC": "correos",
    "IT": "poste_italiane",
    "SE": "postnord",
    "DK": "postnord",
    "NO": "postnord",
    "PL": "inpost_pl",
}
_NAMES: Final = {"postnl": "PostNL", "bpost": "bpost", "ups": "UPS", "dhl_de": "DHL DE", "dpd": "DPD"}


def carrier_of(shipment: Mapping[str, Any]) -> str:
    """Return the code of a shipment's carrier: the buyer's choice at checkout, or the usual one of the country."""
    product = (shipment.get("checkout_payload") or {}).get("shipping_product") or {}
    chosen = str(product.get("code", "")).partition(":")[0]
    return chosen if chosen in CARRIERS else _USUAL.get(shipment["country"], "ups")


def carrier_name(code: str) -> str:
    """Return a carrier's name."""
    return _NAMES.get(code, code.replace("_", " ").title())
