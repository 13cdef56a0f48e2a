"""`birthmark doctor`: what this machine can do."""

from typing import Annotated, Unpack

from birthmark.records import Doctor
from birthmark.scoring.declarations import Option, with_options
from birthmark.scoring.options import CatalogOptions


@with_options
def doctor(
    *,
    offline: Annotated[bool, Option("Ask nothing of the network.", None)] = False,
    **options: Unpack[CatalogOptions],
) -> Doctor:
    """What this machine can do, which models fit, and what to do about what is missing."""
    from pathlib import Path

    from birthmark.models.doctor import examine

    catalog = options["catalog"]
    return examine(Path(catalog) if catalog else None, network=not offline)
