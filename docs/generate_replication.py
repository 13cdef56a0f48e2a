"""Write docs/replication.md from a folder that `birthmark replicate --out FOLDER` wrote.

birthmark calibrate planted --out planted
birthmark replicate --planted planted --out replication
python docs/generate_replication.py replication
"""

import sys
from pathlib import Path

from birthmark.records import Claim, DataNote, Replication, read_record

ANSWER = {True: "yes", False: "no", None: "–"}
OPENING = """# The published study, claim by claim

Made by

```
birthmark calibrate planted --out planted
birthmark replicate --planted planted --out replication
python docs/generate_replication.py replication
```

from the study's files ({data}); for `mwlr-most-sensitive`, of which no file is published, from words planted in two small
models ([how](implicit.md)). *Reproduced*: the published numbers come out of the published files. *Supported*: the
claim holds where base checkpoints, not prompts or models, are the unit; with two Gemma and three Llama base checkpoints
the smallest p that any data can give is .10, so no claim about the two families can be supported by these models,
however large the difference: that is a fact about the design, not about reward models. A claim *holds* if it is
reproduced and, where it speaks of model families, supported; *partly* if only one of these, or only a part of it;
*fails* if the files contradict it. [How the tests work](statistics.md).

## Claims

| claim | published | verdict | reproduced | supported | in words |
| --- | --- | --- | --- | --- | --- |
"""
ISSUES = """
## Issues in the published files

Each is detected by a check of the files, and disappears in a copy in which it is corrected.

| file | finding | what it changes |
| --- | --- | --- |
"""


def claim_row(claim: Claim) -> str:
    cells = (
        f"`{claim.id}`",
        claim.published,
        claim.verdict,
        ANSWER[claim.reproduced],
        ANSWER[claim.supported],
        claim.sentence,
    )
    return row(cells)


def issue_row(issue: DataNote) -> str:
    return row((issue.file, issue.finding, issue.effect))


def row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def page(record: Replication) -> str:
    """The page's Markdown."""
    data = "a clone of the authors' repository" if "github" not in record.data else record.data
    claims = "".join(map(claim_row, record.claims))
    return OPENING.format(data=data) + claims + ISSUES + "".join(map(issue_row, record.data_notes))


if __name__ == "__main__":
    written = Path(__file__).with_name("replication.md")
    written.write_text(page(read_record(Path(sys.argv[1]) / "replication.json", Replication)), encoding="utf-8")
    print(written)
