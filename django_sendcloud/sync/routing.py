"""Routing by data: which of several integrations in use takes an order, by its country and its site."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from ..adapters import OrderAdapter
from ..models import Integration
from ..registry import registry

__all__ = ["adapters_route", "integration_for", "is_routed", "names_of_site", "route"]


def route(active: Sequence[Integration], country: Callable[[], str], sites: Collection[str] = ()) -> Integration | None:
    """Return the integration that fits best; ``None`` if none does, or several fit equally well.

    One that names the order's site precedes one that names its country, which precedes one that takes any order.

    Args:
        active: The integrations in use.
        country: Returns the order's country. Called only if an integration names countries.
        sites: Names of the order's site.
    """
    destination = country().upper() if any(each.for_countries for each in active) else ""
    ranked: dict[tuple[bool, bool], list[Integration]] = {}
    for each in active:
        fits_site = not each.for_sites or not set(sites).isdisjoint(each.for_sites)
        fits_country = not each.for_countries or destination in each.for_countries
        if fits_site and fits_country:
            ranked.setdefault((bool(each.for_sites), bool(each.for_countries)), []).append(each)
    best = ranked[max(ranked)] if ranked else []
    return best[0] if len(best) == 1 else None


def integration_for(country: str = "", site: object = "") -> Integration | None:
    """Return the integration in use that takes orders to a country from a site; ``None`` if that is not clear.

    Args:
        country: Code of the country; ``""`` if it is not known yet.
        site: The site or its name; ``""`` for a shop with one.
    """
    active = list(Integration.objects.active().select_related("account").order_by("pk"))
    return route(active, lambda: country, names_of_site(site))


def names_of_site(site: object) -> frozenset[str]:
    """Return the names an operator may enter for a site: its text, and its key if it is stored."""
    pk = getattr(site, "pk", None)
    return frozenset({str(site), *([str(pk)] if pk is not None else [])} - {"", "None"})


def is_routed(active: Iterable[Integration]) -> bool:
    """Return whether countries or sites of the integrations in use route orders."""
    return any(each.for_countries or each.for_sites for each in active)


def adapters_route() -> bool:
    """Return whether every adapter chooses the integration of an order itself."""
    adapters = list(registry)
    return bool(adapters) and all(
        type(adapter).get_integration is not OrderAdapter.get_integration for adapter in adapters
    )
