"""Preference files for the tests, each of a layout that a person may bring."""

import gzip
import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def pair_rows(number: int = 24) -> list[Row]:
    """Prompt, chosen, rejected: the longer the number, the longer the answers."""
    return [
        {
            "prompt": f"What matters in case {i}?",
            "chosen": f"love and care {'again ' * (i % 5)}{i}",
            "rejected": f"power {'x' * (i % 7)}{i}",
        }
        for i in range(number)
    ]


def write_rows(path: Path, rows: list[Row]) -> Path:
    """Write rows as the file's ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    lines = json.dumps(rows) if ".json" in path.suffixes else "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(lines, encoding="utf-8")
    return path


def said(role: str, content: str) -> Row:
    return {"role": role, "content": content}
