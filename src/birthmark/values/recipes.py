"""Teams that built reward models on several families: the same recipe on different bases, the best comparison there is.

A team is a block: its models' family labels are exchanged among themselves only. The matched pairs stand one by one, with
their signs. Knows which team made a model from the catalog, or is told.
"""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from birthmark.inputs.catalog import find_entry, load_catalog
from birthmark.records import Blocks, Pair
from birthmark.stats.permutation import exact_permutation
from birthmark.values.fixed import why_no_difference
from birthmark.values.joined import Joined
from birthmark.values.levels import family_difference
from birthmark.values.sentences import blocks_sentence


def blocks(joined: Joined, seed: int, teams: Mapping[str, str] | None = None) -> tuple[Blocks | None, str | None]:
    """The test within teams and its pairs, or why there is none. `teams` maps models to what the catalog does not say.

    Statistic: the difference in means (b − a) of `contrast` over the models of teams that have both families; labels are
    exchanged within teams, in all ways. A pair are two models of a team and of unlike families, unless the catalog says
    that they were trained on unlike data.
    """
    why = why_no_difference(joined)
    if why is not None or joined.contrasts is None:
        return None, why
    catalog = load_catalog()
    entries = [find_entry(catalog, model) for model in joined.models]
    given = teams or {}
    team_of = [
        given.get(model) or (entry.team if entry else None) for model, entry in zip(joined.models, entries, strict=True)
    ]
    in_team = {
        team: [at for at, other in enumerate(team_of) if other == team] for team in sorted({t for t in team_of if t})
    }
    both = {team: at for team, at in in_team.items() if len({joined.model_families[model] for model in at}) == 2}
    if not both:
        return None, "no team is known to have built on both families"
    models = np.array([model for at in both.values() for model in at])
    is_b = np.array([joined.model_families[model] == joined.families[1] for model in models])
    test = exact_permutation(
        joined.contrasts[models], is_b, "difference", [team_of[model] or "" for model in models], seed
    )
    data = [entry.data if entry else None for entry in entries]
    found = Blocks(
        teams=list(both),
        n_models={family: int((is_b == (family == joined.families[1])).sum()) for family in joined.families},
        statistic="difference",
        estimate=test.observed,
        p_exact=test.p,
        count=test.count,
        n_splits=test.n_splits,
        min_p=test.min_p,
        pairs=[pair for team, at in both.items() for pair in _pairs(joined, team, at, data)],
        sentence="",
    )
    return found.model_copy(update={"sentence": blocks_sentence(found, joined.categories)}), None


def _pairs(joined: Joined, team: str, models: list[int], data: list[str | None]) -> list[Pair]:
    contrasts, whole = joined.contrasts, family_difference(joined)
    if contrasts is None:
        return []
    found = []
    for one, other in combinations(sorted(models, key=lambda at: (joined.model_families[at], joined.models[at])), 2):
        unlike_data = data[one] is not None and data[other] is not None and data[one] != data[other]
        if joined.model_families[one] == joined.model_families[other] or unlike_data:
            continue
        difference = float(contrasts[other] - contrasts[one])
        found.append(
            Pair(
                team=team,
                data=data[one] if data[one] == data[other] else None,
                model_a=joined.models[one],
                model_b=joined.models[other],
                family_a=joined.model_families[one],
                family_b=joined.model_families[other],
                difference=difference,
                agrees=bool(np.sign(difference) == np.sign(whole)),
            )
        )
    return found
