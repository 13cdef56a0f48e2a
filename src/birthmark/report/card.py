"""`values-card.md`: half a page of Markdown that a publisher pastes into a model card.

Reads the records of an OUT folder and says them; computes nothing.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.foreign import markdown as md
from birthmark.foreign import markdown_code
from birthmark.records import Among, Effects, Lineage, ScoreRecord, StudyRecord
from birthmark.report.contents import read_among, read_lineage, read_summary
from birthmark.report.lineage import leading_lines, nulls_of_lines
from birthmark.report.models import read_at, read_early
from birthmark.values.formats import SCORES, capital, interval, p_words, signed
from birthmark.values.wording import contrast_sign, finding
from birthmark.values.wording_among import share_sentence
from birthmark.values.wording_lineage import lines_finding
from birthmark.values.wording_page import caveats, listed_as, mass_warning, quoted, system_said
from birthmark.values.wording_undercuts import LEAST_MASS, null_sentences

PROJECT, STUDY = "https://pypi.org/project/birthmark/", "https://arxiv.org/abs/2601.20838"


def write_card(out: Path | str) -> Path:
    """Write `out/values-card.md` from the effects, the scores' JSON and `study.json`; returns its path.

    Raises `BirthmarkError` where `out` holds neither effects nor scores, or a file of them is damaged.
    """
    out = Path(out)
    study, effects, scores = read_summary(out)
    if not effects and not scores:
        raise BirthmarkError(f"{out} holds neither effects nor scores: run birthmark audit --out {out}")
    path = out / "values-card.md"
    write_text(path, card(effects, scores, study, read_lineage(out), read_among(out)))
    return path


def card(
    effects: Sequence[Effects],
    scores: Sequence[ScoreRecord],
    study: StudyRecord | None,
    lineage: Lineage | None = None,
    among: Among | None = None,
) -> str:
    """The card's Markdown; what people brought (names, paths) is escaped."""
    lines = ["## Values", ""]
    if found := leading_lines(lineage.lines) if lineage else []:
        lines += [md(lines_finding([item for _, item in found], nulls_of_lines(found, effects)).text), ""]
    for item in effects:
        lines += [f"### {md(capital(listed_as(item)))}", ""] if len(effects) > 1 else []
        lines += [f"**{md(finding(item).title)}.** {md(finding(item).text)}", ""]
        beside = [*item.undercuts, *null_sentences(item)]
        lines += [*(f"- {md(text)}" for text in beside), *([""] if beside else [])]
    for place in among.standings if among else ():
        share = share_sentence(place) if place.mine else None
        lines += [md(f"{place.sentence} {share or ''}".rstrip()), ""]
    lines += _measured(effects, scores)
    for item in effects:
        lines += ["", *_table(item)]
    small = mass_warning(scores, at_least=LEAST_MASS if effects else 0.0)
    lines += ["", "**Read with care.**", ""]
    said = [*([small] if small else []), *read_early(scores), *caveats(effects, scores)]
    lines += [f"- {md(text)}" for text in said]
    lines += ["", _again(study), ""]
    return "\n".join(lines)


def _measured(effects: Sequence[Effects], scores: Sequence[ScoreRecord]) -> list[str]:
    n_words = max((item.n_candidates for item in effects), default=0)
    asked = f"{len(scores[0].prompt_set.prompts)} one-word questions" if scores else "one-word questions"
    version = next((record.versions["birthmark"] for record in scores if "birthmark" in record.versions), None)
    said = (
        f"Measured with [birthmark]({PROJECT}){f' {md(version)}' if version else ''}: each of {n_words:,} words was scored as "
        f"the answer to {asked} about the best and the worst things, and ranked (1 is best), by the method of [Christian et al. (2026)]({STUDY})."
    )
    if under := system_said(scores):
        said += f" {md(under)}"
    models: list[str] = []
    for record in scores:
        told = {"reward": "reward", "logprob": "log-probability"}[record.kind]
        weights = _digests(record)
        revision = f", revision {markdown_code(record.revision[:12])}" if record.revision else ""
        frame = f"frame {md(record.frame)}" if record.frame else "frame not known"
        own = f", its template's system prompt {md(quoted(record.template_system))}" if record.template_system else ""
        if (place := read_at(record)) is not None:
            told += f" read at {md(place)}, {record.bos} BOS"
        models.append(
            f"- {md(record.model)}: {told}, {frame}, {md(record.dtype)}, backend {md(record.backend)}{weights}{revision}{own}"
        )
    return [said, "", *models] if models else [said]


def _digests(record: ScoreRecord) -> str:
    """The SHA-256 of the weights; of an adapter its own and its base's."""
    if record.digests is None or not record.digests.weights:
        return ""
    weights = markdown_code(record.digests.weights[:12])
    if record.digests.adapter is None:
        return f", weights {weights}"
    base = f" ({md(record.base_checkpoint)})" if record.base_checkpoint else ""
    return f", adapter {markdown_code(record.digests.adapter[:12])}, its base's weights{base} {weights}"


def _table(item: Effects) -> list[str]:
    lines = [
        f"**{md(item.lexicon)}** ({SCORES[item.kind]}), median rank of {item.n_candidates:,} words:",
        "",
        "| model | category | asked for the best | asked for the worst |",
        "| --- | --- | --- | --- |",
    ]
    cells = {(cell.model, cell.category, cell.framing): cell for cell in item.model_cells}
    for model in item.models:
        for category in item.categories:
            pair = [cells.get((model.model, category, framing)) for framing in ("positive", "negative")]  # type: ignore[arg-type]
            shown = [
                "–" if cell is None else f"{cell.mean_median_rank:.0f}{_interval(cell.ci_low, cell.ci_high)}"
                for cell in pair
            ]
            lines.append(f"| {md(model.model)} | {md(category)} | {shown[0]} | {shown[1]} |")
    return [*lines, *_difference(item)]


def _difference(item: Effects) -> list[str]:
    """The headline, or what these models differ by, as a line."""
    test, fixed = item.headline, item.models_fixed
    if test is not None and test.estimate is not None:
        over, estimate, low, high, p = "over base checkpoints", test.estimate, test.ci_low, test.ci_high, test.p_exact
    elif fixed is not None:
        over, estimate, low, high, p = (
            "of these models, over words",
            fixed.estimate,
            fixed.ci_low,
            fixed.ci_high,
            fixed.p_words,
        )
    else:
        return []
    a, b = (md(family) for family in item.families[:2])
    return [
        "",
        f"Contrast of mean ranks, {b} − {a} {over}: {signed(estimate)} places{_interval(low, high, digits=1)}, {p_words(p)}. {md(contrast_sign(item.categories))}",
    ]


def _interval(low: float | None, high: float | None, digits: int = 0) -> str:
    return "" if low is None or high is None else f" (95% {interval(low, high, digits)})"


def _again(study: StudyRecord | None) -> str:
    if study is None or not study.command_line:
        return "To repeat it: `birthmark audit`."
    command = re.sub(r" --(out|data) ('[^']*'|\S+)", "", study.command_line)  # paths that say nothing to a reader
    return f"To repeat it: {markdown_code(command)}"
