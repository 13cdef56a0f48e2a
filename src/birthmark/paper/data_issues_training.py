"""Slips in the published files of median ranks over training, each found by a check, with what it changes."""

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


"""What the study says its own reward models were trained from, lower-cased."""


PUBLIC_IDS = {"R-Gem-2B": "Ray2333/GRM-gemma2-2B-rewardmodel-ft", "R-Lla-3B": "Ray2333/GRM-Llama3.2-3B-rewardmodel-ft"}


"""Names that the study gives to public reward models, which it didn't train."""


GRM_MANIFEST, GRM_AXIS, GRM_SOURCE = 550, 632, "uf+skywork"


"""What the study's figure 4b says of its GRM points: thousands of pairs in its manifest and on its axis; their source."""


FIRST_STEP = 0
Rows = Mapping[str, pl.DataFrame]


def training_slips(study: StudyData) -> list[DataNote]:
    """All notes on the rank files that are there."""
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
    """Model ids that name another quantity of data than their file does."""
    notes = []
    for name, table in rows.items():
        wrong = [
            model
            for model in sorted(set(table["model_id"]))
            if (said := re.search(r"(\d+)k", model)) and int(said[1]) != _quantity_in_name(name)
        ]
        if wrong:
            notes.append(
                DataNote(
                    check="quantity_in_ids",
                    file=name,
                    column="model_id",
                    words=wrong,
                    finding=f"The file is named for {_quantity_in_name(name)}k pairs, its models for another quantity.",
                    effect=f"The points that figures 4b and A5b show at {_quantity_in_name(name)}k pairs are of other runs; "
                    "the claim about them has no data.",
                )
            )
    return notes


def quantity_in_steps(rows: Rows) -> list[DataNote]:
    """Runs whose last step means another quantity of pairs than their file's name (recipe: 16 pairs a step, 2 epochs)."""
    notes = []
    for name, table in rows.items():
        steps = table["checkpoint"].cast(pl.Float64, strict=False)
        last = max((int(step) for step in steps.drop_nulls()), default=0)
        seen, said = pairs_of_steps(last), _quantity_in_name(name)
        if last > 1 and abs(seen - said) > 0.5:
            twice = max(seen, said) / min(seen, said) > 1.5
            notes.append(
                DataNote(
                    check="quantity_in_steps",
                    file=name,
                    column="checkpoint",
                    words=[f"{last}"],
                    finding=f"The last step, {last:,}, means {seen:.1f}k pairs by the published recipe (16 a step, 2 "
                    f"epochs); the file is named for {said}k.",
                    effect=f"The points at {said}k pairs are of runs on {seen:.0f}k: the smallest quantity in the files is "
                    f"{seen:.0f}k."
                    if twice
                    else f"None on the figure, whose axis says {seen:.0f}k; by the file's name the points would be misplaced.",
                )
            )
    return notes


def repeated_rows(rows: Rows) -> list[DataNote]:
    """Rows that say again what another row says, but for their running number."""
    notes = []
    for name, table in rows.items():
        said = table.drop([column for column in ("", "X") if column in table.columns])
        unique = said.unique()
        if unique.height < said.height:
            times = said.group_by(said.columns).len()["len"].to_list()
            notes.append(
                DataNote(
                    check="repeated_rows",
                    file=name,
                    column=None,
                    words=[],
                    finding=f"{said.height:,} rows say {unique.height} things, each {min(times)} to {max(times)} times: "
                    "a row for every ranked token, not for every median.",
                    effect=f"None on the medians: they are the same after the {said.height - unique.height:,} repeats are "
                    "dropped. Rows counted as observations would be wrong by that factor.",
                )
            )
    return notes


def unequal_repeats(rows: Rows) -> list[DataNote]:
    """Where rows repeat once a ranked token, models that have another number of tokens than the rest."""
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
                        effect=f"Its ranks are among {usual - other[0]} tokens fewer: a median can be off by at most that "
                        "many ranks.",
                    )
                )
    return notes


def unnamed_bases(rows: Rows) -> list[DataNote]:
    """Rows whose base model is `NA`: whoever groups by it loses them or pools them."""
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
                    effect=f"Grouped by base_model, {points} points of {_families(models)} are lost from figure A5b; here "
                    "their family is read off the model id.",
                )
            )
    return notes


def labels_that_disagree(rows: Rows) -> list[DataNote]:
    """Rows whose base model and model id speak of different families."""
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
                    effect="base_model is believed; if the ids are right, every difference between these families turns "
                    "around.",
                )
            )
    return notes


def other_bases_in_ids(rows: Rows) -> list[DataNote]:
    """Hub-like model ids that name another base checkpoint than the study says it trained from."""
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
                    effect="None on the numbers; which base checkpoint was trained rests on the study's text alone.",
                )
            )
    return notes


def several_ids_of_a_base(rows: Rows) -> list[DataNote]:
    """One base called by several ids in the files of the study's own runs."""
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
            effect="Joined by model_id, the files of one base do not meet; here they meet by family.",
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
            effect="Their quantity, source and loss are known by the file's name alone; figure 4b takes them from there.",
        )
    ]


def start_not_saved(rows: Rows) -> list[DataNote]:
    """The run over training steps begins after the start."""
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
            effect="Where the models start from is not in the files, so that the gap is widest at the start cannot be told, "
            "only that it is widest at the first saved step.",
        )
    ]


def others_models(rows: Rows, study: StudyData) -> list[DataNote]:
    """Points that are public reward models of another team, among the study's own runs."""
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
                    "reward models of another team, with a first stage of their own and trained in full.",
                    effect="They differ from the study's runs in data, recipe and loss at once. Without them figure 4b has "
                    f"no GRM points{f' (their gap is {found:g} ranks)' if found is not None else ''} and the claim about "
                    "the GRM loss has no data.",
                )
            )
    return notes


def grm_labels(rows: Rows) -> list[DataNote]:
    """What the GRM file says of its own points, against its name and the study's figure."""
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
                finding=f"data_size is {', '.join(sizes)}, the file is named for 80k, and the study's figure has "
                f"{GRM_MANIFEST}k in its manifest and {GRM_AXIS}k on its axis.",
                effect=f"The points' place on the axis of figure 4b is one of four; {GRM_MANIFEST} is used here. That the "
                "gap stays open past 600k pairs depends on which is right.",
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
                effect=f"{GRM_SOURCE} is used here; read off the file they would be a third size of one source.",
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
                effect="final_step of these points means nothing, and their quantity cannot be checked by it.",
            )
        )
    return notes


def _quantity_in_name(name: str) -> int:
    """Thousands of pairs that a file's name speaks of."""
    return int(re.findall(r"\d+", name)[-1])


def _families(models: list[str]) -> str:
    return " and ".join(sorted({family_of_id(model) or model for model in models}))
