"""`birthmark edit`: the smallest change of a reward model's linear head that moves a lean to its target, and what it costs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Unpack

from birthmark.commands.models import resolve
from birthmark.commands.train import Preferences
from birthmark.errors import BirthmarkError
from birthmark.files import LOCK, lock_folder, write_text
from birthmark.foreign import one_line
from birthmark.inputs.answers import WORDS, load_answers
from birthmark.inputs.lexicons import INQUIRER_DEFAULT, Lexicon, is_fetched, load_lexicon
from birthmark.inputs.questions import OPEN_QUESTIONS, load_questions
from birthmark.records import (
    Edit,
    EditConsequences,
    Ensemble,
    NotApplicable,
    to_json,
)
from birthmark.records.base import Row, Shown
from birthmark.scoring.declarations import QUESTION, Argument, Option, select, with_options
from birthmark.scoring.measure import Measure, choose_frames, make_measure
from birthmark.scoring.options import (
    AnswerOptions,
    MachineOptions,
    MeasureOptions,
    ModelOptions,
    PromptOptions,
    PromptSetOptions,
    QuietOptions,
    ReadingOptions,
    SeedOptions,
    TemplateDateOptions,
)
from birthmark.scoring.run import score_model
from birthmark.scoring.table import ScoreTable, is_score_table, read_scores
from birthmark.values.editing import ask, two_categories
from birthmark.values.ensembles import Member, ensemble
from birthmark.values.wording_edit import edit_sentences, model_card

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.training.editing import Edited, EditRequest

MAX_TOKENS = 512
UNFINISHED = ".editing"  # in a folder while it is written
MOST_PAIRS = 1_000_000
ANSWERS, ANSWER_TOKENS = 8, 128  # of the policy
FOLDER = "consequences"  # of the policy's answers, in the new model's

Model = Annotated[str | Path, Argument("A reward model: a catalog name, a hub id or a folder.", "RM", place="name")]
OneLexicon = Annotated[
    "str | Path | Lexicon",
    Option(
        "The words whose lean is moved.",
        QUESTION,
        metavar="NAME|FILE",
        flag="--lexicon",
        command_line=str,
        place="name",
    ),
]
Categories = Annotated[
    Sequence[str],
    Option(
        "Two of the lexicon's categories, where it has more; give it twice.",
        QUESTION,
        metavar="NAME",
        flag="--category",
        command_line=list[str],
    ),
]
Target = Annotated[
    "str | Path | int | float",
    Option(
        "Where the lean shall be: no difference, a model's (or its score table's) contrast, or so many ranks.",
        QUESTION,
        metavar="neutral|MODEL|NUMBER",
        command_line=str,
    ),
]
Other = Annotated[
    "str | Path | Lexicon | None",
    Option(
        "A second lexicon, which is only measured. [default: the General Inquirer's affiliation and power, or starter]",
        QUESTION,
        metavar="NAME|FILE",
        command_line=str,
        place="name",
    ),
]
Beside = Annotated[
    "Sequence[str | Path]",
    Option(
        "Reward models on other bases, or their score tables: the mean of all z-scored rewards beside the edit. Repeatable.",
        QUESTION,
        metavar="MODEL|TABLE",
        flag="--ensemble",
        command_line=list[str],
        place="name",
    ),
]
Pairs = Annotated[
    int | None,
    Option(
        "Take a seeded sample of N pairs; half are held out. [default: 400]",
        QUESTION,
        metavar="N",
        least=1,
        most=MOST_PAIRS,
    ),
]
Tokens = Annotated[
    int, Option("Longer conversations of the pairs lose their beginning.", QUESTION, least=16, most=131_072)
]
Policy = Annotated[
    "str | Path | None",
    Option(
        "A language model that answers open questions, among whose answers the old and the new model then choose.",
        QUESTION,
        metavar="LM",
        command_line=str,
        place="name",
    ),
]
OpenQuestions = Annotated[
    "str | Path | None",
    Option(
        f"What the policy is asked: {OPEN_QUESTIONS} or a YAML file. [default: {OPEN_QUESTIONS}]",
        QUESTION,
        metavar="NAME|FILE",
        command_line=str,
        place="name",
    ),
]
PolicyAnswers = Annotated[
    int | None,
    Option(f"The policy's answers to each question. [default: {ANSWERS}]", QUESTION, flag="-n", least=2, most=1_024),
]
AnswerTokens = Annotated[
    int | None,
    Option(f"The most tokens of such an answer. [default: {ANSWER_TOKENS}]", QUESTION, least=1, most=8_192),
]
New = Annotated[
    "str | Path", Option("The edited model's folder, a new one.", metavar="NEW", command_line=Path, place="out")
]


class EditOptions(
    PromptSetOptions,
    PromptOptions,
    AnswerOptions,
    ReadingOptions,
    TemplateDateOptions,
    MachineOptions,
    ModelOptions,
    SeedOptions,
    QuietOptions,
    total=False,
):
    """What `edit` takes of prompts, of how rewards are read, and of the model."""


@dataclass(frozen=True, repr=False)
class EditResult(Shown):
    """An edited model's folder, what was done to it, and its page."""

    out: Path
    record: Edit
    report: Path

    def summary(self) -> str:
        return " ".join(self.record.sentences)

    def rows(self) -> list[Row]:
        """A row a way of changing the head and part of words and prompts: the contrast before and after."""
        return [{"method": way.method, **lean.model_dump()} for way in self.record.methods for lean in way.lean]

    def to_dict(self) -> dict[str, object]:
        """What `--json` prints."""
        return {"out": str(self.out), "report": str(self.report), **self.record.model_dump(mode="json")}


@with_options
def edit(
    model: Model,
    lexicon: OneLexicon,
    preferences: Preferences,
    out: New,
    *,
    target: Target = "neutral",
    categories: Categories = (),
    pairs: Pairs = None,
    max_tokens: Tokens = MAX_TOKENS,
    other: Other = None,
    beside: Beside = (),
    policy: Policy = None,
    questions: OpenQuestions = None,
    n: PolicyAnswers = None,
    answer_tokens: AnswerTokens = None,
    **options: Unpack[EditOptions],
) -> EditResult:
    """Change a reward model's linear head as little as possible so that a lean comes to its target; write the model anew.

    `out` becomes a folder that loads like the old one, with `birthmark.json` (what was done and what it did) and a page.
    Half of the words, prompts and pairs are held out, and all that is said of the edit is measured on them too; with `answers`
    in sentences as well, and with a `policy` by what the old and the new head choose among its answers. Raises
    `BirthmarkError` for a head that is not one linear layer, a lexicon without two categories, too few words,
    prompts or pairs, and a target out of reach.
    """
    from birthmark.commands.consequences import find_policy
    from birthmark.models.resolve import read_edit

    out = Path(out)
    _require_policy(policy, {"--questions": questions, "-n": n, "--answer-tokens": answer_tokens})
    with _new_folder(out):
        words = two_categories(_load(lexicon), [categories] if isinstance(categories, str) else list(categories))
        templates = load_answers(options["answers"]).templates
        asked = {**select(options, MeasureOptions), "lexicons": (words,), "candidates": "lexicon", "answers": WORDS}
        measure = make_measure(**asked)
        ask(
            words.words, words, dict(measure.prompts.prompts), seed=measure.seed
        )  # what is wrong is said before loading
        found = resolve(model, quiet=measure.quiet, **select(options, ModelOptions))
        if policy is not None:
            load_questions(questions or OPEN_QUESTIONS)
            find_policy(policy, None, options["chat_template"], quiet=measure.quiet, catalog=options["catalog"])
        others = [_beside(name, measure, options) for name in ([beside] if isinstance(beside, str | Path) else beside)]
        from birthmark.training.edit_record import edit_record  # imports torch, which a wrong name need not wait for
        from birthmark.training.editing import EditRequest, compute

        second, no_second = _second(other, words)
        ranks, table = _target(target, measure, options)
        request = EditRequest(
            model=found,
            measure=measure,
            lexicon=words,
            target=str(target),
            target_ranks=ranks,
            target_table=table,
            other=second,
            templates=templates,
            preferences=str(preferences),
            pairs=pairs,
            max_tokens=max_tokens,
        )
        edited = compute(request)
        together = _ensemble(request, edited, others)
        record = edit_record(request, edited, read_edit(found.adapter or found.path), together, no_second)
        _write(found, edited, record, out)
        if policy is not None:
            chosen = _consequences(found, policy, questions, n, answer_tokens, options, words, out)
            record = record.model_copy(update={"consequences": chosen, "consequences_why": None})
            record = record.model_copy(update={"sentences": edit_sentences(record)})
        page = _finish(found, record, out)
    return EditResult(out, record, page)


def _require_policy(policy: "str | Path | None", of_policy: Mapping[str, object]) -> None:
    given = [flag for flag, value in of_policy.items() if value is not None]
    if policy is None and given:
        raise BirthmarkError(f"{given[0]} is about a policy's answers: name the language model with --policy")


@contextmanager
def _new_folder(out: Path) -> Iterator[None]:
    """A new folder, or one that an edit left unfinished, locked; where nothing comes of it, it is not there afterwards."""
    if out.is_dir() and {item.name for item in out.iterdir()} - {LOCK} and not (out / UNFINISHED).exists():
        raise BirthmarkError(
            f"{out} holds files already, and an edited model needs a folder of its own: name a new one with --out"
        )
    was_there = out.is_dir()
    out.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(out)
    try:
        yield
    finally:
        if not was_there and {item.name for item in out.iterdir()} == {LOCK}:
            (out / LOCK).unlink()
            out.rmdir()
        lock.release()


def _load(lexicon: "str | Path | Lexicon") -> Lexicon:
    return lexicon if isinstance(lexicon, Lexicon) else load_lexicon(lexicon)


def _second(other: "str | Path | Lexicon | None", used: Lexicon) -> tuple[Lexicon | None, str | None]:
    """The lexicon that is only measured, or why there is none."""
    if other is not None:
        found = _load(other)
        if found.sha256 == used.sha256:
            raise BirthmarkError(f"--other {found.name} is the lexicon of the edit: give one that it does not use")
        return two_categories(found, ()), None
    if used.name != "general-inquirer" and is_fetched("general-inquirer"):
        return load_lexicon("general-inquirer").only(INQUIRER_DEFAULT), None
    if used.name != "starter":
        return load_lexicon("starter"), None
    return None, "no second lexicon was given (--other), and the General Inquirer is not in the cache"


def _target(
    target: "str | Path | int | float", measure: Measure, options: EditOptions
) -> tuple[float | None, ScoreTable | None]:
    """The target's ranks, or the score table of the model that it names; neither for `neutral`."""
    text = str(target).strip()
    if text == "neutral":
        return None, None
    if re.fullmatch(r"[+\-−]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", text, re.IGNORECASE):
        return float(text.replace("−", "-")), None
    if not text or text.lower() in ("nan", "inf", "-inf", "infinity", "-infinity"):
        raise BirthmarkError(
            f"--target takes neutral, a model or a number of ranks, not {one_line(text, 40) or 'nothing'}"
        )
    if is_score_table(text):
        return None, read_scores(text)
    return None, _scored(_found(text, measure, options), measure)


def _found(name: "str | Path", measure: Measure, options: EditOptions) -> "ResolvedModel":
    """Another model, under the same catalog and chat template."""
    return resolve(name, catalog=options["catalog"], chat_template=options["chat_template"], quiet=measure.quiet)


def _scored(model: "ResolvedModel", measure: Measure) -> ScoreTable:
    (frame,) = choose_frames([model], measure.frame, measure.protocol)
    return score_model(model, measure, frame)


def _beside(name: "str | Path", measure: Measure, options: EditOptions) -> "ScoreTable | ResolvedModel":
    """What stands beside the model in an ensemble; raises `BirthmarkError` for a language model."""
    found = read_scores(name) if is_score_table(name) else _found(name, measure, options)
    if (found.record if isinstance(found, ScoreTable) else found).kind != "reward":
        raise BirthmarkError(f"--ensemble takes reward models, and {one_line(name, 200)} is a language model")
    return found


def _ensemble(
    request: "EditRequest", edited: "Edited", others: "Sequence[ScoreTable | ResolvedModel]"
) -> Ensemble | NotApplicable:
    """The model before the edit together with the others; a model among them is scored, and asked for the held-out pairs."""
    from birthmark.training.editing import margins_of, own_margins

    if not others:
        return NotApplicable("no other reward models were given (--ensemble)")
    asked, lexicon, measure = edited.asked, request.lexicon, request.measure
    own = request.model
    members = [Member(own.name, own.base_checkpoint, asked.words, asked.prompts, edited.scores, own_margins(edited))]
    for other in others:
        if isinstance(other, ScoreTable):
            members.append(Member.of_table(other, lexicon))
        else:
            members.append(Member.of_table(_scored(other, measure), lexicon, margins_of(other, edited, request)))
    return ensemble(members, lexicon, measure.prompts.prompts, seed=measure.seed)


def _write(model: "ResolvedModel", edited: "Edited", record: Edit, out: Path) -> None:
    """The edited model's folder, with its record."""
    from birthmark.models.linear_end import write_edited

    write_text(out / UNFINISHED, "")
    write_edited(model, edited.end, edited.weights, out)
    write_text(out / "birthmark.json", to_json(record))


def _consequences(
    model: "ResolvedModel",
    policy: "str | Path",
    questions: "str | Path | None",
    n: int | None,
    tokens: int | None,
    options: EditOptions,
    lexicon: Lexicon,
    out: Path,
) -> EditConsequences:
    """What the old and the new model choose among the policy's answers, kept in a folder of the new one."""
    from birthmark.commands.consequences import consequences
    from birthmark.training.edit_effects import shift_changes

    shared = ("catalog", "chat_template", "template_date", "read", "bos", "dtype", "device", "seed", "quiet")
    found = consequences(
        model.name,
        out,
        policy=policy,
        prompts=questions or OPEN_QUESTIONS,
        n=n or ANSWERS,
        max_tokens=tokens or ANSWER_TOKENS,
        lexicons=(lexicon,),
        out=out / FOLDER,
        **{key: options[key] for key in shared},  # type: ignore[literal-required]
    )
    names = {chooser.slug: chooser.model for chooser in found.choosers}
    new = resolve(out, quiet=True, catalog=options["catalog"], chat_template=options["chat_template"])
    return shift_changes(found, names[model.slug], names[new.slug], lexicon.categories, FOLDER)


def _finish(model: "ResolvedModel", record: Edit, out: Path) -> Path:
    """The record in full, the page and the model card; then the folder is whole."""
    from birthmark.report.draw import draw

    card = (model.adapter or model.path) / "README.md"
    said = card.read_text(encoding="utf-8", errors="replace").rstrip() + "\n\n" if card.is_file() else ""
    write_text(out / "birthmark.json", to_json(record))
    write_text(out / "README.md", said + model_card(record))
    page = draw(out)
    (out / UNFINISHED).unlink()
    return page
