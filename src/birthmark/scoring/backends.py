"""The backends by name: the local one, and those of other packages.

Another package adds a backend through an entry point of the group `birthmark.backends`: a class without arguments, under
the name that `--backend` takes.
"""

from math import ceil

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.plugins import entry_points
from birthmark.scoring.backend import Backend
from birthmark.scoring.local import LocalBackend
from birthmark.scoring.measure import BACKENDS, LOCAL, Measure, require_backend


def backend_of(measure: Measure, models: int = 1) -> Backend:
    """What a measurement of so many models is to be scored by; raises `BirthmarkError` as `find_backend` does."""
    if measure.server is not None:
        from birthmark.scoring.server import ServerBackend

        return ServerBackend(measure.server)  # type: ignore[return-value]  # sentences are refused with a server
    if measure.ray is not None:
        from birthmark.scoring.ray_backend import RayBackend

        return RayBackend(measure.ray, models=models)
    return find_backend(measure.backend)


def models_at_once(measure: Measure, models: int) -> int:
    """How many models are scored at a time: on a cluster as many as fill it, and one more for the first one's last units."""
    if measure.ray is None:
        return 1
    from birthmark.scoring.cluster import connect, has_gpu, nodes, threads_for

    connect(measure.ray)
    prompts = len(measure.prompts.prompts)
    each = ("GPU", 1) if has_gpu() else ("CPU", threads_for(prompts))
    places = sum(node.get(each[0], 0) for node in nodes()) / each[1]
    return max(1, min(models, 1 + ceil(places / prompts)))


def find_backend(name: str) -> Backend:
    """The backend of that name; raises `BirthmarkError` for one that is not known or cannot be used."""
    return LocalBackend() if name == LOCAL else known_backends()[require_backend(name)]


def known_backends() -> dict[str, Backend]:
    """All backends by name: our own, then other packages'.

    Raises `BirthmarkError` for an entry point that cannot be read, is no `Backend`, or has a name that is taken.
    """
    found: dict[str, Backend] = {LOCAL: LocalBackend()}
    for point in entry_points(BACKENDS):
        whose = f"the backend {point.name} of the package {point.dist.name if point.dist else point.value}"
        if point.name in found:
            raise BirthmarkError(f"{whose} has a name that is taken: give it another in its entry point")
        try:
            made = point.load()()
        except Exception as error:  # noqa: BLE001  whatever importing another package raises
            raise BirthmarkError(f"{whose} cannot be imported ({one_line(error)}): repair or uninstall it") from None
        if not isinstance(made, Backend):
            raise BirthmarkError(f"{whose} is not a birthmark.scoring.backend.Backend: see docs/backends.md")
        found[point.name] = made
    return found
