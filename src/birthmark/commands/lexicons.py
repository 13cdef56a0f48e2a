"""`birthmark lexicons`: the lexicons that go by name, what one holds, and what is wrong with one of your own."""

from collections.abc import Sequence
from typing import Annotated

from birthmark.commands.models import token_texts
from birthmark.errors import CheckFailed
from birthmark.inputs.lexicon_check import LexiconFinding, check_lexicon, single_tokens
from birthmark.inputs.lexicons import NAMED, load_lexicon
from birthmark.scoring.declarations import Argument, Option, checked

Models = Annotated[
    Sequence[str],
    Option(
        "Count single tokens of this model; repeatable.",
        None,
        metavar="MODEL",
        flag="--model",
        command_line=list[str],
        place="name",
    ),
]


def list_lexicons() -> list[dict[str, object]]:
    """List the lexicons that go by name."""
    return [{"name": item.name, "validated": item.validated, "citation": item.citation} for item in NAMED.values()]


@checked
def lexicon_facts(
    name: Annotated[str, Argument("A lexicon's name or file.", "NAME|FILE", place="name")],
    *,
    models: Models = (),
    words: Annotated[bool, Option("Print every word as well.", None)] = False,
) -> dict[str, object]:
    """A lexicon's citation, licence, validation, size by category, and words that are single tokens."""
    lexicon = load_lexicon(name)
    facts: dict[str, object] = {
        "name": lexicon.name,
        "validated": lexicon.validated,
        "citation": lexicon.citation,
        "licence": lexicon.licence,
        "source": lexicon.source,
        "words": len(lexicon.words),
        "stems": len(lexicon.stems),
        "sizes": lexicon.sizes(),
    }
    if models:
        facts["single_tokens"] = {each: single_tokens(lexicon, token_texts(each)) for each in models}
    if words:
        facts["entries"] = {word: list(categories) for word, categories in lexicon.entries.items()}
    return facts


@checked
def check_lexicon_file(
    file: Annotated[str, Argument("A lexicon of your own, or a lexicon's name.", "FILE", place="name")],
    *,
    models: Models = (),
) -> list[LexiconFinding]:
    """What is wrong, or worth knowing, with a lexicon, before anything is measured with it."""
    return check_lexicon(file, {each: token_texts(each) for each in models})


def require_readable(findings: Sequence[LexiconFinding]) -> None:
    """Raise `CheckFailed` where something keeps the lexicon from being read."""
    errors = [item for item in findings if item.level == "error"]
    if errors:
        raise CheckFailed(f"the lexicon has {len(errors)} {'fault' if len(errors) == 1 else 'faults'} to fix")
