"""`birthmark prompts`: a prompt set's questions, and whether a file of your own can be read as one."""

from typing import Annotated

from birthmark.inputs.prompts import load_prompts
from birthmark.records import PromptSetRecord
from birthmark.scoring.declarations import Argument, checked
from birthmark.scoring.options import QuestionOptions

Prompts = QuestionOptions.__annotations__["prompts"]


@checked
def list_prompts(prompts: Prompts = "christian2026") -> PromptSetRecord:  # type: ignore[valid-type]
    """List a prompt set's keys, framings and texts."""
    return load_prompts(prompts)


@checked
def check_prompts(file: Annotated[str, Argument("A prompt set of your own.", "FILE", place="name")]) -> PromptSetRecord:
    """Read a prompt file (lines such as `key: {text: "…?", framing: positive}`) and say what it holds, or what is wrong."""
    return load_prompts(file)
