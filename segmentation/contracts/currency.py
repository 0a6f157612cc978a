"""Amounts can be added up in one currency only."""

from collections.abc import Mapping
from datetime import date

from segmentation.errors import DataContractError
from segmentation.store.state import AcceptedDay
from segmentation.tables import ORDERS


def check_currency(day: date, window: Mapping[date, AcceptedDay]) -> None:
    """Raises DataContractError if the orders of the day's window are in several currencies.

    window: day → what is accepted of it.
    """
    found: dict[str, date] = {}
    for other, accepted in window.items():
        if ORDERS in accepted.tables and (currency := accepted.tables[ORDERS].quality.get("currency")):
            found.setdefault(currency, other)
    if len(found) > 1:
        told = ", ".join(f"{currency} (first on {other})" for currency, other in sorted(found.items()))
        raise DataContractError(
            f"{day}: the orders of its window are in several currencies: {told}; convert them to one"
        )
