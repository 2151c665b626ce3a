"""The country codes the contract knows (contract: ``country-codes``).

ISO 3166-1's 249 codes, and two of Sendcloud's own: ``IC`` (Canary Islands) and ``XK`` (Kosovo).
"""

from __future__ import annotations

from typing import Final

__all__ = ["COUNTRIES", "NO_POSTAL_CODE", "WITHOUT_POSTAL_CODES", "suggest_country"]

_CODES: Final = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ
    BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR
    CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU
    IC ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP
    MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE
    PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH
    SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO
    TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM
    ZW
"""

_NO_POSTAL_CODES: Final = """
    AE AG AO AQ AW BF BI BJ BO BQ BS BV BW BZ CD CF CG CI CK CM CW DJ DM ER
    FJ GA GD GH GM GQ GY HK JM KI KM KN LC LY ML MO MR MS MW NR NU PA PS QA
    RW SB SC SL SR SS ST SX SY TD TF TG TK TL TO TT TV UG VU WS YE ZW
"""

COUNTRIES: Final[frozenset[str]] = frozenset(_CODES.split())

#: Texts that people write instead of a code, and the code they mean.
_MISTAKEN: Final[dict[str, str]] = {
    "EL": "GR",  # the European Union's own code for Greece, used in VAT numbers
    "EN": "GB",
    "UK": "GB",
    "XI": "GB",  # Northern Ireland in VAT numbers
}


#: Countries whose addresses have no postal code (the address formats of Google's libaddressinput).
WITHOUT_POSTAL_CODES: Final[frozenset[str]] = frozenset(_NO_POSTAL_CODES.split())

#: The text to write where a country has no postal codes, because the contract requires one (``minLength: 1``).
NO_POSTAL_CODE: Final = "00000"


def suggest_country(value: str) -> str | None:
    """Return the code that ``value`` probably means, ``None`` where no guess is safe."""
    code = value.strip().upper()
    code = _MISTAKEN.get(code, code)
    return code if code in COUNTRIES else None
