"""Customs areas, and postal codes that belong to another territory than their country code says.

Sources: the European Commission's "Territorial status of EU countries and certain territories" (customs and VAT), and
the postal operators' code ranges. A territory inside the customs union but outside the VAT area counts as outside,
because its parcels need a declaration all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["EU", "Territory", "customs_area", "territory_of"]

#: The customs area of the European Union's members. Monaco belongs to it.
EU: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MC MT NL PL PT RO SE SI SK".split()  # noqa: SIM905
)

#: Countries that share a customs area with another.
_SHARED: Final = {"LI": "CH", "IM": "GB", "JE": "GB", "GG": "GB"}


@dataclass(frozen=True, slots=True)
class Territory:
    """A territory that shares a country's code and not its customs area.

    Args:
        name: Its English name.
        code: The country code of its own, ``""`` where it has none.
        area: Its customs area, ``""`` for one of its own.
    """

    name: str
    code: str = ""
    area: str = ""


_NORTHERN_IRELAND: Final = Territory("Northern Ireland", area="EU")

#: By country: the pattern of the postal codes, without spaces and hyphens, and the territory.
_TERRITORIES: Final[dict[str, tuple[tuple[re.Pattern[str], Territory], ...]]] = {
    country: tuple((re.compile(pattern), territory) for pattern, territory in rows)
    for country, rows in {
        "DE": [(r"78266", Territory("Büsingen")), (r"27498", Territory("Heligoland"))],
        "DK": [(r"39\d\d", Territory("Greenland", "GL")), (r"\d{3}", Territory("the Faroe Islands", "FO"))],
        "ES": [
            (r"3[58]\d{3}", Territory("the Canary Islands", "IC")),
            (r"51\d{3}", Territory("Ceuta")),
            (r"52\d{3}", Territory("Melilla")),
        ],
        "FI": [(r"22\d{3}", Territory("Åland", "AX"))],
        "FR": [
            (r"97133|977\d\d", Territory("Saint-Barthélemy", "BL")),
            (r"97150|978\d\d", Territory("Saint-Martin", "MF")),
            (r"971\d\d", Territory("Guadeloupe", "GP")),
            (r"972\d\d", Territory("Martinique", "MQ")),
            (r"973\d\d", Territory("French Guiana", "GF")),
            (r"974\d\d", Territory("Réunion", "RE")),
            (r"975\d\d", Territory("Saint-Pierre and Miquelon", "PM")),
            (r"976\d\d", Territory("Mayotte", "YT")),
            (r"980\d\d", Territory("Monaco", "MC", "EU")),
            (r"986\d\d", Territory("Wallis and Futuna", "WF")),
            (r"987\d\d", Territory("French Polynesia", "PF")),
            (r"988\d\d", Territory("New Caledonia", "NC")),
        ],
        "GB": [
            (r"BT.*", _NORTHERN_IRELAND),
            (r"JE.*", Territory("Jersey", "JE", "GB")),
            (r"GY.*", Territory("Guernsey", "GG", "GB")),
            (r"IM.*", Territory("the Isle of Man", "IM", "GB")),
        ],
        "GR": [(r"6308[67]", Territory("Mount Athos"))],
        "IT": [
            (r"23041", Territory("Livigno")),
            (r"2206[01]", Territory("Campione d'Italia")),
            (r"4789\d", Territory("San Marino", "SM")),
            (r"00120", Territory("the Vatican", "VA")),
        ],
        "NO": [(r"917\d", Territory("Svalbard", "SJ"))],
        "US": [
            (r"00[679]\d{2}(\d{4})?", Territory("Puerto Rico", "PR", "US")),
            (r"008\d{2}(\d{4})?", Territory("the US Virgin Islands", "VI")),
            (r"969[123]\d(\d{4})?", Territory("Guam", "GU")),
            (r"9695\d(\d{4})?", Territory("the Northern Mariana Islands", "MP")),
            (r"96799(\d{4})?", Territory("American Samoa", "AS")),
        ],
    }.items()
}
_PUNCTUATION: Final = re.compile(r"[\s-]+")


def territory_of(country: str, postal_code: str) -> Territory | None:
    """Return the territory of its own that a postal code belongs to, ``None`` for the country itself."""
    code = _PUNCTUATION.sub("", postal_code).upper().removeprefix(f"{country}")
    for pattern, territory in _TERRITORIES.get(country, ()):
        if pattern.fullmatch(code):
            return territory
    return None


def customs_area(country: str, postal_code: str = "") -> str:
    """Return the name of the customs area of an address; goods that stay in one need no declaration."""
    if territory := territory_of(country, postal_code):
        return territory.area or territory.name
    return "EU" if country in EU else _SHARED.get(country, country)
