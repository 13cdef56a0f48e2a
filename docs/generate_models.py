"""Write `docs/models.md`, the list of models that birthmark knows by name, from the catalog.

Run it after changing the catalog: `python docs/generate_models.py`; a test says when that was forgotten.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from birthmark.inputs.catalog import Catalog, Entry, load_catalog, load_sets
from birthmark.models.memory import memory_needed
from birthmark.stats.power import splits

PAGE = Path(__file__).with_name("models.md")
INTRODUCTION = """# Models

Every model below goes by its name: `birthmark score NAME`, `birthmark audit NAME`. `birthmark models show NAME` prints all
that is known of one, with the source of each fact, and `birthmark models list` finds them by family, head, team and text.
What no source confirms is left out, and `[to confirm]` in `models show` marks what rests on one secondary source. Any other
model goes by hub id or folder.

Memory is that of the weights in the precision that the model is run in on a GPU, and 1 GiB; on a CPU it is float32. What
does not fit is refused before it is loaded, with what would: `--dtype`, `--device-map auto` (several GPUs, and the CPU
for the rest), `--quantize 8bit` or `4bit`. A revision is pinned only where its authors or the published study name one.
"""
SAME_RECIPE = """Families are compared over base checkpoints, whose family labels are permuted in every way. With n₁ and n₂ of them there are
(n₁ + n₂)! / (n₁! n₂!) ways, and the most extreme one is the smallest p: one way of that number, two where n₁ = n₂. The
study's ten models stand on five base checkpoints, so that no data can give p below .100. `same-recipe` can: one team trained
its seven models in one way on the same pairs, so that recipes do not differ between the families either. The eighth model of
that series (40M) is not in it: it was trained on other data, on a base checkpoint that is there already.
`birthmark calibrate plan --bases 3,4 --rms-per-base 1` says what such a design can find.
"""
TAGS = """## The authors' own checkpoints

The reward models that the published study trained are on the hub, in the collection
[reward-models-inherit-value-biases-from-pretraining-iclr2026](https://huggingface.co/collections/Oxford-HIPlab/reward-models-inherit-value-biases-from-pretraining-iclr2026)
of Oxford-HIPlab: one repository a run, a tag a checkpoint (`step-0`, `step-1000`, …; `best`, `final`). Which repositories are
there is not confirmed here, so the catalog lists none. The authors' upload script (github.com/brchristian/Generalizable-Reward-Model)
names each after its run, as their training scripts do: `BT_LoRA_skywork80k_on_gemma-2-2b-it_seed1`,
`BT_LoRA_Unified_stepsize_16_on_Llama-3.2-3B-Instruct_seed1`, … Score one by its id and tag:

```
birthmark score Oxford-HIPlab/REPOSITORY --revision step-1000 --family Gemma --base-checkpoint gemma-2-2b-it
```

They are adapters (LoRA, rank 32) on their base, which is fetched too. On Llama their training added a padding token, so that
the adapter brings the whole embedding, one row longer; birthmark takes it over. The GRM runs keep their reward head in
`v_head.pt`, a pickle, which birthmark refuses to read.
"""
OWN = """## Your own

A file of your own adds models and sets, or changes facts of those above (`--catalog FILE`); `path` is a folder beside the
file, and goes before `hub`:

```toml
[models."my-rm"]
path = "checkpoints/my-rm"
kind = "reward"
family = "Llama"
base_checkpoint = "Llama-3.1-8B-Instruct"

[sets]
mine = ["my-rm", "skywork-reward-llama-3.1-8b-v0.2"]
```

`birthmark audit --catalog FILE --catalog-set mine` then audits both, one after the other.
"""


def page() -> str:
    """The page: reward models by team, what cannot be loaded and why, language models by family, sets."""
    catalog = load_catalog()
    reward = [entry for entry in catalog.values() if entry.kind == "reward"]
    loadable = [entry for entry in reward if entry.loadable]
    language = [entry for entry in catalog.values() if entry.kind == "logprob"]
    parts = [INTRODUCTION, "## Reward models\n"]
    for family in _in_order(entry.family for entry in loadable):
        parts += [f"### On {family}\n", _reward_table([entry for entry in loadable if entry.family == family])]
    parts += [
        "## Reward models that are not loaded\n",
        _refused_table([entry for entry in reward if not entry.loadable]),
    ]
    parts += ["Process reward models, which score the steps of a solution, are not covered.\n", "## Language models\n"]
    for family in _in_order(entry.family for entry in language):
        parts += [f"### {family}\n", _language_table([entry for entry in language if entry.family == family])]
    return "\n".join([*parts, "## Sets\n", _sets(catalog), TAGS, OWN])


def _in_order(names: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))


def _reward_table(entries: list[Entry]) -> str:
    header = ("Name", "Hub", "Base checkpoint", "Trained on from", "Head", "Runs in", "Memory", "Licence", "Published")
    rows = [
        (
            f"`{entry.name}`",
            _hub(entry),
            entry.base_checkpoint or "not confirmed",
            entry.parent or "–",
            entry.head or "–",
            f"{entry.dtype}, {entry.attention}",
            _memory(entry),
            entry.licence or "not confirmed",
            _published(entry),
        )
        for entry in entries
    ]
    return _table(header, rows)


def _refused_table(entries: list[Entry]) -> str:
    header = ("Name", "Hub", "Base checkpoint", "Why", "Published")
    return _table(
        header,
        [(f"`{e.name}`", _hub(e), e.base_checkpoint or "not confirmed", e.why or "–", _published(e)) for e in entries],
    )


def _language_table(entries: list[Entry]) -> str:
    header = ("Name", "Where", "Stage", "Trained on from", "Runs in", "Memory", "Licence")
    rows = [
        (
            f"`{entry.name}`",
            _hub(entry),
            entry.stage or "–",
            entry.parent or "–",
            f"{entry.dtype}, {entry.attention}",
            _memory(entry),
            f"{entry.licence or 'not confirmed'}{' (gated)' if entry.gated else ''}",
        )
        for entry in entries
    ]
    return _table(header, rows)


def _hub(entry: Entry) -> str:
    if entry.hub is None:
        return "packages: no hub needed"
    pinned = f" at `{entry.revision[:8]}`" if entry.revision else ""
    return f"[{entry.hub}](https://huggingface.co/{entry.hub}){pinned}"


def _memory(entry: Entry) -> str:
    if entry.parameters is None:
        return "–"
    return f"{memory_needed(entry.parameters, entry.dtype or 'float32') / 2**30:.1f} GB"


def _published(entry: Entry) -> str:
    scores = [f"{name} {score:g}" for name, score in entry.benchmarks.items()]
    return "; ".join([*scores, *([entry.rank] if entry.rank else [])]) or "–"


def _sets(catalog: Catalog) -> str:
    lines = [
        "`birthmark audit --catalog-set NAME` audits the models of a set one after another, gives each one's memory back,",
        "resumes where it was stopped, and ends in one report with the map of the models and the comparison of families.\n",
    ]
    for name, members in load_sets().items():
        total = sum(catalog[member].parameters or 0 for member in members)
        lines.append(
            f"- `{name}`: {', '.join(f'`{m}`' for m in members)} ({total / 1e9:.0f} billion parameters in all; "
            f"{_smallest_p(catalog, members)})"
        )
    return "\n".join([*lines, "", SAME_RECIPE])


def _smallest_p(catalog: Catalog, members: Iterable[str]) -> str:
    """Units of a set of two families, and the smallest p of the exact test over them."""
    families = Counter(family for family, _ in {(catalog[m].family, catalog[m].base_checkpoint) for m in members})
    (one, n_one), (other, n_other) = sorted(families.items(), key=lambda pair: str(pair[0]))
    ways, smallest = splits(n_one, n_other)
    return f"base checkpoints: {n_one} of {one}, {n_other} of {other}; smallest p 1/{ways} = {smallest:.3f}"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (header, ("---",) * len(header), *rows)]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
