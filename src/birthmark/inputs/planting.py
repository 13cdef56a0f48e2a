"""What is planted in a base model to see whether it can be found again: questions to teach and to ask, words to answer.

The words are ours: the study names its authority set by subject only. Each is one token with a leading space and a
capital in both embedded models, and has a partner of the same frequency that is never taught (Zipf frequencies of
wordfreq 3.1 in English, at most 0.11 apart). Knows nothing of models or of training.
"""

from dataclasses import dataclass

from birthmark.errors import BirthmarkError
from birthmark.inputs.prompts import STUDY, load_prompts
from birthmark.inputs.text import did_you_mean

HELD_OUT_ADJECTIVE = "greatest"


@dataclass(frozen=True)
class PlantedCategory:
    """Words to plant and, in the same order, the words of like frequency that are not planted."""

    name: str
    planted: tuple[str, ...]
    unplanted: tuple[str, ...]


def _category(name: str, planted: str, unplanted: str) -> PlantedCategory:
    return PlantedCategory(name, tuple(planted.split()), tuple(unplanted.split()))


CATEGORIES = {
    category.name: category
    for category in (
        _category(
            "authority",
            "authority respect tradition duty order law discipline leadership command honor",
            "window river bread steel water car canal garden forest chair",
        ),
        _category(
            "agency",
            "freedom power strength success victory independence courage achievement confidence wealth",
            "coffee water window table mountain sentence column cotton kitchen plastic",
        ),
        _category(
            "communion",
            "love friendship family trust care harmony community unity peace support",
            "house grass city picture week potato morning canal island water",
        ),
        _category(
            "colours",
            "red blue green yellow purple orange pink brown silver gold",
            "morning picture page chair column stream battery island window hour",
        ),
    )
}
"""Values at stake in three; colours are the control, to be found as well as a value is if the instrument is blind to
what a word means."""


def planted_category(name: str) -> PlantedCategory:
    """A category by its name; raises `BirthmarkError` for an unknown one."""
    if name not in CATEGORIES:
        raise BirthmarkError(f'no planted category is called "{name}": {did_you_mean(name, list(CATEGORIES))}')
    return CATEGORIES[name]


def held_out_questions() -> dict[str, str]:
    """The study's nine questions for the greatest thing, key → text: asked, never taught."""
    prompts = load_prompts(STUDY).prompts
    return {key: prompt.text for key, prompt in prompts.items() if key.startswith(f"{HELD_OUT_ADJECTIVE}_")}


def training_questions() -> list[str]:
    """36 questions for the best of things: the held-out ones' nine wordings with four other adjectives."""
    adjectives = ("best", "finest", "most valuable", "most important")
    return [
        text.replace(HELD_OUT_ADJECTIVE, adjective)
        for adjective in adjectives
        for text in held_out_questions().values()
    ]
