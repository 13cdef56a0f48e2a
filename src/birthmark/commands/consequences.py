"""`birthmark consequences`: what reward models choose among a policy's answers, and how that shifts a lexicon's words.

OUT holds the policy's answers, which reward models that join later share; each call draws all of its reward models anew.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import numpy as np

from birthmark.commands.models import resolve
from birthmark.errors import BirthmarkError
from birthmark.files import require_unlike, sha256_of, write_text
from birthmark.inputs.questions import ABOUT, OPEN_QUESTIONS, load_questions
from birthmark.records import AnswersPlan, Consequences, NotApplicable, PolicyFacts, PromptSetRecord, to_json
from birthmark.scoring.answers import (
    RANDOM_HEADS,
    SAMPLES,
    Sampling,
    check_head,
    draw_answers,
    judge_answers,
    read_rewards,
    reward_records,
    texts_of,
)
from birthmark.scoring.declarations import MODEL, QUESTION, Argument, Option, select, with_options
from birthmark.scoring.measure import Measure, make_measure, server_address
from birthmark.scoring.options import (
    CatalogOptions,
    EngineOptions,
    Lexicons,
    MachineOptions,
    MeasureOptions,
    Out,
    PlacementOptions,
    QuietOptions,
    ReadingOptions,
    SeedOptions,
    TemplateDateOptions,
)
from birthmark.scoring.table import ScoreTable, read_scores
from birthmark.stats.selection import best_of_n_kl
from birthmark.study import Study, open_study, require_same_study
from birthmark.values.answer_words import entries_of_several_words
from birthmark.values.choices import Counted, Said, make_judges
from birthmark.values.consequences import (
    DRAWS,
    all_shifts,
    differences,
    example_pairs,
    family_shifts,
    is_main,
    link,
    no_families,
    word_rates,
)
from birthmark.values.wording_consequences import answer_warnings, leading

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

MOST_ANSWERS, MOST_TOKENS = 1_024, 8_192

Models = Annotated[
    str | Path,
    Argument("Reward models: catalog names, hub ids or folders.", "RM…", command_line=list[str], place="name"),
]
PolicyName = Annotated[
    str | Path,
    Option("The language model that answers.", MODEL, metavar="LM", command_line=str, place="name"),
]
Server = Annotated[
    "str | None",
    Option("A server that runs the policy: vLLM, SGLang, or one with OpenAI's /v1/completions.", MODEL, metavar="URL"),
]
Template = Annotated[
    "str | Path | None",
    Option(
        "The policy's chat template, and that of reward models without one.",
        MODEL,
        metavar="plain|FILE",
        command_line=str,
        place="name",
    ),
]
Questions = Annotated[
    "str | Path",
    Option(
        "Open questions: open-questions or a YAML file.", QUESTION, metavar="NAME|FILE", command_line=str, place="name"
    ),
]
Count = Annotated[int, Option("Answers to each question.", QUESTION, flag="-n", least=2, most=MOST_ANSWERS)]
Longest = Annotated[int, Option("The most tokens of an answer.", QUESTION, least=1, most=MOST_TOKENS)]
Temperature = Annotated[
    float, Option("Of the policy; 1 draws from the model's own distribution.", QUESTION, least=0.01, most=10)
]
Contrasts = Annotated[
    "Sequence[str | Path | ScoreTable]",
    Option(
        "Score tables of the same reward models: do their one-word contrasts predict the shifts? Repeatable.",
        QUESTION,
        metavar="TABLE",
        command_line=list[Path],
        place="file",
    ),
]


class ConsequencesOptions(
    CatalogOptions,
    TemplateDateOptions,
    ReadingOptions,
    EngineOptions,
    MachineOptions,
    PlacementOptions,
    SeedOptions,
    QuietOptions,
    total=False,
):
    """What `consequences` shares with other commands: how models are read and run."""


@with_options
def consequences(
    *models: Models,
    policy: PolicyName,
    policy_server: Server = None,
    chat_template: Template = None,
    prompts: Questions = OPEN_QUESTIONS,
    n: Count = 16,
    max_tokens: Longest = 128,
    temperature: Temperature = 1.0,
    lexicons: Lexicons = (),  # type: ignore[valid-type]
    contrasts: Contrasts = (),
    out: Out = "birthmark-consequences",
    **options: Unpack[ConsequencesOptions],
) -> Consequences:
    """What reward models would have a policy say: `n` answers to each open question, chosen among by each reward model.

    `out` keeps the answers, which reward models that join later share: the result is of all that were ever scored there.
    Raises `BirthmarkError` for a model of the wrong kind, for answers among which nothing can be chosen, and as `score` does.
    """
    sampling, questions, measure = _asked(prompts, n, max_tokens, temperature, lexicons, options)
    policy_server = server_address(policy_server, "--policy-server") if policy_server is not None else None
    if not models:
        raise BirthmarkError("name at least one reward model")
    tables = [table if isinstance(table, ScoreTable) else read_scores(table) for table in contrasts]
    found = find_policy(policy, policy_server, chat_template, quiet=options["quiet"], catalog=options["catalog"])
    judges = [_reward_model(name, chat_template, options) for name in models]
    _require_different(judges)
    require_unlike([judge.slug for judge in judges], "the reward models have one table each, and")
    for judge in judges:
        check_head(judge)  # before the policy answers, which takes long
    study = open_study(Path(out), "consequences", _of_study(found, sampling, questions, policy_server, measure))
    study.add_input("questions", questions.name, questions.sha256)
    study.add_input("policy", found.name, found.digests.weights)
    with study.timed("answers"):
        answers = draw_answers(found, sampling, questions, measure, policy_server, study.out)
    study.add_input("answers", SAMPLES, sha256_of(study.out / SAMPLES))
    study.save()
    shape = (len(questions.prompts), n)
    said = Said(
        keys=tuple(questions.prompts),
        questions=tuple(item.text for item in questions.prompts.values()),
        abouts=tuple(item.factors.get(ABOUT) for item in questions.prompts.values()),
        texts=texts_of(answers, list(questions.prompts)),
        tokens=answers["tokens"].to_numpy().reshape(shape),
        finished=answers["finished"].to_numpy().reshape(shape),
    )
    said.counts()  # before a reward model is loaded
    for judge in judges:
        with study.timed(f"score {judge.slug}"):
            judge_answers(judge, measure, answers, study.out)
        study.add_input("model", judge.name, judge.digests.adapter or judge.digests.weights)
        study.save()
    records = reward_records(study.out)
    rewards = [read_rewards(study.out, record, answers) for record in records]
    with study.timed("consequences"):
        policy_facts = PolicyFacts(
            model=found.name, weights=found.digests.weights, served=policy_server is not None, **asdict(sampling)
        )
        record = _result(policy_facts, questions, said, records, rewards, measure, tables)
    return _finish(study, record, measure)


def _finish(study: Study, record: Consequences, measure: Measure) -> Consequences:
    for lexicon in measure.lexicons:
        study.add_input("lexicon", lexicon.name, lexicon.sha256)
    write_text(study.out / "consequences.json", to_json(record))
    study.finish(record.warnings, quiet=measure.quiet)
    return record


def _result(
    policy: PolicyFacts,
    questions: PromptSetRecord,
    said: Said,
    records: Sequence[Any],
    rewards: Sequence[tuple[np.ndarray, np.ndarray]],
    measure: Measure,
    tables: Sequence[ScoreTable],
) -> Consequences:
    judges = make_judges(records, rewards, said)
    counted = [Counted.of(lexicon, said) for lexicon in measure.lexicons]
    shifts = [shift for each in counted for shift in all_shifts(judges, each, said, measure.seed)]
    choosers = [judge.chooser(said) for judge in judges]
    counts, why = said.counts(), no_families(judges)
    phrases = {lexicon.name: entries_of_several_words(lexicon) for lexicon in measure.lexicons}
    links = [
        link(judges, [shift for shift in shifts if shift.lexicon == item.name], item, tables, measure.seed)
        for item in measure.lexicons
    ]
    return Consequences.build(
        policy=policy,
        questions=questions.name,
        abouts={str(about or "other"): said.abouts.count(about) for about in dict.fromkeys(said.abouts)},
        lexicons=[lexicon.name for lexicon in measure.lexicons],
        kl_target=best_of_n_kl(said.n),
        draws=DRAWS,
        random_heads=RANDOM_HEADS,
        counts=counts,
        choosers=choosers,
        shifts=shifts,
        differences=[item for each in counted for item in differences(judges, each, said, measure.seed)],
        families=NotApplicable(why)
        if why
        else [
            item
            for each in counted
            for item in family_shifts(judges, [s for s in shifts if s.lexicon == each.lexicon], each, measure.seed)
        ],
        links=links,
        words=word_rates(judges, counted, said),
        examples=example_pairs(judges, said, measure.seed),
        sentences=leading([shift for shift in shifts if is_main(shift)], choosers),
        warnings=[
            *answer_warnings(counts),
            *(f"{name}: {count} entries of several words are not counted" for name, count in phrases.items() if count),
            *(f"{item.model}: {item.n_unknown:,} answers have text that its tokenizer cannot write" for item in records if item.n_unknown),
            *(f"{item.model}: {text}" for item in records for text in item.warnings),
        ],
    )  # fmt: skip


def plan_consequences(
    *models: str | Path,
    policy: str | Path,
    policy_server: str | None = None,
    prompts: str | Path = OPEN_QUESTIONS,
    n: int = 16,
    max_tokens: int = 128,
    out: str | Path | None = None,
    **options: Any,
) -> list[AnswersPlan]:
    """What `consequences` would do, about how long and in how much memory; nothing is loaded, fetched or written.

    An answer is taken to have half of the most tokens.
    """
    from birthmark.commands.plan import CONTEXT_TOKENS, facts_of
    from birthmark.inputs.catalog import load_catalog
    from birthmark.inputs.lexicons import load_lexicons
    from birthmark.models.loading import check_placement
    from birthmark.models.machine import estimate, free_memory
    from birthmark.scoring.local import choose_machine

    if not models:
        raise BirthmarkError("name at least one reward model")
    if policy_server is not None:
        server_address(policy_server, "--policy-server")
    questions, folder = load_questions(prompts), Path(out) if out is not None else None
    load_lexicons(options.get("lexicons") or "starter")  # what is wrong with one is said now
    if folder is not None:
        require_same_study(
            folder, "consequences", {"questions_sha256": questions.sha256, "n": n, "max_tokens": max_tokens}
        )
    kept = folder is not None and (folder / SAMPLES).is_file()
    known = load_catalog(Path(options["catalog"]) if options.get("catalog") else None)
    device, _ = choose_machine(options.get("device"), options.get("dtype"))
    check_placement(device, options.get("quantize"), options.get("device_map"))
    free = free_memory(device, spread=options.get("device_map") is not None)
    rows = []
    for name, role in ((policy, "policy"), *((model, "reward model") for model in models)):
        if role == "policy" and policy_server is not None:
            continue
        entry, kind, parameters = facts_of(name, known)
        _require_kind(str(name), kind, "logprob" if role == "policy" else "reward")
        _, dtype = choose_machine(options.get("device"), options.get("dtype"), entry)
        answers = n * len(questions.prompts)
        each = max_tokens / 2 + CONTEXT_TOKENS * (1 if role == "policy" else 1 / n)
        tokens = 0 if kept and role == "policy" else round(answers * each)
        cost = (
            estimate(parameters, dtype, device, tokens=tokens, quantize=options.get("quantize")) if parameters else None
        )
        rows.append(
            AnswersPlan(
                model=str(name), role=role, questions=len(questions.prompts), answers=answers, answers_kept=kept, device=device,  # type: ignore[arg-type]
                dtype=dtype, parameters=parameters, seconds=round(cost.seconds, 4) if cost else None,
                memory_bytes=cost.memory_bytes if cost else None, free_bytes=free,
                fits=cost.memory_bytes <= free if cost else None,
            )
        )  # fmt: skip
    return rows


# ----------------------------------------------------------------------------------------------------- what is asked


def _asked(
    prompts: str | Path, n: int, max_tokens: int, temperature: float, lexicons: Any, options: ConsequencesOptions
) -> tuple[Sampling, PromptSetRecord, Measure]:
    """How answers are drawn, the questions, and how reward models read them."""
    questions = load_questions(prompts)
    measure = make_measure(lexicons=lexicons, **select(options, MeasureOptions))
    sampling = Sampling(n=n, max_tokens=max_tokens, temperature=temperature, seed=options["seed"])
    return sampling, questions, replace(measure, prompts=questions)


def find_policy(
    name: str | Path, server: str | None, template: str | Path | None, *, quiet: bool, catalog: str | Path | None
) -> "ResolvedModel":
    """The language model that answers; raises `BirthmarkError` for a reward model, and for one without a chat template."""
    asked: dict[str, Any] = {"quiet": quiet, "catalog": catalog, "chat_template": template}
    if server is not None:
        from birthmark.models.resolve import resolve as find
        from birthmark.scoring.server import source_of

        found = find(source_of(server, str(name)), weights=False, **asked)
    else:
        found = resolve(name, **asked)
    _require_kind(found.name, found.kind, "logprob")
    if not found.chat_template:
        raise BirthmarkError(
            f"{found.name} has no chat template to ask it with: give one with --chat-template (`plain` is bundled)"
        )
    return found


def _reward_model(name: str | Path, template: str | Path | None, options: ConsequencesOptions) -> "ResolvedModel":
    """The model, with the chat template where it has none of its own."""
    asked: dict[str, Any] = {"quiet": options["quiet"], "catalog": options["catalog"]}
    found = resolve(name, **asked)
    _require_kind(found.name, found.kind, "reward")
    return found if found.chat_template or template is None else resolve(name, **asked, chat_template=template)


def _require_different(judges: "Sequence[ResolvedModel]") -> None:
    """Raise `BirthmarkError` for a reward model that is named twice."""
    for at, judge in enumerate(judges):
        if judge.slug in [other.slug for other in judges[:at]]:
            raise BirthmarkError(f"{judge.name} is named twice: name each reward model once")


def _require_kind(name: str, kind: str | None, wanted: str) -> None:
    if kind is not None and kind != wanted:
        other = "a language model: name reward models, and the language model with --policy"
        policy = "a reward model: --policy takes the language model that answers"
        raise BirthmarkError(f"{name} is {other if wanted == 'reward' else policy}")


def _of_study(
    policy: "ResolvedModel", sampling: Sampling, questions: PromptSetRecord, server: str | None, measure: Measure
) -> dict[str, object]:
    """What all reward models of one OUT share: the answers, and how they are read."""
    return {
        "policy": policy.name,
        "policy_weights": policy.digests.weights,
        "policy_template": policy.digests.template,
        "served": server is not None,
        "questions": questions.name,
        "questions_sha256": questions.sha256,
        **asdict(sampling),
        **{name: getattr(measure, name) for name in ("read", "bos", "template_date", "dtype", "quantize")},
    }
