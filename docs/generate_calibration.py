"""Write docs/calibration.md from a folder that `birthmark calibrate tests --out FOLDER` wrote.

birthmark calibrate tests --out calibration
python docs/generate_calibration.py calibration
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from birthmark.records import Calibration, Coverage, NullRate, read_record
from birthmark.report.calibration import INTERVALS, test_name
from birthmark.values.planning import plan

PAGE = Path(__file__).with_name("calibration.md")
ICCS = ("0", "0.5", "0.85")
LEXICONS = {
    "big2": "Big Two",
    "mfd2_as_published": "moral foundations, as published",
    "mfd2_all_columns": "moral foundations, all columns",
}

OPENING = """# What the instrument can see

How often does each test find a difference that is not there? How large must a difference be to be found? Does a 95%
interval hold the truth in 95 of 100 studies? This page answers for every test and interval of a report. Its numbers are
those of

```
birthmark calibrate tests --out calibration
python docs/generate_calibration.py calibration
```

which relabels the published reward models, draws {studies:,} studies a design ({of_words:,} for each layout of words,
{few} for the crossed variance and the intervals of full studies) and takes about five minutes on two cores. `--quick`
draws 200. Everything is in
`calibration/calibration.json` and `calibration/report.html`. [What each test assumes](statistics.md);
[which implicit reward finds planted words](implicit.md).

## The published models, relabelled

Call any four of the ten published models “Gemma”. There are 210 ways, and a test at 5% should call about ten of them
significant.

{shuffle}

The published tests take a model's prompts for independent observations, so they find a difference between almost any two
groups of models. The exact tests over models keep to 10 of 210 *by construction*: relabelling imposes the very
exchangeability that they assume. Whether it is true of reward models that share base checkpoints, only drawn studies tell.

## Studies drawn from a known truth

A study is drawn from the top down: base checkpoints, the reward models on each, what each thinks of every word after
every prompt; then words are ranked as in a report. Families do not differ. How much varies where is fitted to the
published ranks (as normal scores, within category and framing): of the variance of a word's score {word:.0%} is the word's
own, the same for all models; {word_by_base:.0%} is shared by models on one base checkpoint only, {word_by_rm:.0%} is one
model's, {word_by_prompt:.0%} depends on the prompt, {residual:.0%} is left. The contrast of median ranks then has an SD of
{sd_base:.1f} ranks between base checkpoints and {sd_rm:.1f} between models on one, as the published ones have; after
ranking the drawn ones have {drawn_base:.1f} and {drawn_rm:.1f}. About a third of the variance between base checkpoints and
most of that between models on one is the luck of the words.

## False positives on the published layout

Two Gemma and three Llama base checkpoints, four and six reward models. *Clustering* is the share of the variance of
contrasts that lies between base checkpoints; the published data have .84.

{published}

± is the Monte-Carlo standard error of a rate at clustering .85. Two against three base checkpoints have ten splits, so the
exact test over them cannot reach 5%: it never errs at 5% because it never rejects. At its smallest p, .10, it errs as often as it
should. A permutation of models rejects about a quarter of true nulls once models cluster as the published ones do. The
mixed model and the Bonferroni panels err in most studies *even without clustering*: their fault is to take prompts, not
models, for the sample.

## More base checkpoints

Two reward models on each, clustering .85. An exact test's level is given where it is not 5%.

{designs}

Over models the rate does not come down to 5% however many base checkpoints there are.

## Families that spread unlike

The exact tests assume that under the null families have the same distribution, not only the same mean. Where one
family's contrasts have 3.3 times the SD of the other's, or where they are skewed, clustering .85:

{unlike}

With equally many units a family the tests over base checkpoints stay near their level where contrasts are normal, and err up
to twice as often where skew comes on top of unequal spread. With two against three they depend on which family is the wider one:
if it is the *smaller* (0.3), the exact test errs almost three times as often as it says; Welch's t less so. Bring equally many
base checkpoints of each family.

## Words as the sample

The p of a report of two models (`models_fixed.p_words`) takes words as the sample. Here two models score words after one
good and one bad prompt, and do not differ: a word's score is its stem's (nine tenths of its variance) and its own, drawn
anew for each model and prompt, and then ranked. Categories have 36 and 36 words, or 12 and 60; stems have one form, two,
three, or one to three in turn; the scores of the second category have an SD equal to the first's or another. {of_words:,}
studies a layout, so that rates are ± {words_error}; the test is at .05.

{words}

The interval beside the p is that of the same test: it leaves out 0 exactly where p is below .05, and holds the truth as often
as the test does not err. With two or three stems in a category the test cannot keep its level, and every report with so few
says so beside the p:

{few_stems}

Where every stem of a category is in the other one too, whole stems cannot change places, and p is from Student's t; the rate
stands beside it:

{within}

Shuffling single words would take the forms of a stem for independent observations, and the plain difference of means would
take a category's spread for its place; so whole stems are shuffled, and differences are divided by their standard errors.

## Coverage of the intervals

95% intervals on the published layout.

{coverage}

The interval over words is about the models as they were run, and there it holds; read as one about families it does not.
A crossed interval takes single models for independent and so misses as the model level does; with base checkpoints as
clusters it holds, at the price of its width. The interval of a single model's median rank is wider than it need be.

## Power

How often the exact test over base checkpoints finds a difference of so many ranks (of 263), two reward models on each,
clustering .85, at the largest level up to 5% that it can have:

{power}

## Planning a study

```
birthmark calibrate plan --bases 5,5 --rms-per-base 2 --sd-base 16.6 --sd-rm 7.2 --shift 20
```

{plan}

{alternatives}

Every report states what its own units could have detected: “Minimum detectable contrast at 80% power: … ranks”, from the spread of its own base checkpoints where there are five or more, else from the published one; where
.05 is out of reach it says so, and with one base checkpoint a family it speaks of the words alone.

## What this rests on

Leanings and words are normal (or, where it says skewed, shifted exponentials) and independent; contrasts of two
categories only. With single prompts a framing (*compact* rows, used for the tests over units) the words' variances are set
so that contrasts spread as with {prompts}. The spread between base checkpoints is estimated from five of them and is
itself uncertain: its 95% interval reaches from about half to nearly four times its value. In studies of families words and
prompts are drawn one by one: clusters of stems or of adjectives are not simulated there. Scores of words are normal.
"""


def main(folder: Path) -> None:
    record = read_record(folder / "calibration.json", Calibration)
    fitted = record.fitted
    drawn = next(rows for rows in record.row_models if rows.name == "full icc=0.85")
    if fitted is None:
        sys.exit(f"{folder} holds no simulated studies: birthmark calibrate tests --out {folder}")
    planned = plan()
    words = [row for row in record.null_studies if row.design.words is not None]
    PAGE.write_text(
        OPENING.format(
            **fitted.model_dump(),
            studies=max(row.studies for row in record.null_studies),
            few=min(row.studies for row in record.null_studies),
            of_words=words[0].studies,
            words_error=_rate(max(row.mc_error for row in words)),
            words=_words([row for row in words if min(row.design.words.words) >= 12 and not _within(row)]),
            few_stems=_few_stems([row for row in words if min(row.design.words.words) < 12 and not _within(row)]),
            within=_few_stems([row for row in words if _within(row)]),
            drawn_base=drawn.drawn_sd_base,
            drawn_rm=drawn.drawn_sd_rm,
            prompts=drawn.prompts,
            shuffle=_shuffle(record),
            published=_published(record),
            designs=_designs(record),
            unlike=_unlike(record),
            coverage=_coverage(record),
            power=_power(record),
            plan="\n".join(planned.sentences),
            alternatives=_table(
                ("design", "base checkpoints", "power, exact test", "power, t", "detectable at 80% power"),
                [
                    (
                        row.design,
                        f"{row.bases[0]} and {row.bases[1]}",
                        _rate(row.power),
                        _rate(row.power_welch),
                        "–" if row.detectable is None else f"{row.detectable:.0f} ranks",
                    )
                    for row in (*planned.alternatives, *planned.pairs)
                ],
            ),
        ),
        encoding="utf-8",
    )


def _shuffle(record: Calibration) -> str:
    rows = []
    for test, unit, alpha in dict.fromkeys((row.test, row.unit, row.alpha) for row in record.label_shuffle):
        cells = []
        for lexicon in LEXICONS:
            found = next(
                row for row in record.label_shuffle if (row.lexicon, row.test, row.alpha) == (lexicon, test, alpha)
            )
            cells.append("–" if found.significant is None else f"{found.significant} of {found.splits}")
        rows.append((test_name(test, unit), f"{alpha:g}", *cells))
    return _table(("test", "level", *LEXICONS.values()), rows)


def _published(record: Calibration) -> str:
    found: dict[tuple[str, str, float], dict[str, NullRate]] = {}
    for row in record.null_studies:
        if row.layout in {f"published icc={icc}" for icc in ICCS} and (row.alpha == 0.05 or row.alpha > 0.05):
            found.setdefault((row.test, row.unit, row.alpha), {})[f"{row.design.icc:g}"] = row
    order = ("mixed_model_three_way", "any_panel_bonferroni", "any_panel_max_t", "model_level", "welch_t", "crossed")
    keys = sorted(
        found, key=lambda key: (key[0] not in order, order.index(key[0]) if key[0] in order else 0, key[1] != "model")
    )
    rows = [
        (
            test_name(test, unit),
            f"{alpha:g}",
            *(_rate(found[test, unit, alpha][icc].rate) for icc in ICCS),
            f"± {found[test, unit, alpha][ICCS[-1]].mc_error:.3f}",
        )
        for test, unit, alpha in keys
    ]
    return _table(("test", "level", *(f"clustering {_short(icc)}" for icc in ICCS), "±"), rows)


def _designs(record: Calibration) -> str:
    rows = []
    for layout in dict.fromkeys(row.layout for row in record.null_studies if row.design.words is None):
        if "+" not in layout or not layout.endswith("icc=0.85"):
            continue
        by_test = {
            (row.test, row.unit): row
            for row in sorted(
                (row for row in record.null_studies if row.layout == layout), key=lambda row: row.attainable
            )
        }
        cells = [
            by_test[key]
            for key in (
                ("headline", "base_checkpoint"),
                ("welch_t", "base_checkpoint"),
                ("model_level", "model"),
                ("welch_t", "model"),
            )
        ]
        rows.append((layout.split()[0].replace("+", " and "), *(_at_level(row) for row in cells)))
    names = [
        test_name(*key)
        for key in (("headline", ""), ("welch_t", "base_checkpoint"), ("model_level", ""), ("welch_t", "model"))
    ]
    return _table(("base checkpoints", *names), rows)


def _unlike(record: Calibration) -> str:
    rows = []
    wanted = {"published": "2 and 3 base checkpoints", "5+5": "5 and 5"}
    for layout in dict.fromkeys(row.layout for row in record.null_studies):
        units = layout.split()[0]
        if units not in wanted or "icc=0.85" not in layout:
            continue
        by_test = {
            (row.test, row.unit): row
            for row in sorted(
                (row for row in record.null_studies if row.layout == layout), key=lambda row: row.attainable
            )
        }
        if ("headline", "base_checkpoint") not in by_test:
            continue
        design = by_test["headline", "base_checkpoint"].design
        rows.append(
            (
                wanted[units],
                f"{design.sd_ratio:.2g}",
                "skewed" if design.skewed else "normal",
                *(
                    _at_level(by_test[key])
                    for key in (
                        ("headline", "base_checkpoint"),
                        ("welch_t", "base_checkpoint"),
                        ("model_level", "model"),
                    )
                ),
            )
        )
    return _table(
        (
            "layout",
            "SD, second ÷ first family",
            "leanings",
            "Exact, base checkpoints",
            "Welch's t, base checkpoints",
            "Exact, models",
        ),
        rows,
    )


def _words(rows: Sequence[NullRate]) -> str:
    """A line a pair of categories and their stems' forms, a column a ratio of spread."""
    ratios = sorted({row.design.sd_ratio for row in rows})
    found: dict[tuple[str, str], dict[float, NullRate]] = {}
    for row in rows:
        words = row.design.words
        forms = f"{min(words.forms)}–{max(words.forms)}" if len(words.forms) > 1 else f"{words.forms[0]}"
        both = f", {words.in_both} stems in both" if words.in_both else ""
        found.setdefault((" and ".join(map(str, words.words)), forms + both), {})[row.design.sd_ratio] = row
    lines = [
        (
            words,
            forms,
            " and ".join(map(str, next(iter(of.values())).design.words.stems)),
            *(_rate(of[ratio].rate) if ratio in of else "–" for ratio in ratios),
        )
        for (words, forms), of in found.items()
    ]
    return _table(("words", "forms of a stem", "stems", *(f"SD × {_short(f'{ratio:.2g}')}" for ratio in ratios)), lines)


def _within(row: NullRate) -> bool:
    """Whether every stem of the first category is in the second too."""
    return row.design.words.in_both == row.design.words.stems[0]


def _few_stems(rows: Sequence[NullRate]) -> str:
    """A line a number of stems in the smaller category, with the range over the larger one's and over ratios of spread."""
    lines = []
    for fewest in sorted({min(row.design.words.stems) for row in rows}):
        of = [row for row in rows if min(row.design.words.stems) == fewest]
        others = ", ".join(str(n) for n in sorted({max(row.design.words.stems) for row in of}))
        rates = [row.rate for row in of]
        lines.append((str(fewest), others, f"{_rate(min(rates))} to {_rate(max(rates))}"))
    return _table(("stems", "of the other category", "false positives at .05"), lines)


def _coverage(record: Calibration) -> str:
    found: dict[tuple[str, str], dict[str, Coverage]] = {}
    for row in record.coverage:
        if row.layout in {f"published icc={icc}" for icc in ICCS}:
            found.setdefault((row.interval, row.target), {})[f"{row.design.icc:g}"] = row
    rows = [
        (
            INTERVALS.get(interval, interval),
            target,
            *(_rate(of[icc].coverage) for icc in ICCS),
            f"± {of[ICCS[-1]].mc_error:.3f}",
            f"{of[ICCS[-1]].width:.0f}",
        )
        for (interval, target), of in found.items()
    ]
    names = ("interval", "of", *(f"clustering {_short(icc)}" for icc in ICCS), "±", "mean width, ranks")
    return _table(names, rows)


def _power(record: Calibration) -> str:
    shifts = sorted({row.shift for row in record.power})
    rows = []
    for layout in dict.fromkeys(row.layout for row in record.power if "+" in row.layout):
        of = [row for row in record.power if row.layout == layout and row.test == "headline" and row.attainable]
        if of and of[0].alpha <= 0.051:
            rows.append(
                (layout.split()[0].replace("+", " and "), f"{of[0].alpha:.3f}", *(_rate(row.power) for row in of))
            )
    return _table(("base checkpoints", "level", *(f"{shift:g} ranks" for shift in shifts)), rows)


def _at_level(row: NullRate) -> str:
    level = "" if abs(row.alpha - 0.05) < 0.003 else f" (at {_short(f'{row.alpha:.3g}')})"
    return _rate(row.rate) + level


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".removeprefix("0") if value < 0.9995 else "1"


def _short(number: str) -> str:
    return number.removeprefix("0") or "0"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
