"""What was asked of an OUT folder: `study.json`."""

from birthmark.records.base import Record


class InputRecord(Record):
    """Something that was read: a model, prompt set, lexicon, score table or published file."""

    role: str
    name: str
    sha256: str
    path: str | None = None


class StudyRecord(Record):
    """`study.json` of an OUT folder. `asked` must agree for an OUT to take further models."""

    command: str
    command_line: str | None = None
    asked: dict[str, object]
    inputs: list[InputRecord]
    versions: dict[str, str]
    durations: dict[str, float]
    warnings: list[str] = []
