"""Issues in the published files of median ranks over training, each detected by a check, with its effect."""

import re
from collections import Counter
from collections.abc import Mapping

import polars as pl

from birthmark.paper.data import TRAINING, StudyData
from birthmark.paper.training import (
    RANK_FILES,
    SKYWORK,
    family_of_id,
    last_gap,
    pairs_of_steps,
    read_rank_rows,
    read_training_points,
)
from birthmark.records import DataNote
from birthmark.values.formats import percent

BASES = {"Gemma": "gemma-2-2b-it", "Llama": "llama-3.2-3b-instruct", "Qwen": "qwen2.5-3b-instruct"}
"""The base checkpoints of the study's own reward models according to its text, lower-cased."""


PUBLIC_IDS = {"R-Gem-2B": "Ray2333/GRM-gemma2-2B-rewardmodel-ft", "R-Lla-3B": "Ray2333/GRM-Llama3.2-3B-rewardmodel-ft"}


"""The study's names for public reward models that it did not train, and their hub ids."""


GRM_MANIFEST, GRM_AXIS, GRM_SOURCE = 550, 632, "uf+skywork"


"""The GRM points of the study's figure 4b: thousands of pairs in its manifest and on its axis; their source."""


FIRST_STEP = 0
Rows = Mapping[str, pl.DataFrame]


def training_issues(study: StudyData) -> list[DataNote]:
    """All notes on the rank files that are present."""
    paths = ((file.name, study.path(TRAINING / file.name)) for file in RANK_FILES)
    rows = {name: read_rank_rows(path) for name, path in paths if path}
    return [
        *quantity_in_ids(rows),
        *quantity_in_steps(rows),
        *repeated_rows(rows),
        *unequal_repeats(rows),
        *unnamed_bases(rows),
        *labels_that_disagree(rows),
        *other_bases_in_ids(rows),
        *several_ids_of_a_base(rows),
        *columns_of_one_file(rows),
        *start_not_saved(rows),
        *others_models(rows, study),
        *grm_labels(rows),
    ]


def quantity_in_ids(rows: Rows) -> list[DataNote]:
    """Model ids that state a different quantity of data than their file's name."""
    notes = []
    for name, table in rows.items():
        wrong = [
            model
            for model in sorted(set(table["model_id"]))
            if (stated := re.search(r"(\d+)k", model)) and int(stated[1]) != _quantity_in_name(name)
        ]
        if wrong:
            notes.append(
                DataNote(
                    check="quantity_in_ids",
                    file=name,
                    column="model_id",
                    words=wrong,
                    finding=f"The file's name says {_quantity_in_name(name)}k pairs, its models' names another quantity.",
                    effect=f"The points that figures 4b and A5b show at {_quantity_in_name(name)}k pairs come from other runs; "
                    "there are no data for the claim about them.",
                )
            )
    return notes


def quantity_in_steps(rows: Rows) -> list[DataNote]:
    """Runs whose last step implies another quantity of pairs than their file's name (recipe: 16 pairs per step, 2 epochs)."""
    notes = []
    for name, table in rows.items():
        steps = table["checkpoint"].cast(pl.Float64, strict=False)
        last = max((int(step) for step in steps.drop_nulls()), default=0)
        seen, stated = pairs_of_steps(last), _quantity_in_name(name)
        if last > 1 and abs(seen - stated) > 0.5:
            misplaced = max(seen, stated) / min(seen, stated) > 1.5
            notes.append(
                DataNote(
                    check="quantity_in_steps",
                    file=name,
                    column="checkpoint",
                    words=[f"{last}"],
                    finding=f"The last step, {last:,}, implies {seen:.1f}k pairs under the published recipe (16 per step, 2 "
                    f"epochs); the file's name says {stated}k.",
                    effect=f"The points at {stated}k pairs are of runs on {seen:.0f}k: the smallest quantity in the files is "
                    f"{seen:.0f}k."
                    if misplaced
                    else f"None on the figure, whose axis says {seen:.0f}k; by the file's name the points would be misplaced.",
                )
            )
    return notes


def repeated_rows(rows: Rows) -> list[DataNote]:
    """Rows that duplicate another row except for their running number."""
    notes = []
    for name, table in rows.items():
        content = table.drop([column for column in ("", "X") if column in table.columns])
        unique = content.unique()
        if unique.height < content.height:
            times = content.group_by(content.columns).len()["len"].to_list()
            notes.append(
                DataNote(
                    check="repeated_rows",
                    file=name,
                    column=None,
                    words=[],
                    finding=f"{content.height:,} rows hold {unique.height} distinct values, each {min(times)} to {max(times)} "
                    "times: one row per ranked token instead of one per median.",
                    effect=f"None on the medians: they are the same without the {content.height - unique.height:,} repeats. "
                    "Counting rows as observations would inflate their number by that factor.",
                )
            )
    return notes


def unequal_repeats(rows: Rows) -> list[DataNote]:
    """In files with one row per ranked token, models with a different number of tokens than the others."""
    notes = []
    for name, table in rows.items():
        counts = table.group_by("model_id", "Category", "checkpoint").len()
        if counts["len"].max() == 1:
            continue
        for category in sorted(set(counts["Category"])):
            mine = counts.filter(pl.col("Category") == category)
            usual = Counter(mine["len"]).most_common(1)[0][0]
            odd = mine.filter(pl.col("len") != usual)
            if odd.height:
                models = sorted(set(odd["model_id"]))
                other = sorted(set(odd["len"]))
                notes.append(
                    DataNote(
                        check="unequal_repeats",
                        file=name,
                        column="Category",
                        words=models,
                        finding=f"{', '.join(models)} has {', '.join(map(str, other))} {category.lower()} tokens, the others "
                        f"{usual}.",
                        effect=f"Its ranks are among {usual - other[0]} fewer tokens: a median can be off by at most that "
                        "many ranks.",
                    )
                )
    return notes


def unnamed_bases(rows: Rows) -> list[DataNote]:
    """Rows whose base model is `NA`: grouping by it drops or pools them."""
    notes = []
    for name, table in rows.items():
        blank = table.filter(pl.col("base_model").is_in(["", "NA"]))
        if blank.height:
            models = sorted(set(blank["model_id"]))
            points = blank.select("model_id", "Category", "checkpoint").unique().height
            notes.append(
                DataNote(
                    check="unnamed_bases",
                    file=name,
                    column="base_model",
                    words=models,
                    finding=f"{blank.height:,} rows of {', '.join(models)} name no base model.",
                    effect=f"Grouped by base_model, {points} points of {_families(models)} are missing from figure A5b; here "
                    "their family is taken from the model id.",
                )
            )
    return notes


def labels_that_disagree(rows: Rows) -> list[DataNote]:
    """Rows whose base model and model id name different families."""
    notes = []
    for name, table in rows.items():
        pairs = table.select("model_id", "base_model").unique(maintain_order=True).rows()
        wrong = [f"{model}: {base}" for model, base in pairs if base not in ("", "NA", family_of_id(model) or base)]
        if wrong:
            notes.append(
                DataNote(
                    check="labels_that_disagree",
                    file=name,
                    column="base_model",
                    words=wrong,
                    finding=f"base_model and model_id name different families: {', '.join(wrong)}.",
                    effect="base_model is used; if the ids are correct, every difference between these families is reversed.",
                )
            )
    return notes


def other_bases_in_ids(rows: Rows) -> list[DataNote]:
    """Model ids in the form of hub ids that name another base checkpoint than the study's text."""
    notes = []
    for name, table in rows.items():
        wrong = []
        for model in sorted(set(table["model_id"])):
            named = model.partition("--")[2].removesuffix("-Unified").lower()
            if named and named != BASES.get(family_of_id(model) or "", named):
                wrong.append(model)
        if wrong:
            should = ", ".join(BASES[family] for family in map(family_of_id, wrong) if family)
            notes.append(
                DataNote(
                    check="other_bases_in_ids",
                    file=name,
                    column="model_id",
                    words=wrong,
                    finding=f"The ids name other checkpoints than the study trained from ({should}): read as hub names "
                    "they are Gemma's first generation, or a model without instruction tuning.",
                    effect="None on the numbers; only the study's text says which base checkpoint was trained.",
                )
            )
    return notes


def several_ids_of_a_base(rows: Rows) -> list[DataNote]:
    """Bases with several ids in the files of the study's own runs."""
    own = {name: table for name, table in rows.items() if not set(table["model_id"]) <= set(PUBLIC_IDS)}
    ids: dict[str, set[str]] = {}
    for table in own.values():
        for model in set(table["model_id"]):
            ids.setdefault(family_of_id(model) or model, set()).add(re.sub(r"-Unified$|_unified\d+k_lora$", "", model))
    several = {family: sorted(names) for family, names in sorted(ids.items()) if len(names) > 1}
    if not several:
        return []
    return [
        DataNote(
            check="several_ids_of_a_base",
            file="rank_results_*.csv",
            column="model_id",
            words=[name for names in several.values() for name in names],
            finding="; ".join(f"{family} is called {', '.join(names)}" for family, names in several.items()) + ".",
            effect="A join by model_id does not match the files of one base; here they are matched by family.",
        )
    ]


def columns_of_one_file(rows: Rows) -> list[DataNote]:
    """Columns that only some rank files have."""
    every = {column for table in rows.values() for column in table.columns if column not in ("", "X")}
    lacking = {
        name: sorted(every - set(table.columns)) for name, table in rows.items() if not every <= set(table.columns)
    }
    if not lacking:
        return []
    words = sorted({column for missing in lacking.values() for column in missing})
    return [
        DataNote(
            check="columns_of_one_file",
            file="rank_results_*.csv",
            column=", ".join(words),
            words=words,
            finding=f"{', '.join(lacking)} lack the columns {', '.join(words)} that the others have.",
            effect="Only the file's name gives their quantity, source and loss; figure 4b takes them from there.",
        )
    ]


def start_not_saved(rows: Rows) -> list[DataNote]:
    """The first saved step of the run over training steps is not the start."""
    if SKYWORK not in rows:
        return []
    steps = rows[SKYWORK]["checkpoint"].cast(pl.Float64, strict=False).drop_nulls()
    first, last = int(min(steps, default=0)), int(max(steps, default=0))
    if first <= FIRST_STEP:
        return []
    return [
        DataNote(
            check="start_not_saved",
            file=SKYWORK,
            column="checkpoint",
            words=[f"{first}"],
            finding=f"The first saved step is {first:,} of {last:,}, {percent(first / last)} of training.",
            effect="The starting values are not in the files, so one cannot tell whether the gap is widest at the start, "
            "only that it is widest at the first saved step.",
        )
    ]


def others_models(rows: Rows, study: StudyData) -> list[DataNote]:
    """Points among the study's own runs that are public reward models of another team."""
    notes = []
    for name, table in rows.items():
        models = [model for model in sorted(set(table["model_id"])) if model in PUBLIC_IDS]
        if models:
            path = study.path(TRAINING / name)
            found = last_gap(read_training_points(path), "Gemma", "Llama") if path else None
            notes.append(
                DataNote(
                    check="others_models",
                    file=name,
                    column="model_id",
                    words=models,
                    finding=f"{' and '.join(models)} are {' and '.join(PUBLIC_IDS[model] for model in models)}: public "
                    "reward models of another team, with their own first stage and full fine-tuning.",
                    effect="They differ from the study's runs in data, recipe and loss at once. Without them figure 4b has "
                    f"no GRM points{f' (their gap is {found:g} ranks)' if found is not None else ''} and there are no data "
                    "for the claim about the GRM loss.",
                )
            )
    return notes


def grm_labels(rows: Rows) -> list[DataNote]:
    """Labels in the GRM file that contradict its name or the study's figure."""
    name = "rank_results_grm_80k.csv"
    if name not in rows:
        return []
    table, notes = rows[name], []
    sizes = sorted(set(table["data_size"])) if "data_size" in table.columns else []
    if sizes and sizes != [f"{GRM_AXIS}"]:
        notes.append(
            DataNote(
                check="grm_size",
                file=name,
                column="data_size",
                words=sizes,
                finding=f"data_size is {', '.join(sizes)}, the file's name says 80k, and the study's figure has "
                f"{GRM_MANIFEST}k in its manifest and {GRM_AXIS}k on its axis.",
                effect=f"There are four possible places for these points on the axis of figure 4b; {GRM_MANIFEST} is used "
                "here. Whether the gap stays open past 600k pairs depends on which is right.",
            )
        )
    sources = sorted(set(table["data_source"])) if "data_source" in table.columns else []
    if sources and sources != [GRM_SOURCE]:
        notes.append(
            DataNote(
                check="grm_source",
                file=name,
                column="data_source",
                words=sources,
                finding=f"data_source is {', '.join(sources)}; the study's figure shows the points as {GRM_SOURCE}.",
                effect=f"{GRM_SOURCE} is used here; according to the file they would be a third size of one source.",
            )
        )
    steps = sorted(set(table["checkpoint"]))
    if steps == ["1"]:
        notes.append(
            DataNote(
                check="grm_step",
                file=name,
                column="checkpoint",
                words=steps,
                finding="The checkpoint is 1 in every row: a placeholder, not a step.",
                effect="final_step of these points is meaningless, and cannot be used to check their quantity.",
            )
        )
    return notes


def _quantity_in_name(name: str) -> int:
    """Thousands of pairs in a file's name."""
    return int(re.findall(r"\d+", name)[-1])


def _families(models: list[str]) -> str:
    return " and ".join(sorted({family_of_id(model) or model for model in models}))
