"""The commands by help panel: which functions each runs, how results are shown, examples. Parse, call, print.

A new command is an entry here, a file in `commands/`, and a function in a `show` module.
"""

from typing import Annotated, Any

import typer

from birthmark import __version__
from birthmark.cli.build import build, group_of
from birthmark.cli.command import Command, Group, Mode
from birthmark.cli.two_sides import TwoSides, pair, two_sides
from birthmark.scoring.declarations import OUTPUT, QUESTION, RUN, Option

MEASURE, COMPARE, TRAIN, TRUST = "Measure", "Compare", "Train", "Trust"
LOOK_UP, WORKSHOP = "Look up", "Workshop"

AUDIT = Command(
    "audit",
    "Audit models end to end: score, compare, trace, and draw the report.",
    modes=(
        Mode("commands.audit:audit", "cli.show:print_audit", plan="commands.plan:plan_audit"),
        Mode(
            "commands.audit_personas:audit_personas",
            "cli.show_measure:print_personas",
            when="personas",
            plan="commands.plan:plan_personas",
        ),
    ),
    panel=MEASURE,
    examples=(
        "birthmark audit",
        "birthmark audit ./my-reward-model --family Llama --base-checkpoint Llama-3.1-8B-Instruct --out mine",
        "birthmark audit gemma-3-270m smollm2-135m-instruct --prompt greatest_ever_one --candidates lexicon --out quick",
        "birthmark audit gemma-3-270m smollm2-135m-instruct --control frequency,length,tokens --control prompt",
        "birthmark audit skywork-reward-v2-llama-3.2-1b --with-base --out beside-its-base",
        "birthmark audit ./my-reward-model --among study --out among-the-ten",
        "birthmark audit --catalog-set study --out ten",
        "birthmark audit smollm2-135m-instruct --persona personas.yaml --out personas",
    ),
)
SCORE = Command(
    "score",
    "Score one model's one-word answers: one table, candidates by prompts.",
    modes=(
        Mode("commands.score:score", "cli.show:print_scores", plan="commands.plan:plan_score"),
        Mode(
            "commands.score:explain",
            "cli.show_measure:print_explanation",
            when="explain",
            flag=Annotated[
                bool, Option("Show what is read for the first candidate, token by token; score nothing.", OUTPUT)
            ],
        ),
        Mode(
            "commands.score:score_attributes",
            "cli.show_measure:print_attribute_scores",
            when="attributes",
            flag=Annotated[
                bool, Option("Score a reward model attribute by attribute, where its head joins several.", OUTPUT)
            ],
            plan="commands.plan:plan_score",
        ),
        Mode(
            "commands.score:score_personas",
            "cli.show_measure:print_persona_scores",
            when="personas",
            plan="commands.plan:plan_personas",
        ),
    ),
    panel=MEASURE,
    examples=(
        'birthmark score smollm2-135m-instruct --prompt "What matters most?" --candidates love,freedom',
        "birthmark score smollm2-135m-instruct --prompt greatest_ever_one --candidates lexicon --json",
        "birthmark score gemma-3-270m --prompt best_ever_one --out scored",
        "birthmark score smollm2-135m-instruct --explain --candidates love,freedom",
        'birthmark score smollm2-135m-instruct --system "You are a pirate." --candidates love,freedom',
    ),
)
IMPLICIT = Command(
    "implicit",
    "The implicit reward that turns A into B: what B prefers that A does not.\n\n"
    "With --grid, the models before -- are each compared with each one after it.",
    modes=(
        Mode(
            "commands.implicit:implicit",
            "cli.show:print_implicit",
            plan="commands.plan:plan_implicit",
            places=pair,
        ),
        Mode(
            "commands.implicit:implicit_grid",
            "cli.show:print_implicit_grid",
            when="grid",
            flag=Annotated[bool, Option("Every model before -- against every one after it.", QUESTION)],
            plan="commands.plan:plan_implicit_grid",
            places=two_sides,
        ),
    ),
    panel=MEASURE,
    words=TwoSides,
    examples=(
        "birthmark implicit gemma-3-270m smollm2-135m-instruct",
        "birthmark implicit gemma-3-270m smollm2-135m-instruct --prompt worst_ever_one --lexicon starter --out worst",
        "birthmark implicit gemma-3-270m smollm2-135m-instruct --fold --set-aside markdown,punctuation --out words",
        "birthmark implicit --grid gemma-3-270m -- smollm2-135m-instruct --words love,freedom --out grid",
    ),
)
CONSEQUENCES = Command(
    "consequences",
    "What reward models would have a policy say: which of its answers each chooses, and how that shifts the lexicon's words.",
    modes=(
        Mode(
            "commands.consequences:consequences",
            "cli.show_consequences:print_consequences",
            plan="commands.consequences:plan_consequences",
            show_plan="cli.show_consequences:print_answers_plan",
        ),
    ),
    panel=MEASURE,
    examples=(
        "birthmark consequences ./my-reward-model --policy smollm2-135m-instruct --prompts my-questions.yaml -n 4 --max-tokens 16",
        "birthmark consequences ./my-reward-model --policy smollm2-135m-instruct --dry-run",
    ),
)
COMPARE_TABLES = Command(
    "compare",
    "Compare model families: the paper's tests, and tests that respect what was sampled.",
    modes=(
        Mode(
            "commands.compare:compare",
            "cli.show:print_compared",
            also={"word": Annotated[str | None, Option("Print one word's difference between the families.", None)]},
        ),
        Mode(
            "commands.compare:hold_to_budget",
            "cli.show_training:print_budgets",
            when="budget",
            after="commands.compare:require_within",
        ),
        Mode(
            "commands.compare:compare_stages",
            "cli.show_training:print_stages",
            when="stages",
            flag=Annotated[
                bool,
                Option("How much of reward models' values their language models hold, stage by stage, instead.", None),
            ],
        ),
    ),
    panel=COMPARE,
    examples=(
        "birthmark compare birthmark-audit/scores/gemma-3-270m.parquet birthmark-audit/scores/smollm2-135m-instruct.parquet",
        'birthmark compare --budget "contrast<=10" new.parquet reference.parquet',
        "birthmark compare --stages gemma-lm.parquet gemma-rm.parquet llama-lm.parquet llama-rm.parquet",
    ),
)
MAP = Command(
    "map",
    "How models relate to each other, what predicts it, and how they agree with people.",
    modes=(Mode("commands.map:map_tables", "cli.show:print_map"),),
    panel=COMPARE,
    examples=(
        "birthmark map birthmark-audit/scores/gemma-3-270m.parquet birthmark-audit/scores/smollm2-135m-instruct.parquet",
        "birthmark map --human fetch --out people",
    ),
)
TRAIN_RM = Command(
    "train",
    "Train a reward model from a base, with checkpoints to track; the same command resumes an interrupted run.",
    modes=(
        Mode(
            "commands.train:train",
            "cli.show_training:print_run",
            plan="commands.plan_training:plan_training",
            show_plan="cli.show_training:print_training_plan",
            watch="cli.show_training:print_each_training",
        ),
        Mode(
            "commands.train:train_grid",
            "cli.show_training:print_runs",
            when="grid",
            plan="commands.plan_training:plan_grid",
            show_plan="cli.show_training:print_grid_plan",
            watch="cli.show_training:print_each_training",
        ),
    ),
    panel=TRAIN,
    examples=(
        "birthmark train --base gemma-3-270m --chat-template plain --preferences pairs.jsonl --preset small --out runs/gemma",
        "birthmark train --base Qwen/Qwen2.5-0.5B-Instruct --preferences skywork-80k --every 6 --loss grm-sft",
        "birthmark train --grid grid.yaml --out runs",
        "birthmark train --grid grid.yaml --out runs --dry-run",
        "birthmark train --base smollm2-135m-instruct --preferences pairs.parquet --pairs 64 --dry-run",
    ),
    launch=Annotated[bool, Option("Print the line that runs this on several GPUs, for SLURM.", RUN)],
)
TRACK = Command(
    "track",
    "Follow values through training: score every checkpoint of some runs, and say how long a gap between bases lasts.",
    modes=(
        Mode(
            "commands.track:track",
            "cli.show_training:print_track",
            plan="commands.plan_training:plan_track",
            show_plan="cli.show_training:print_track_plan",
        ),
    ),
    panel=TRAIN,
    examples=(
        "birthmark track runs/gemma-hh runs/smollm-hh --prompt best_ever_one --prompt worst_ever_one --out tracked",
        "birthmark track ./trainer-output --lexicon my-words.csv",
        "birthmark track OWNER/my-reward-model --revisions 'step-*' --candidates vocabulary",
        "birthmark track runs/gemma-hh runs/smollm-hh --dry-run",
    ),
)
EDIT = Command(
    "edit",
    "Move a reward model's lean by the smallest change of its linear head; measure what is left and what it costs.",
    modes=(Mode("commands.edit:edit", "cli.show_training:print_edit"),),
    panel=TRAIN,
    examples=(
        "birthmark edit ./my-reward-model --lexicon starter --preferences pairs.jsonl --out neutral",
        "birthmark edit ./my-reward-model --lexicon my-words.csv --target 0 --preferences pairs.jsonl --pairs 60 --out own",
        "birthmark edit ./my-reward-model --lexicon my-words.csv --ensemble reference.parquet --preferences pairs.jsonl --out both",
    ),
)
CHOOSE = Command(
    "choose",
    "Which base to build on: audit candidates, train small equal reward models on each, test them on held-out pairs.",
    modes=(
        Mode(
            "commands.choose:choose",
            "cli.show_training:print_choice",
            plan="commands.plan_choose:plan_choose",
            show_plan="cli.show_training:print_choice_plan",
        ),
    ),
    panel=TRAIN,
    examples=(
        "birthmark choose gemma-3-270m smollm2-135m-instruct --preferences pairs.jsonl --pairs 64,256",
        "birthmark choose OWNER/base OWNER/other-base --preferences hh-rlhf --pairs 1024 --seeds 5 --target neutral --out choice",
        "birthmark choose gemma-3-270m smollm2-135m-instruct --preferences pairs.jsonl --pairs 16 --held-out 32 --dry-run",
    ),
)
REPLICATE = Command(
    "replicate",
    "The published study from its data, claim by claim, with a verdict on each.",
    modes=(Mode("commands.replicate:replicate", "cli.show:print_replication"),),
    panel=TRUST,
    examples=(
        "birthmark replicate",
        "birthmark replicate --data ./reward_models_inherit_value_biases_from_pretraining",
        "birthmark replicate --planted birthmark-calibrate",
    ),
)
CALIBRATE = Group(
    "calibrate",
    "What the instrument can see, and how often it errs.",
    TRUST,
    (
        Command(
            "tests",
            "False positives, power and coverage of every test and interval, on relabelled and on simulated studies.",
            modes=(Mode("commands.calibrate:calibrate_tests", "cli.show_trust:print_calibration"),),
            examples=(
                "birthmark calibrate tests",
                "birthmark calibrate tests --data ./clone --studies 500 --out calibration",
            ),
        ),
        Command(
            "planted",
            "Teach base models words on purpose, and see which metric finds them again. An interrupted call resumes.",
            modes=(
                Mode(
                    "commands.calibrate:calibrate_planted",
                    "cli.show_trust:print_calibration",
                    plan="commands.plan_training:plan_planted",
                    show_plan="cli.show_trust:print_planting",
                ),
            ),
            examples=(
                "birthmark calibrate planted",
                "birthmark calibrate planted --base smollm2-135m-instruct --category authority --seeds 2 --out planted",
                "birthmark calibrate planted --setting full --dry-run",
            ),
        ),
        Command(
            "plan",
            "The power of a study before it is run, and what would raise it. SDs: the published study's, of 263 words.",
            modes=(Mode("commands.calibrate:calibrate_plan", "cli.show_trust:print_plan"),),
            examples=(
                "birthmark calibrate plan --bases 5,5 --rms-per-base 2 --sd-base 16.6 --sd-rm 7.2 --shift 20",
                "birthmark calibrate plan --bases 4,6 --shift 30 --json",
            ),
        ),
    ),
)
MODELS = Group(
    "models",
    "The models that birthmark knows by name.",
    LOOK_UP,
    (
        Command(
            "list",
            "List the catalog; several filters hold together, capitals do not matter.",
            modes=(Mode("commands.models:list_models", "cli.show_look_up:print_models"),),
            examples=(
                "birthmark models list --kind reward",
                "birthmark models list --family Gemma --loadable",
                "birthmark models list --set study",
                "birthmark models list --search skywork --json",
            ),
        ),
        Command(
            "show",
            "All that the catalog knows of one model, where each fact is from, and the memory that it takes.",
            modes=(Mode("commands.models:model_facts", "cli.show_look_up:print_model"),),
            examples=(
                "birthmark models show skywork-reward-v2-llama-3.1-8b",
                "birthmark models show gemma-3-270m --json",
            ),
        ),
        Command(
            "sets",
            "The named sets of models that `birthmark audit --catalog-set NAME` runs one after another.",
            modes=(Mode("commands.models:list_sets", "cli.show_look_up:print_sets"),),
            examples=("birthmark models sets", "birthmark audit --catalog-set study --dry-run"),
        ),
        Command(
            "fetch",
            "Fetch a model into the cache, and print its folder.",
            modes=(Mode("commands.models:fetch_model", "cli.show_look_up:print_path", json=False),),
            examples=("birthmark models fetch smollm2-135m-instruct",),
        ),
        Command(
            "check",
            "Try on one model everything that can falsify scores; exit code 3 where something is wrong.\n\n"
            "With --published, compare own scores of a published reward model with the published ones.",
            modes=(
                Mode(
                    "commands.models:check_model",
                    "cli.show_measure:print_check",
                    after="commands.models:require_right",
                ),
                Mode(
                    "commands.models:check_published",
                    "cli.show_measure:print_published_check",
                    when="published",
                    after="commands.models:require_reproduced",
                ),
            ),
            examples=(
                "birthmark models check smollm2-135m-instruct",
                "birthmark models check grm-gemma2-2b --published ./reward_models_inherit_value_biases_from_pretraining",
            ),
        ),
    ),
)
LEXICONS = Group(
    "lexicons",
    "Words by category: the bundled ones, the validated ones, your own.",
    LOOK_UP,
    (
        Command(
            "list",
            "List the lexicons that go by name.",
            modes=(Mode("commands.lexicons:list_lexicons", "cli.show_look_up:print_lexicons"),),
            examples=("birthmark lexicons list",),
        ),
        Command(
            "show",
            "A lexicon's citation, licence, validation, size by category, and words that are single tokens.",
            modes=(Mode("commands.lexicons:lexicon_facts", "cli.terminal:print_fields"),),
            examples=(
                "birthmark lexicons show starter",
                "birthmark lexicons show starter --model smollm2-135m-instruct",
            ),
        ),
        Command(
            "check",
            "Tell an author what is wrong with a lexicon (a CSV file `word,category`, say); exit code 3 where something "
            "keeps it from being read.",
            modes=(
                Mode(
                    "commands.lexicons:check_lexicon_file",
                    "cli.show_look_up:print_findings",
                    after="commands.lexicons:require_readable",
                ),
            ),
            examples=("birthmark lexicons check my-words.csv",),
        ),
    ),
)
PROMPTS = Group(
    "prompts",
    "The questions that models are asked.",
    LOOK_UP,
    (
        Command(
            "list",
            "List a prompt set's keys, framings and texts.",
            modes=(Mode("commands.prompts:list_prompts", "cli.show_look_up:print_prompts"),),
            examples=("birthmark prompts list", "birthmark prompts list --prompts christian2026 --json"),
        ),
        Command(
            "check",
            'Read a prompt file (lines such as `key: {text: "…?", framing: positive}`) and say what it holds, or what is '
            "wrong.",
            modes=(Mode("commands.prompts:check_prompts", "cli.show_look_up:print_prompt_check", json=False),),
            examples=("birthmark prompts check my-prompts.yaml",),
        ),
    ),
)
SCORES = Group(
    "scores",
    "Score tables on disk.",
    LOOK_UP,
    (
        Command(
            "show",
            "A score table's provenance and best candidates, or all of it as CSV.",
            modes=(
                Mode(
                    "commands.scores:show_scores",
                    "cli.show_look_up:print_table",
                    also={"csv": Annotated[bool, Option("Print every row as CSV.", None)]},
                ),
            ),
            examples=("birthmark scores show scored/scores/gemma-3-270m.parquet --csv",),
        ),
        Command(
            "check",
            "Prove that a score table is whole and as it was written.",
            modes=(Mode("commands.scores:check_scores", "cli.show_look_up:print_unaltered", json=False),),
            examples=("birthmark scores check scored/scores/gemma-3-270m.parquet",),
        ),
    ),
)
REPORT = Command(
    "report",
    "Redraw the page, figures and values card of a folder from its files.",
    modes=(Mode("commands.report:report", "cli.show_look_up:print_path", json=False),),
    panel=WORKSHOP,
    examples=("birthmark report audit",),
)
CARD = Command(
    "card",
    "The values card of a folder, and its section of a model page.",
    modes=(Mode("commands.card:card", "cli.show_look_up:print_card"),),
    panel=WORKSHOP,
    examples=("birthmark card birthmark-audit", "birthmark card birthmark-audit --model-card README.md"),
)
DOCTOR = Command(
    "doctor",
    "What this machine can do, which models fit, and what to do about what is missing.",
    modes=(Mode("commands.doctor:doctor", "cli.show_look_up:print_doctor"),),
    panel=WORKSHOP,
    examples=("birthmark doctor", "birthmark doctor --offline --json"),
)
SCHEMA = Command(
    "schema",
    "The JSON Schema of a JSON file that birthmark writes, or of what a command prints with --json.",
    modes=(Mode("commands.schema:json_schema", "cli.terminal:print_json", json=False),),
    panel=WORKSHOP,
    examples=("birthmark schema effects", "birthmark schema doctor-output"),
)

ALL: tuple[Command | Group, ...] = (
    *(AUDIT, SCORE, IMPLICIT, CONSEQUENCES, COMPARE_TABLES, MAP, TRAIN_RM, TRACK, CHOOSE, EDIT, REPLICATE, CALIBRATE),
    *(MODELS, LEXICONS, PROMPTS, SCORES, REPORT, CARD, DOCTOR, SCHEMA),
)

app = typer.Typer(
    cls=group_of(ALL),
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"birthmark {__version__}")
        raise typer.Exit()


@app.callback()
def birthmark(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Find the values a reward model was born with.

    Start with `birthmark audit`: two small reward models and their base models, on this machine. Then name your own.
    """


def command_tree() -> dict[str, Any]:
    """Every command built, by name; a group has its own in `commands`. For the reference and the tests."""
    tree = {member.name: build(member) for member in ALL}
    for member in ALL:
        if isinstance(member, Group):
            tree[member.name].commands = {child.name: build(child) for child in member.commands}
    return tree


def all_commands() -> dict[str, Command]:
    """Every command that is no group, by its words: `models list`."""
    found: dict[str, Command] = {}
    for member in ALL:
        if isinstance(member, Group):
            found |= {f"{member.name} {child.name}": child for child in member.commands}
        else:
            found[member.name] = member
    return found
