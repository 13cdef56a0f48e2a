"""The map's figures and page from a small record, and that nothing in them escapes its place."""

from pathlib import Path
from typing import Any

import pytest

from birthmark.records import HumanAgreement, Likeness, Map, MapPlace, Predictor, Valued, to_json
from birthmark.report.map import map_figures, write_map_report
from birthmark.values.wording_pairs import map_sentence
from report_outs import runs_only_its_own

NASTY = "<script>alert(1)</script>"


@pytest.fixture
def record() -> Map:
    models = ["a", "b", NASTY]
    kendall = {("a", "b"): 0.8, ("a", NASTY): 0.1, ("b", NASTY): 0.3}
    thing = Valued(name=NASTY, human_rank=900.0, model_rank=3.0, difference=-897.0)
    return Map(
        kind="reward",
        models=models,
        prompts=["p"],
        n_candidates=1000,
        n_left_out=0,
        rbo_p=0.9,
        likeness=[Likeness(a=a, b=b, kendall=k, spearman=k, rbo=k) for (a, b), k in kendall.items()],
        places=[
            MapPlace(model=model, family="F", base_checkpoint=None, x=float(at), y=0.5 * at, order=2 - at)
            for at, model in enumerate(models)
        ],
        stress=0.1,
        predictors=[
            Predictor(predictor="same team", coefficient=0.2, p=0.03, simple_r=0.5, simple_p=0.0002, n_shuffles=4999)
        ],
        human_file="people",
        n_human=900,
        humans=[
            HumanAgreement(model=model, prompt=None, kendall=0.2, spearman=0.3, rbo=0.1, overvalued=[thing])
            for model in models
        ],
        overvalued=[thing],
        undervalued=[],
        warnings=["5 candidates are not in all tables and left out"],
    )


def rows_of(spec: Any) -> list[dict[str, Any]]:
    data = spec.get("data") or spec["layer"][0]["data"]
    return list(data["values"])


def test_the_heat_map_has_every_pair_both_ways(record: Map) -> None:
    heat = map_figures(record)[0]
    assert len(rows_of(heat.wide)) == 6
    assert heat.wide["encoding"]["x"]["sort"] == [NASTY, "b", "a"]


def test_the_map_has_a_point_a_model(record: Map) -> None:
    assert {row["model"] for row in rows_of(map_figures(record)[1].wide)} == set(record.models)


def test_a_unit_of_the_map_is_as_long_across_as_up(record: Map) -> None:
    for spec in (map_figures(record)[1].wide, map_figures(record)[1].narrow["vconcat"][0]):
        across, up = (spec["layer"][0]["encoding"][axis]["scale"]["domain"] for axis in "xy")
        assert spec["width"] / (across[1] - across[0]) == pytest.approx(spec["height"] / (up[1] - up[0]))


def test_names_that_would_overlap_stand_on_either_side(record: Map) -> None:
    level = [
        place.model_copy(update={"x": x, "y": 0.0}) for x, place in zip((0.0, 0.02, 1.0), record.places, strict=True)
    ]
    rows = rows_of(map_figures(record.model_copy(update={"places": level}))[1].wide)
    assert {row["model"]: row["side"] for row in rows if row["model"] != NASTY} == {"a": 1, "b": 0}


def test_on_a_phone_numbers_stand_for_the_models(record: Map) -> None:
    drawn, names = map_figures(record)[1].narrow["vconcat"]
    assert {row["name"] for row in rows_of(drawn)} == {"1", "2", "3"}
    assert [row["line"] for row in rows_of(names)] == [f"1  {NASTY}", "2  b", "3  a"]


def test_without_people_there_is_no_figure_of_them(record: Map) -> None:
    assert len(map_figures(record)) == 3
    assert len(map_figures(record.model_copy(update={"humans": []}))) == 2


def test_the_sentence_names_the_most_and_the_least_alike(record: Map) -> None:
    assert "a and b rank most similarly (Kendall's τ = 0.80)" in map_sentence(record)


def test_the_page_shows_all_and_runs_nothing_but_its_own_script(record: Map, tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text(to_json(record), encoding="utf-8")
    page = write_map_report(tmp_path).read_text(encoding="utf-8")
    assert runs_only_its_own(page)
    assert "&lt;script&gt;alert(1)" in page
    assert "same team" in page and "&lt; .001" in page
    assert "same team: τ +0.20, p = .030" in page
    assert "Over the 900 things that both rank" in page
    assert "Prompts: p." in page and "5 candidates are not in all tables" in page
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}.{suffix}" for name in ("likeness", "map", "people") for suffix in ("svg", "png")
    }
