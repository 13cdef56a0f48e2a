"""`birthmark card`: the values card of an audit as a section of a model page.

The section stands between two comments, so that writing it again replaces it; all else of the page, its front matter
included, stays as it is.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from birthmark.errors import BirthmarkError
from birthmark.files import atomic_path
from birthmark.foreign import one_line
from birthmark.inputs.text import MEGABYTE, is_file, is_nested_too_deeply
from birthmark.scoring.declarations import Argument, Option, checked

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

BEGIN, END = "<!-- birthmark: values, begin -->", "<!-- birthmark: values, end -->"
Change = Literal["inserted", "replaced", "unchanged"]


@dataclass(frozen=True)
class CardResult:
    """The card that was written, the model page that it went into, and where that was pushed."""

    card: Path
    model_card: Path | None = None
    change: Change | None = None
    pushed: str | None = None


@checked
def card(
    folder: Annotated[Path, Argument("The OUT of an audit or a comparison.", "DIR", command_line=Path, place="folder")],
    *,
    model_card: Annotated[
        str | Path | None,
        Option(
            "Insert the card into this model page as a section of its own, or replace the one that is there.",
            metavar="README.md",
            command_line=Path,
            place="name",
        ),
    ] = None,
    push: Annotated[
        str | None, Option("Then upload the page to this model on the hub; takes --model-card.", metavar="OWNER/NAME")
    ] = None,
) -> CardResult:
    """Write `folder/values-card.md`, half a page of Markdown; with `model_card` also as a section of that model page.

    The section is replaced where an earlier call left one. Nothing is uploaded unless `push` names a model on the hub. Raises
    `BirthmarkError` where `folder` has nothing to say, the page cannot be read, or the hub does not take it.
    """
    if push is not None and model_card is None:
        raise BirthmarkError("--push uploads a model page: name it with --model-card README.md")
    from birthmark.report.card import write_card  # imports altair, which a wrong name need not wait for

    written = write_card(folder)
    if model_card is None:
        return CardResult(written)
    page = Path(model_card)
    change = put_section(page, written.read_text(encoding="utf-8"))
    return CardResult(written, page, change, _push(page, push) if push is not None else None)


def put_section(page: Path, section: str) -> Change:
    """Put the section into a model page, made where it is not there; says whether it was new, replaced, or the same.

    Raises `BirthmarkError` for a page that is no UTF-8 text, whose front matter cannot be read, or that has one of the two
    comments without the other, or twice.
    """
    old = _read(page) if page.exists() else ""
    text = _body(page, old)
    header, ends = old[: len(old) - len(text)], "\r\n" if "\r\n" in old else "\n"
    made = "\n".join([BEGIN, *section.strip("\n").splitlines(), END]).replace("\n", ends)
    counts = text.count(BEGIN), text.count(END)
    if counts == (0, 0):
        gap = ends * 2 if text.strip() else ends if header else ""
        body = f"{text.rstrip()}{gap}{made}{ends}"
    elif counts == (1, 1) and text.index(BEGIN) < text.index(END):
        before, _, rest = text.partition(BEGIN)
        body = before + made + rest.partition(END)[2]
    else:
        raise BirthmarkError(
            f"{page} has not exactly one pair of the comments {BEGIN} and {END}: remove them, or put them around the section"
        )
    new = header + body
    if new == old:
        return "unchanged"
    with atomic_path(page) as temporary:
        temporary.write_bytes(new.encode())
    return "replaced" if counts == (1, 1) else "inserted"


def _read(page: Path) -> str:
    if not is_file(page):
        raise BirthmarkError(f"{page} is not a file: name a model page, README.md")
    try:
        if page.stat().st_size > MEGABYTE:
            raise BirthmarkError(f"{page} has more than 1 MB: name a model page, README.md")
        return page.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BirthmarkError(
            f"{page} cannot be read as UTF-8 text ({one_line(error, 80)}): name a model page"
        ) from None


def _body(page: Path, text: str) -> str:
    """What follows the front matter; all of it where there is none."""
    fenced = re.match(r"\s*---[\r\n][\S\s]*?[\r\n]---\s*(\n|$)", text)
    return _parsed(page, text).text if fenced else text


def _parsed(page: Path, text: str) -> "ModelCard":
    import yaml
    from huggingface_hub import ModelCard

    if is_nested_too_deeply(text):
        raise BirthmarkError(f"{page}: its front matter is nested too deeply")
    try:
        return ModelCard(text, ignore_metadata_errors=True)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise BirthmarkError(
            f"{page}: its front matter is not YAML that the hub reads ({one_line(error, 120)})"
        ) from None


def _push(page: Path, model: str) -> str:
    """Upload a page as the model's README.md; returns the address of the commit."""
    from huggingface_hub import upload_file

    try:
        commit = upload_file(
            path_or_fileobj=page.read_bytes(),
            path_in_repo="README.md",
            repo_id=model,
            commit_message="Values, as birthmark measures them",
        )
    except Exception as error:  # noqa: BLE001  the hub's and the HTTP library's
        raise BirthmarkError(
            f"{page} was written, but {one_line(model)} does not take it ({one_line(error, 160)}): check the name, log in with "
            "`hf auth login`, or upload it yourself"
        ) from None
    return str(getattr(commit, "commit_url", commit))
