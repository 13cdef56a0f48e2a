"""What a machine can do: `birthmark doctor --json`."""

from birthmark.records.base import Record


class Cache(Record):
    """The cache folder: what it holds and what is free on its disk, in bytes."""

    folder: str
    bytes: int
    free_bytes: int


class FittingModel(Record):
    """Whether a catalog model can be run here: memory is that of its weights in `dtype` and 1 GiB, in bytes."""

    name: str
    parameters: int | None
    dtype: str
    memory_bytes: int | None
    fits: bool | None
    fetched: bool
    note: str | None = None


class Doctor(Record):
    """What `birthmark doctor --json` prints. `flops_per_second`: of a matrix product, precision → rate.

    `network`: place → whether it answered, null where it was not asked. `extras`: package → version, null where absent.
    """

    platform: str
    processor: str
    python: str
    torch: str
    transformers: str
    device: str
    gpus: list[str]
    cores: int | None
    threads: int
    memory_bytes: int | None
    flops_per_second: dict[str, float | None]
    cache: Cache
    network: dict[str, bool | None]
    extras: dict[str, str | None]
    models: list[FittingModel]
    hints: list[str]
