"""How often a forecast's interval holds a new reward model on a new base checkpoint, on drawn histories.

Contrasts of bases are drawn with the published spread between base checkpoints, reward models' around a line through
them, with what bases do not explain and with the luck of each reward model.
"""

from dataclasses import dataclass

import numpy as np

from birthmark.records import Coverage, Layout
from birthmark.stats.forecast import FEWEST, attainable, jackknife_plus
from birthmark.stats.power import mc_error
from birthmark.values.calibration import Results, generator
from birthmark.values.planning import SD_BASE, SD_RM

SLOPE = 0.6
UNEXPLAINED = 0.5  # of the variance between bases' reward models, what the bases' own contrasts do not explain
INTERVAL = "forecast_jackknife_plus"
TARGET = "a new reward model on a new base checkpoint"


@dataclass(frozen=True)
class Design:
    """Base checkpoints in the history, reward models on each, and whether what is not explained is skewed."""

    bases: int
    members: int
    skewed: bool

    @property
    def name(self) -> str:
        return f"forecast, {self.bases} bases, {self.members} RM{'' if self.members == 1 else 's'} each{', skewed' if self.skewed else ''}"


DESIGNS = tuple(
    Design(bases, members, skewed)
    for bases in (FEWEST, 10, 20)
    for members, skewed in ((1, False), (3, False), (1, True))
)


def forecast_studies(design: Design, studies: int, seed: int) -> Results:
    """The coverage of the interval over so many histories of a design, each with one new base and one reward model on it."""
    rng = generator(seed, 5, design.bases, design.members, design.skewed)
    held, widths = np.empty(studies, dtype=bool), np.empty(studies)
    groups = np.repeat(np.arange(design.bases), design.members)
    for study in range(studies):
        x, y = _draw(rng, design)
        found = jackknife_plus(np.repeat(x[:-1], design.members), y[:-1].ravel(), groups, x[-1:])
        held[study] = found.low[0] <= y[-1, 0] <= found.high[0]
        widths[study] = found.high[0] - found.low[0]
    rate = float(held.mean())
    row = Coverage(
        layout=design.name,
        interval=INTERVAL,
        target=TARGET,
        level=attainable(design.bases),
        shift=0.0,
        coverage=rate,
        mc_error=mc_error(rate, studies),
        studies=studies,
        width=float(widths.mean()),
        design=Layout(
            bases=[design.bases], rms=[[design.members] * design.bases], icc=SD_BASE**2 / (SD_BASE**2 + SD_RM**2),
            sd_ratio=1.0, skewed=design.skewed,
        ),
        rows="forecast",
    )  # fmt: skip
    return Results(coverage=[row])


def _draw(rng: np.random.Generator, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Contrasts of bases [bases + 1] and of the reward models on them [bases + 1, members], in ranks."""
    count = design.bases + 1
    x = rng.normal(0.0, SD_BASE, count)
    spread = SD_BASE * SLOPE * np.sqrt(UNEXPLAINED / (1 - UNEXPLAINED))
    drawn = rng.exponential(1.0, count) - 1.0 if design.skewed else rng.normal(0.0, 1.0, count)
    own = SLOPE * x + spread * drawn
    return x, own[:, None] + rng.normal(0.0, SD_RM, (count, design.members))
