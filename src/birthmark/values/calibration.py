"""How often the tests of a report are wrong, and how often its intervals are right: on studies drawn from a known truth.

Two sorts of studies are drawn. `compact` ones have one prompt a framing, whose words' variances make up for it: cheap
enough for designs of 2 to 10 base checkpoints a family, for the tests over units. `full` ones have the published study's
words, prompts, base checkpoints and RMs, for the tests that look at single prompts and words. Decides which designs,
tests and shifts are tried; `birthmark.stats.simulation` draws, `birthmark.stats.power` tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from birthmark.records import Coverage, Fitted, Layout, NullRate, PowerRate, RowModel, Unit
from birthmark.stats import power as batched
from birthmark.stats.power import mc_error
from birthmark.stats.simulation import (
    Drawn,
    RowFit,
    RowVariances,
    contrasts,
    draw_family,
    draw_shared,
    median_ranks,
    row_variances,
    tuned,
)

ALPHA = 0.05
ICCS = (0.0, 0.5, 0.85)
RATIO = 3.3
SHIFTS = (10.0, 20.0, 30.0, 40.0, 60.0)
BASES = (2, 3, 4, 5, 6, 8, 10)
PUBLISHED = ((3, 1), (3, 2, 1))  # RMs on each base checkpoint of Gemma, of Llama
DRAWN = (3, *(2,) * 9)  # RMs drawn a family: enough for both
CHUNK = 40  # studies drawn at once


@dataclass(frozen=True)
class Truth:
    """What studies are drawn from: words a category, prompts a framing, the contrast's SDs in ranks, the rows' fit."""

    words: tuple[int, int]
    prompts: int
    sd_base: float
    sd_rm: float
    fit: RowFit

    @property
    def sd(self) -> float:
        """SD of an RM's contrast within its family."""
        return float(np.hypot(self.sd_base, self.sd_rm))

    def rows(self, icc: float, *, full: bool) -> RowVariances:
        """Variances with a share `icc` of the contrast's between base checkpoints; the whole stays the same."""
        of_base, of_rm = self.sds(icc)
        if not full:
            return row_variances(of_base, of_rm, self.words, 1)
        return row_variances(
            of_base,
            of_rm,
            self.words,
            self.prompts,
            word_by_prompt=self.fit.word_by_prompt,
            residual=self.fit.residual,
            leaning_overall=self.fit.leaning_overall,
            leaning_prompt=self.fit.leaning_prompt,
            leaning_rm_prompt=self.fit.leaning_rm_prompt,
        )

    def sds(self, icc: float) -> tuple[float, float]:
        return self.sd * float(np.sqrt(icc)), self.sd * float(np.sqrt(1 - icc))


@dataclass
class Results:
    """What the simulations add to `calibration.json`."""

    null_studies: list[NullRate] = field(default_factory=list)
    power: list[PowerRate] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    row_models: list[RowModel] = field(default_factory=list)

    def add(self, other: "Results") -> None:
        for name, rows in vars(other).items():
            getattr(self, name).extend(rows)


class Setting(NamedTuple):
    """One set of designs that are drawn alike: `rows` names the row model."""

    icc: float
    ratio: float
    skewed: bool
    rows: str


class Units(NamedTuple):
    """A family's contrasts: RMs [studies, RMs] and the means of those that share a base checkpoint [studies, bases]."""

    models: np.ndarray
    bases: np.ndarray


def generator(*seed: int) -> np.random.Generator:
    """Its own stream of random numbers for each part, so that parts can be drawn side by side."""
    return np.random.Generator(np.random.SFC64(seed))


def fitted_record(truth: Truth, source: str) -> Fitted:
    """The fit as the record states it."""
    return Fitted.build(truth.fit, source=source, sd_base=truth.sd_base, sd_rm=truth.sd_rm)


def compact_studies(truth: Truth, icc: float, skewed: bool, studies: int, seed: int) -> Results:
    """Tests over units, by ratio of SDs and base checkpoints a family; shifted studies too at the fitted clustering."""
    results = Results()
    rng = generator(seed, 1, ICCS.index(icc), skewed)
    rows, drawn_sds = tuned(rng, truth.rows(icc, full=False), *truth.sds(icc), studies=min(500, studies))
    name = f"compact icc={icc:g}"
    if not skewed:
        results.row_models.append(_row_model(name, rows, truth.sds(icc), drawn_sds))
    shifts = SHIFTS if icc == ICCS[-1] and not skewed else ()
    draws = _draw_compact(rng, rows, studies, skewed, shifts)
    for ratio, a, b in ((1.0, "a", "b"), (RATIO, "a", "wide"), (1 / RATIO, "wide", "a")):
        setting = Setting(icc, ratio, skewed, name)
        for layout, rms in _designs():
            _rate_units(results, layout, rms, setting, (_units(draws[a], rms[0]), _units(draws[b], rms[1])))
    for shift in shifts:
        setting = Setting(icc, 1.0, False, name)
        for layout, rms in _designs():
            pair = _units(draws["a"], rms[0]), _units(draws[f"shift {shift:g}"], rms[1])
            _power_of_units(results, layout, rms, setting, pair, shift)
    return results


def _draw_compact(
    rng: np.random.Generator, rows: RowVariances, studies: int, skewed: bool, shifts: Sequence[float]
) -> dict[str, np.ndarray]:
    """Contrasts of RMs [studies, RMs]: two families alike (a, b), one with wider spread, b with each shift."""
    found: dict[str, list[np.ndarray]] = {}
    wide = rows.scaled(RATIO)

    def keep(name: str, drawn: Drawn) -> None:
        found.setdefault(name, []).append(contrasts(median_ranks(drawn.latent, rows.words)))

    for n in _chunks(studies, CHUNK):
        shared = draw_shared(rng, n, rows)
        keep("a", draw_family(rng, shared, DRAWN, rows, skewed))
        b = draw_family(rng, shared, DRAWN, rows, skewed)
        keep("b", b)
        keep("wide", draw_family(rng, shared, DRAWN, wide, skewed))
        for shift in shifts:
            keep(f"shift {shift:g}", b.shifted(shift, rows))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def full_studies(truth: Truth, icc: float, studies: int, seed: int) -> Results:
    """The published layout with all its words and prompts: the published tests, and ours that look at single prompts."""
    results = Results()
    rng = generator(seed, 2, ICCS.index(icc))
    rows, drawn_sds = tuned(rng, truth.rows(icc, full=True), *truth.sds(icc), studies=min(40, studies))
    name = f"full icc={icc:g}"
    results.row_models.append(_row_model(name, rows, truth.sds(icc), drawn_sds))
    setting = Setting(icc, 1.0, False, name)
    shifts = (0.0, *SHIFTS[1::2]) if icc == ICCS[-1] else (0.0,)
    p_values: dict[tuple[float, str], list[np.ndarray]] = {}
    for n in _chunks(studies, CHUNK // 2):
        shared = draw_shared(rng, n, rows)
        a, b = (draw_family(rng, shared, rms, rows) for rms in PUBLISHED)
        of_a = median_ranks(a.latent, rows.words)
        for shift in shifts:
            of_b = median_ranks((b.shifted(shift, rows) if shift else b).latent, rows.words)
            for test, p in _prompt_tests(of_a, of_b).items():
                p_values.setdefault((shift, test), []).append(p)
    for (shift, test), parts in p_values.items():
        level = batched.attainable_level(210, False) if test == "any_panel_max_t" else None
        add_rate(results, "published", PUBLISHED, setting, test, "model", np.concatenate(parts), level, shift)
    return results


def _prompt_tests(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """p of the tests on medians [studies, RMs, 2, prompts], by name."""
    return {
        "mixed_model_three_way": batched.mixed_model_three_way(a, b),
        "any_panel_bonferroni": batched.any_panel_bonferroni(a, b),
        "any_panel_max_t": batched.any_panel_max_t(a, b),
    }


# ------------------------------------------------------------------------------------------------ designs


def _designs() -> Iterator[tuple[str, tuple[tuple[int, ...], tuple[int, ...]]]]:
    """Names and the RMs on each base checkpoint of either family."""
    yield "published", PUBLISHED
    for n in BASES:
        yield f"{n}+{n}", ((2,) * n, (2,) * n)


def _units(values: np.ndarray, rms: Sequence[int]) -> Units:
    """The first RMs of the first base checkpoints out of those that were drawn."""
    starts = np.concatenate([[0], np.cumsum(DRAWN)])
    of_base = [values[:, starts[at] : starts[at] + n] for at, n in enumerate(rms)]
    return Units(np.concatenate(of_base, axis=1), np.stack([part.mean(axis=1) for part in of_base], axis=1))


def layout_name(layout: str, setting: Setting) -> str:
    """A design's name: its units, then how they vary."""
    ratio = "" if setting.ratio == 1 else f" sd_ratio={setting.ratio:.2g}"
    return f"{layout} icc={setting.icc:g}{ratio}{' skewed' if setting.skewed else ''}"


def _design(rms: Sequence[Sequence[int]], setting: Setting) -> Layout:
    return Layout(
        bases=[len(side) for side in rms],
        rms=[list(side) for side in rms],
        icc=setting.icc,
        sd_ratio=setting.ratio,
        skewed=setting.skewed,
    )


# ---------------------------------------------------------------------------------------- tests over units


def _unit_tests(pair: tuple[Units, Units]) -> Iterator[tuple[str, Unit, np.ndarray, float | None]]:
    """Name, unit, p of each study, and for exact tests the level that they can attain."""
    a, b = pair
    sides: Mapping[Unit, tuple[np.ndarray, np.ndarray]] = {
        "base_checkpoint": (a.bases, b.bases),
        "model": (a.models, b.models),
    }
    for unit, (of_a, of_b) in sides.items():
        exact = batched.headline_test(of_a, of_b)
        yield "headline" if unit == "base_checkpoint" else "model_level", unit, exact.p, exact.attainable
        yield "welch_t", unit, batched.welch(of_a, of_b).p, None


def _rate_units(
    results: Results, layout: str, rms: Sequence[Sequence[int]], setting: Setting, pair: tuple[Units, Units]
) -> None:
    for test, unit, p, level in _unit_tests(pair):
        add_rate(results, layout, rms, setting, test, unit, p, level)
    a, b = pair
    for name, target, sides in (
        ("headline", "families, base checkpoints the sample", (a.bases, b.bases)),
        ("model_level", "families, models the sample", (a.models, b.models)),
    ):
        interval = batched.welch(*sides)
        truth = float(sides[1].mean() - sides[0].mean())
        add_coverage(
            results, layout, rms, setting, name, target, interval.covers(truth), interval.ci_high - interval.ci_low
        )


def _power_of_units(
    results: Results,
    layout: str,
    rms: Sequence[Sequence[int]],
    setting: Setting,
    pair: tuple[Units, Units],
    shift: float,
) -> None:
    for test, unit, p, level in _unit_tests(pair):
        add_rate(results, layout, rms, setting, test, unit, p, level, shift)


# ------------------------------------------------------------------------------------------------ records


def add_rate(
    results: Results,
    layout: str,
    rms: Sequence[Sequence[int]],
    setting: Setting,
    test: str,
    unit: Unit,
    p: np.ndarray,
    level: float | None,
    shift: float = 0.0,
) -> None:
    """A row at .05 and, for an exact test that cannot have that level, one at the level that it can."""
    alphas = [(ALPHA, level is None or abs(level - ALPHA) < 1e-9)]
    if level is not None and not alphas[0][1]:
        alphas.append((level, True))
    for alpha, attainable in alphas:
        rate = float((p <= alpha + 1e-12).mean())
        named: dict[str, Any] = {
            "layout": layout_name(layout, setting),
            "test": test,
            "unit": unit,
            "alpha": alpha,
            "attainable": attainable,
            "mc_error": mc_error(rate, len(p)),
            "studies": len(p),
            "design": _design(rms, setting),
            "rows": setting.rows,
        }
        if shift:
            results.power.append(PowerRate(shift=shift, power=rate, **named))
        else:
            results.null_studies.append(NullRate(rate=rate, **named))


def add_coverage(
    results: Results,
    layout: str,
    rms: Sequence[Sequence[int]],
    setting: Setting,
    interval: str,
    target: str,
    covered: np.ndarray,
    width: np.ndarray,
) -> None:
    """covered [studies] (or shares of intervals a study), width [studies]."""
    rate = float(covered.mean())
    of_shares = covered.dtype != bool
    results.coverage.append(
        Coverage(
            layout=layout_name(layout, setting),
            interval=interval,
            target=target,
            level=0.95,
            shift=0.0,
            coverage=rate,
            mc_error=float(covered.std() / np.sqrt(len(covered))) if of_shares else mc_error(rate, len(covered)),
            studies=len(covered),
            width=float(width.mean()),
            design=_design(rms, setting),
            rows=setting.rows,
        )
    )


def _row_model(name: str, rows: RowVariances, asked: tuple[float, float], drawn: tuple[float, float]) -> RowModel:
    return RowModel.build(
        rows,
        name=name,
        sd_base=asked[0],
        sd_rm=asked[1],
        drawn_sd_base=drawn[0],
        drawn_sd_rm=drawn[1],
        slope=rows.slope,
    )


def _chunks(total: int, size: int) -> Iterator[int]:
    for start in range(0, total, size):
        yield min(size, total - start)
