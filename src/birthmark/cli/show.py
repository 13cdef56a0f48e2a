"""How results look in a terminal: sentences first, then small tables. Computes nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birthmark.cli.terminal import print_rows, print_text, say
from birthmark.errors import BirthmarkError
from birthmark.values.formats import interval, minutes, percent, signed
from birthmark.values.wording_among import basis_sentence, ordinal, share_sentence

if TYPE_CHECKING:
    from birthmark.commands.audit import AuditResult
    from birthmark.commands.compare import Compared
    from birthmark.records import (
        Among,
        AnswerFormats,
        Effects,
        Implicit,
        ImplicitGrid,
        Lineage,
        Map,
        PrecisionCheck,
        Replication,
    )
    from birthmark.scoring.table import ScoreTable

SHOWN_ROWS = 20
STRIP = 60  # columns of a strip plot


def as_json(result: Any, out: Path | None = None) -> object:
    """What `--json` prints of a result: a record, a table (where it was written, else its scores), or several of them."""
    from pydantic import BaseModel

    from birthmark.scoring.table import ScoreTable

    if isinstance(result, ScoreTable):
        return scores_as_dict(result, out)
    if isinstance(result, Mapping):
        return {key: as_json(item, out / key if out is not None else None) for key, item in result.items()}
    if isinstance(result, list | tuple):
        return [as_json(item) for item in result]
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json")
    if hasattr(result, "to_dict"):
        return result.to_dict()
    if hasattr(result, "record"):
        return as_json(result.record)
    return asdict(result) if is_dataclass(result) and not isinstance(result, type) else result


def gigabytes(number: int | None) -> str | None:
    """`2.1 GB`."""
    from birthmark.models import memory

    return None if number is None else memory.gigabytes(number)


def print_plan(rows: Sequence[Mapping[str, Any]]) -> None:
    """What a run would do: nothing is fetched, loaded or written."""
    columns = ("model", "prompts", "words", "vocabulary", "device", "dtype", "minutes, about", "memory, about", "fits")
    fits = {True: "yes", False: "no", None: "–"}
    cells = []
    for row in rows:
        cells.append(
            (
                *(row[name] for name in columns[:6]),
                minutes(row["seconds"]),
                gigabytes(row["memory_bytes"]),
                fits[row["fits"]],
            )
        )
    print_rows(columns, cells)
    say("Nothing was done. Times are good to a factor of two.")


def print_audit(result: AuditResult) -> None:
    """The effects, a reward model beside what it descends from, how exact the scores are, and where the rest is."""
    print_effects(result.effects, None)
    if result.lineage is not None:
        print_lineage(result.lineage)
    if result.among is not None:
        print_among(result.among)
    print_formats(result.formats)
    print_precision(result.tables)
    say(f"Written to {result.out}; look at {result.report}")


def print_formats(record: AnswerFormats | None) -> None:
    """Whether each model's values hold in sentences, where they were scored there."""
    from birthmark.report.text import in_text, short_names

    for item in record.models if record else ():
        say(in_text(item.sentence, short_names(other.model for other in record.models)))  # type: ignore[union-attr]


def print_among(record: Among) -> None:
    """Where each model stands: a sentence, the others from the nearest to the farthest, the model itself on top."""
    from birthmark.report.text import renamed, short_names

    names = short_names(item.model for item in record.standings)
    for item in renamed(record, names).standings:
        say()
        say(item.sentence, bold=True)
        share = share_sentence(item)
        if share:
            say(share)
        if item.mine is None:
            continue
        if item.place is not None:
            shown = [item.mine, *item.others]
            print_text(_strip([model.mean_rank_contrast or 0.0 for model in shown], item.categories))
            apart = {other.model: f"{other.distance:.1f}" for other in item.others}
            rows = [
                (
                    f"★ {model.model}" if model is item.mine else f"  {model.model}",
                    model.base_checkpoint,
                    signed(model.mean_rank_contrast),
                    interval(model.ci_low, model.ci_high),
                    apart.get(model.model) if model is not item.mine else None,
                )
                for model in sorted(shown, key=lambda model: -(model.mean_rank_contrast or 0.0))
            ]
            print_rows(("model", "base checkpoint", "contrast", "95% over words", "distance"), rows)
        else:
            places = [
                (place.category, signed(place.gain), f"{ordinal(place.place)} of {place.n_models}")
                for place in item.by_category
            ]
            print_rows(("category", "gains, ranks", "place"), places)
            near = [(other.model, other.base_checkpoint, f"{other.distance:.1f}") for other in item.others]
            print_rows(("model", "base checkpoint", "distance"), near)
        say(basis_sentence(item))
    for text in record.warnings:
        say(f"Note: {text}")


def _strip(values: Sequence[float], ends: Sequence[str]) -> str:
    """The values on a line of the terminal, the first of them as a star."""
    low, high = min(values), max(values)
    line = ["─"] * STRIP
    for at, value in reversed(list(enumerate(values))):
        place = round((value - low) / (high - low) * (STRIP - 1)) if high > low else STRIP // 2
        line[place] = "★" if at == 0 else "●"
    return f"{ends[0]} {signed(low)} {''.join(line)} {signed(high)} {ends[1]}"


def print_lineage(record: Lineage) -> None:
    """A table a line and lexicon, the oldest model first."""
    from birthmark.report.text import renamed, short_names

    names = short_names(model for line in record.lines for model in line.models)
    for line in renamed(record, names).lines:
        for item in line.lexicons:
            columns = [(category, framing) for category in item.categories for framing in ("positive", "negative")]
            rows = []
            for stage in item.stages:
                cells = {(cell.category, str(cell.framing)): cell.mean_rank for cell in stage.cells}
                ranks = [None if (rank := cells.get(column)) is None else f"{rank:.1f}" for column in columns]
                rows.append((stage.model, stage.stage, "rewards" if stage.kind == "reward" else "log-probs", *ranks))
            say()
            say(item.sentence)
            if len(columns) <= 6:
                header = ("model", "stage", "ranks of", *(f"{category}, {framing}" for category, framing in columns))
                print_rows(header, rows)


def print_precision(tables: Sequence[ScoreTable]) -> None:
    """What `--verify` found of each table, a line each."""
    for table in tables:
        found = table.record.precision
        if found is not None:
            say(
                f"{table.model}, {_spoken_precision(found)} against float32, {found.n_sample} candidates after "
                f"{found.n_prompts} prompt{'s' if found.n_prompts > 1 else ''}: Spearman {found.spearman:.5f}, largest |Δ| {found.max_abs_diff:.2g}. Two of "
                f"{found.n_candidates:,} candidates less than {found.noise_floor_rank:.1f} ranks apart, or with scores less "
                f"than {found.noise_floor_score:.2g} apart ({percent(found.pairs_below_noise, 1)} of pairs), differ by less than "
                "rescoring does."
            )
        elif table.record.precision_why is not None:
            say(f"{table.model}: precision not measured: {table.record.precision_why}")


def _spoken_precision(found: PrecisionCheck) -> str:
    return found.dtype + (f" with weights in {found.quantized}" if found.quantized else "")


def print_categories(effects: Effects) -> None:
    """Three categories or more: what each moves by, over words, and the models' median ranks where two fit beside it."""
    from birthmark.report.lexicon_tables import category_table

    table = category_table(effects)
    if table is not None:
        print_rows(table.headers, table.rows, title=table.caption)
        say(table.note)


def print_effects(results: Sequence[Effects], out: Path | None) -> None:
    """The answer in words, a small table a lexicon, what to read with it (once), and where the rest is."""
    from birthmark.report.text import renamed, short_names
    from birthmark.values.wording import contrast_sign
    from birthmark.values.wording_undercuts import null_sentences

    names = short_names(model.model for item in results for model in item.models)
    noted: set[str] = set()
    for effects in (renamed(item, names) for item in results):
        say()
        say(effects.sentence or effects.headline_why or "", bold=True)
        columns = [(category, framing) for category in effects.categories for framing in ("positive", "negative")]
        for line in (*effects.undercuts, *null_sentences(effects)):
            say(f"- {line}")
        rows = []
        for model in effects.models:
            cells = {
                (cell.category, str(cell.framing)): cell.mean_rank
                for cell in effects.model_cells
                if cell.model == model.model
            }
            ranks = [None if (rank := cells.get(column)) is None else f"{rank:.1f}" for column in columns]
            value = model.mean_rank_contrast
            rows.append((model.model, model.family, *ranks, None if value is None else signed(value)))
        two = len(effects.categories) == 2
        if len(columns) <= 6:
            header = ("model", "family", *(f"{category}, {framing}" for category, framing in columns))
            print_rows((*header, "contrast") if two else header, rows if two else [row[:-1] for row in rows])
            sign = f" {contrast_sign(effects.categories)}" if two else ""
            say(f"Mean ranks among {effects.n_candidates} words of {effects.lexicon}; 1 is best.{sign}")
        if not two:
            print_categories(effects)
        if effects.power is not None:
            say(effects.power.sentence)
        for held in effects.controlled:
            say(held.sentence)
        for warning in dict.fromkeys(effects.warnings):
            if warning not in noted:
                say(f"Note: {warning}")
        noted.update(effects.warnings)
    if out is not None:
        say(f"Written to {out}; look at {out / 'report.html'}")


def print_compared(results: Compared, out: Path | None, word: str | None) -> None:
    """The effects, or one word's difference alone."""
    if word is not None:
        print_word(results, word)
    else:
        print_effects(results, out)
        print_formats(results.formats)


def print_word(results: Sequence[Effects], word: str) -> None:
    """One word's mean rank in the second family less that in the first, under each lexicon that has it."""
    rows = [
        (
            item.lexicon,
            item.kind,
            ", ".join(found.categories),
            *(
                None if value is None else signed(value)
                for value in (found.positive, found.negative, found.contrast, found.ci_low, found.ci_high)
            ),
        )
        for item in results
        for found in item.word_effects
        if found.word.casefold() == word.casefold()
    ]
    if not rows:
        raise BirthmarkError(f"no lexicon ranks the word {word}: see birthmark lexicons show NAME --words")
    families = " − ".join(reversed(results[0].families))
    print_rows(
        ("lexicon", "kind", "category", "positive", "negative", "contrast", "95% from", "to"),
        rows,
        title=f"{word}: {families}",
    )


def print_implicit(record: Implicit, out: Path) -> None:
    """What B prefers and what A prefers, after each prompt: of the candidates, then of the lexicons' words."""
    for prompt in record.prompts:
        say()
        say(
            f"{prompt.prompt}: {prompt.n_shared:,} shared candidates hold {percent(prompt.mass_a, 1)} of {record.a}'s "
            f"probability and {percent(prompt.mass_b, 1)} of {record.b}'s"
        )
        if record.identical:
            continue
        for what, best, worst in (
            ("", prompt.top, prompt.bottom),
            ("of the words, ", prompt.words_top, prompt.words_bottom),
        ):
            rows = [
                (repr(first.candidate), first.mwlr, repr(last.candidate), last.mwlr)
                for first, last in zip(best[:SHOWN_ROWS], worst[:SHOWN_ROWS], strict=False)
            ]
            if rows:
                print_rows((f"{what}{record.b} prefers", "MWLR", f"{what}{record.a} prefers", "MWLR"), rows)
    for sort, count in record.set_aside_texts.items():
        say(f"Set aside: {count:,} candidates of {sort}")
    for warning in record.warnings:
        say(f"Note: {warning}")
    say(f"Written to {out}; look at {out / 'report.html'}")


def print_implicit_grid(grid: ImplicitGrid, out: Path) -> None:
    """Two words in every pair, the sentences on the categories, and the ends of every pair."""
    if grid.words is not None:
        first, second = grid.words.first, grid.words.second
        rows = [(f"{pair.a} → {pair.b}", pair.first, pair.second, pair.gap) for pair in grid.words.pairs]
        print_rows(("pair", first, second, "gap"), rows, title=f"MWLR after {grid.prompt}")
        say(grid.words.sentence)
    else:
        say(f"Note: {grid.words_why}")
    for item in grid.lexicons:
        say(item.sentence)
    if grid.lexicons_why:
        say(f"Note: {grid.lexicons_why}")
    for warning in grid.warnings:
        say(f"Note: {warning}")
    say(f"Written to {out}; look at {out / 'report.html'}")


def print_replication(record: Replication, out: Path) -> None:
    """The table of claims, and the issues in the published files."""
    yes = {True: "yes", False: "no", None: "–"}
    rows = [(item.id, item.verdict, yes[item.reproduced], yes[item.supported], item.sentence) for item in record.claims]
    print_rows(("claim", "verdict", "reproduced", "supported", "in words"), rows)
    for effects in (record.figure_1a, record.figure_1b_as_published):
        if effects.power is not None:
            say(f"{effects.lexicon}: {effects.power.sentence}")
    say()
    say(f"{len(record.data_notes)} issues in the published files:")
    for issue in record.data_notes:
        say(f"- {issue.file}: {issue.finding} {issue.effect}")
    for file in record.not_as_published:
        say(f"Note: {file} is not as published")
    say(f"Written to {out}; look at {out / 'report.html'}")


def print_map(record: Map, out: Path) -> None:
    """The pairs most and least alike in words, then all, what predicts it, and how they agree with people."""
    from birthmark.values.wording_pairs import map_sentence

    say(map_sentence(record), bold=True)
    pairs = sorted(record.likeness, key=lambda pair: -pair.kendall)
    print_rows(
        ("model", "and model", "Kendall", "Spearman", "overlap at the top"),
        [(pair.a, pair.b, pair.kendall, pair.spearman, pair.rbo) for pair in pairs[:SHOWN_ROWS]],
        title=f"Likeness over {record.n_candidates:,} shared candidates and {len(record.prompts)} prompts, most alike first",
    )
    if len(pairs) > SHOWN_ROWS:
        say(f"{SHOWN_ROWS} of {len(pairs)} pairs; map.json has all.")
    if record.predictors:
        rows = [(item.predictor, item.coefficient, item.p) for item in record.predictors]
        print_rows(("what predicts likeness", "change in Kendall's tau", "p"), rows)
    if record.predictors_why:
        say(f"What predicts likeness: {record.predictors_why}.")
    people = sorted((item for item in record.humans if item.prompt is None), key=lambda item: -item.kendall)
    if people:
        agreement = [(item.model, item.kendall, item.spearman, item.rbo) for item in people]
        print_rows(("model", "Kendall with people", "Spearman", "overlap at the top"), agreement)
    for warning in record.warnings:
        say(f"Note: {warning}")
    say(f"Written to {out}; look at {out / 'report.html'}")


def scores_as_dict(table: ScoreTable, out: Path | None) -> dict[str, Any]:
    """A score table for `--json`: the scores where they were not written, else where they are."""
    record = table.record.model_dump(mode="json")
    if out is not None:
        return {"record": record, "path": str(out / "scores" / f"{table.record.slug}.parquet")}
    return {"record": record, "scores": table.frame.to_dicts()}


def print_scores(table: ScoreTable, out: Path | None) -> None:
    """The best candidates by their mean over the prompts, best first."""
    from birthmark.report.models import read_at

    columns = table.prompt_keys[:3]
    best = table.best(SHOWN_ROWS)
    shown = [*columns, *(["mean"] if len(table.prompt_keys) > 1 else [])]
    rows = [(repr(row["candidate"]), row["token_id"], *(row[name] for name in shown)) for row in best.to_dicts()]
    say(repr(table))
    for key in columns:
        if re.fullmatch(r"prompt_\d+", key):  # a question of one's own, which has no name
            say(f"{key}: {table.prompts[key].text}")
    print_rows(("candidate", "token", *("mean of all" if name == "mean" else name for name in shown)), rows)
    if table.record.mass:
        lexicon = [mass.lexicon for mass in table.record.mass.values()]
        say(f"The words hold {percent(sum(lexicon) / len(lexicon), 2)} of the probability.")
    if (place := read_at(table.record)) is not None:
        say(f"Rewards are read at {place}; {table.record.bos} BOS; backend {table.record.backend}.")
    if by := table.record.served:
        reads = "token ids" if by.reads == "ids" else "text"
        say(f"Scored by {by.server} {by.version or ''} at {by.path}, from {reads}.".replace("  ", " "))
    if table.record.engine_why:
        say(f"The plain engine ran: {table.record.engine_why}.")
    print_precision([table])
    for warning in table.record.warnings:
        say(f"Note: {warning}")
    if out is not None:
        say(f"Written to {out}")
