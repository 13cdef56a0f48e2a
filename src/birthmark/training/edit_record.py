"""What `birthmark.json` says of a computed edit: gathers it, and computes nothing that is not of the weights."""

import shlex
import sys

import numpy as np

from birthmark.records import Constraint, EarlierEdit, Edit, EditedHead, Ensemble, NotApplicable
from birthmark.scoring.measure import versions
from birthmark.training.editing import Edited, EditRequest
from birthmark.values.ensembles import among_published
from birthmark.values.wording_edit import edit_sentences


def edit_record(
    request: EditRequest,
    edited: Edited,
    earlier: Edit | None,
    together: Ensemble | NotApplicable,
    no_second: str | None,
) -> Edit:
    """All of `birthmark.json`."""
    model, measure, asked, end = request.model, request.measure, edited.asked, edited.end
    stored = end.stored(edited.weights)
    old = end.weights
    chosen = asked.training_words
    entry = model.entry if model.adapter is None or (model.entry and model.entry.name == model.name) else None
    record = Edit.build(
        name=model.name,
        family=model.family,
        base_checkpoint=model.base_checkpoint,
        catalog_entry=entry.name if entry else earlier.catalog_entry if earlier else None,
        revision=model.revision,
        weights_sha256=model.digests.adapter or model.digests.weights,
        lexicon=request.lexicon.name,
        lexicon_sha256=request.lexicon.sha256,
        categories=list(asked.categories),
        training_words=[word for word, used in zip(asked.words, chosen, strict=True) if used],
        held_out_words=[word for word, used in zip(asked.words, chosen, strict=True) if not used],
        prompts=measure.prompts.name,
        prompts_sha256=measure.prompts.sha256,
        read=measure.read,
        bos=measure.bos,
        training_prompts=[key for key, used in zip(asked.prompts, asked.training_prompts, strict=True) if used],
        held_out_prompts=[key for key, used in zip(asked.prompts, asked.training_prompts, strict=True) if not used],
        target=edited.target,
        preferences=edited.sample.name,
        preferences_sha256=edited.sample.sha256,
        max_tokens=request.max_tokens,
        training_pairs=len(edited.pairs.training),
        held_out_pairs=len(edited.pairs.held_out),
        dropped_pairs=edited.pairs.dropped,
        head=EditedHead(
            kind=end.kind,
            file=end.file.name,
            tensor=end.tensor,
            dtype=end.dtype_name,
            hidden=len(old),
            moved=float(np.linalg.norm(stored - old) / np.linalg.norm(old)),
            cosine=float(stored @ old / (np.linalg.norm(stored) * np.linalg.norm(old))),
            rounding=float(np.abs(edited.rows @ stored - edited.wanted).max()),
        ),
        constraints=[
            Constraint(
                framing=row[0],
                adjective=row[1],
                prompts=int(asked.prompts_of(row).sum()),
                before=float(edited.before[at]),
                wanted=float(edited.wanted[at]),
                after=float(edited.exact[at]),
            )
            for at, row in enumerate(asked.rows)
        ],
        ridge=edited.ridge.ridge,
        ridge_tried={f"{ridge:.6g}": cost for ridge, cost in edited.ridge.tried.items()},
        methods=edited.methods,
        other=edited.other or NotApplicable(no_second or "no word of it is left, or of one category only"),
        in_sentences=edited.in_sentences or NotApplicable("no sentences were asked for (--answers sentences)"),
        consequences=NotApplicable("no policy was asked (--policy)"),
        ensemble=together,
        among=among_published(asked, edited.scores, edited.scores_after, request.lexicon),
        seed=measure.seed,
        dtype=edited.dtype,
        device=edited.device,
        versions=versions(),
        command_line=shlex.join(["birthmark", *sys.argv[1:]]) if sys.argv[0].endswith("birthmark") else None,
        seconds=edited.seconds,
        earlier=_history(earlier),
        sentences=[],
        warnings=_warnings(request, edited, earlier),
    )
    return record.model_copy(update={"sentences": edit_sentences(record)})


def _history(earlier: Edit | None) -> list[EarlierEdit]:
    if earlier is None:
        return []
    last = EarlierEdit(lexicon=earlier.lexicon, target=earlier.target.asked, sentence=earlier.sentences[0])
    return [*earlier.earlier, last]


def _warnings(request: EditRequest, edited: Edited, earlier: Edit | None) -> list[str]:
    found = [*request.model.remarks, *edited.warnings, *request.lexicon.notes]
    if earlier is not None:
        found.append(f"the model was edited before, for {earlier.lexicon}: this edit is on top of that one")
    if edited.end.bias is not None:
        found.append(
            f"the head has a bias ({edited.end.bias}), which adds the same to every reward: it stays as it was"
        )
    if edited.end.dtype_name in ("bfloat16", "float16"):
        found.append(
            f"the head is stored in {edited.end.dtype_name}, whose rounding moves what the edit sets; all that is measured is "
            "of the stored weights"
        )
    best = edited.ridge.ridge
    if best in (min(edited.ridge.tried), max(edited.ridge.tried)):
        found.append(f"the ridge is at the edge of those that were tried ({best:g})")
    return list(dict.fromkeys(found))
