"""A reward model beside what it descends from: which models those are, and `lineage.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birthmark.commands.models import resolve
from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.inputs.catalog import Catalog, ancestry, load_catalog
from birthmark.records import Effects, Lineage, Stage, read_record, to_json
from birthmark.values.stages import line_of

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel


def lines_of(
    found: "Sequence[ResolvedModel]", named: Sequence[str], labels: Mapping[str, Any], quiet: bool
) -> "list[list[ResolvedModel]]":
    """Each model with what it descends from, the oldest first; what is not known of a base's family is the model's."""
    catalog = labels["catalog"]
    known = load_catalog(Path(str(catalog)) if catalog else None)
    lines = []
    for model in found:
        names = bases_of(model, named, known)
        bases = [resolve(name, quiet=quiet, catalog=catalog) for name in reversed(names)]
        labelled = [
            replace(base, family=base.family or model.family, base_checkpoint=base.base_checkpoint or base.slug)
            for base in bases
        ]
        lines.append([*labelled, model])
    return lines


def bases_of(model: "ResolvedModel", named: Sequence[str], catalog: Catalog) -> list[str]:
    """The models that a reward model descends from, nearest first: those named, else by the catalog.

    Raises `BirthmarkError` for a language model, and where the base checkpoint is not known.
    """
    if model.kind != "reward":
        raise BirthmarkError(f"{model.name} is a language model: --with-base shows a reward model beside its base")
    if named:
        return list(named)
    if model.base_checkpoint is None:
        raise BirthmarkError(
            f"the base checkpoint of {model.name} is not known: say it with --base-checkpoint NAME, or name the models to "
            "score beside it with --base, nearest first"
        )
    return ancestry(catalog, model.base_checkpoint)


def write_lineage(lines: "Sequence[Sequence[ResolvedModel]]", results: Sequence[Effects], out: Path) -> Lineage | None:
    """Write `out/lineage.json`: reward models beside what they descend from, those of earlier runs among them."""
    path = out / "lineage.json"
    earlier = read_record(path, Lineage).lines if path.is_file() else []
    stages = {stage.model: stage.stage for line in earlier for item in line.lexicons for stage in item.stages}
    stages |= {model.name: stage_of(model) for line in lines for model in line}
    members = {line.reward_model: line.models for line in earlier}
    members |= {line[-1].name: [model.name for model in line] for line in lines}
    if not members:
        return None
    record = Lineage(lines=[line_of(reward, models, stages, results) for reward, models in members.items()])
    write_text(path, to_json(record))
    return record


def stage_of(model: "ResolvedModel") -> Stage:
    """`reward` of an RM; of an LM what the catalog says, else one with a chat template was tuned."""
    if model.kind == "reward":
        return "reward"
    if model.entry and model.entry.stage:
        return model.entry.stage
    return "instruct" if model.chat_template else "pretrained"
