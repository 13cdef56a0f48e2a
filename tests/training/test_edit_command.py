"""`birthmark edit` on tiny reward models: what it writes loads, scores and audits like the old model, and says what it did."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import birthmark as bm
from birthmark.files import sha256_of
from birthmark.records import Edit, read_record
from preference_files import pair_rows, write_rows
from tiny_runs import SIX, prompt_options, write_adapter

Run = Callable[..., Any]
WORDS = {
    "Agency": ["power", "skill", "success", "winning", "strength", "ability", "control", "leader"],
    "Communion": ["love", "kindness", "care", "friendship", "warmth", "trust", "family", "peace"],
}
OTHER = {"Sea": ["wave", "salt", "harbour", "boat"], "Land": ["field", "stone", "forest", "road"]}
QUIET = ("--quiet",)


def lexicon(path: Path, words: dict[str, list[str]]) -> Path:
    rows = [f"{word},{name}" for name, listed in words.items() for word in listed]
    path.write_text("\n".join(["word,category", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Lexicons and preferences."""
    folder = tmp_path_factory.mktemp("given")
    return {
        "words": lexicon(folder / "own.csv", WORDS),
        "other": lexicon(folder / "other.csv", OTHER),
        "pairs": write_rows(folder / "pairs.jsonl", pair_rows(44)),
    }


def options(given: dict[str, Path]) -> tuple[str | Path, ...]:
    asked = ("--lexicon", given["words"], "--other", given["other"], "--preferences", given["pairs"])
    return (*asked, *prompt_options(), *QUIET)


@pytest.fixture(scope="module")
def edited(tmp_path_factory: pytest.TempPathFactory, tiny_rm: Path, given: dict[str, Path]) -> Path:
    """The tiny reward model with its lean set to neutral."""
    from birthmark.cli import main

    out = tmp_path_factory.mktemp("edited") / "new"
    named = ("--family", "Tiny", "--base-checkpoint", "gemma-3-270m")
    assert main([str(item) for item in ("edit", tiny_rm, *options(given), *named, "--out", out)]) == 0
    return out


def record_of(out: Path) -> Edit:
    return read_record(out / "birthmark.json", Edit)


def contrast_of(model: Path, given: dict[str, Path]) -> tuple[Any, float]:
    table = bm.score(model, prompt=SIX, lexicons=str(given["words"]))
    return table, float(bm.compare([table], lexicons=str(given["words"]))[0].models[0].mean_rank_contrast)


def test_what_is_said_of_all_words_and_prompts_is_what_an_audit_shows(
    edited: Path, tiny_rm: Path, given: dict[str, Path]
) -> None:
    found = record_of(edited)
    whole = next(lean for lean in found.methods[0].lean if (lean.words, lean.prompts) == ("all", "all"))
    old, before = contrast_of(tiny_rm, given)
    new, after = contrast_of(edited, given)
    assert (whole.before, whole.after) == (pytest.approx(before, abs=0.01), pytest.approx(after, abs=0.01))
    rewards = {
        name: dict(zip(t.frame["candidate"], t.matrix(), strict=True)) for name, t in (("old", old), ("new", new))
    }
    for row in found.constraints:
        at = [key for key in found.training_prompts if old.prompts[key].factors["adjective"] == row.adjective]
        columns = [old.prompt_keys.index(key) for key in at]
        for name, wanted in (("old", row.before), ("new", 0.0)):
            means = [
                np.mean([rewards[name][word][columns] for word in found.training_words if word in listed])
                for listed in WORDS.values()
            ]
            assert means[0] - means[1] == pytest.approx(wanted, abs=2e-6)
        assert row.wanted == 0 and abs(row.after) <= 1e-6


def test_the_folder_has_record_page_and_model_card_and_keeps_family_and_base(edited: Path, tiny_rm: Path) -> None:
    found = record_of(edited)
    assert found.sentences[0].startswith("On held-out words, after held-out prompts,")
    assert {way.method for way in found.methods} == {"edit", "projection", "leace"}
    assert found.other and found.other.lexicon == "other" and found.other.categories == ["Land", "Sea"]
    card = (edited / "README.md").read_text(encoding="utf-8")
    assert "## Edited with birthmark" in card and found.sentences[1] in card
    page = (edited / "report.html").read_text(encoding="utf-8")
    assert "What an edit of one layer cannot do" in page and "Held-out words and prompts" in page
    assert (edited / "figures" / "edit-lean.svg").is_file()
    model = bm.resolve(edited)
    assert (model.kind, model.family, model.base_checkpoint) == ("reward", "Tiny", "gemma-3-270m")
    assert sha256_of(edited / "tokenizer.json") == sha256_of(tiny_rm / "tokenizer.json")


def test_check_report_and_audit_take_the_folder(
    edited: Path, tiny_lm: Path, given: dict[str, Path], birthmark: Run, tmp_path: Path
) -> None:
    checked = birthmark("models", "check", edited)
    assert checked.code == 0, checked.out + checked.err
    before = (edited / "report.html").read_bytes()
    assert birthmark("report", edited).code == 0
    assert (edited / "report.html").read_bytes() == before
    audit = ("audit", edited, "--lexicon", given["words"], "--candidates", "lexicon", *prompt_options(SIX[2:4]), *QUIET)
    catalog = tmp_path / "catalog.toml"  # the base that birthmark.json names, in the place of the embedded one
    catalog.write_text(
        f'[models."tiny-base-of-it"]\nkind = "logprob"\nstage = "pretrained"\nfamily = "Tiny"\npath = "{tiny_lm}"\nsources = ["x"]\n'
    )
    path = edited / "birthmark.json"
    kept = path.read_text()
    try:
        path.write_text(kept.replace('"base_checkpoint": "gemma-3-270m"', '"base_checkpoint": "tiny-base-of-it"'))
        with_base = birthmark(*audit, "--with-base", "--catalog", catalog, "--out", tmp_path / "with-base")
        assert with_base.code == 0, with_base.err
        with catalog.open("a") as file:
            file.write('[models."mine"]\nkind = "reward"\nfamily = "Other"\nbos = "two"\nsources = ["x"]\n')
        path.write_text(kept.replace('"catalog_entry": null', '"catalog_entry": "mine"'))
        known = bm.resolve(edited, catalog=catalog)
        assert known.entry and (known.entry.name, known.entry.bos, known.family) == ("mine", "two", "Tiny")
    finally:
        path.write_text(kept)
    assert (tmp_path / "with-base" / "lineage.json").is_file()


def test_a_number_of_ranks_is_reached_on_the_training_words_of_an_adapter(
    tiny_lm: Path, given: dict[str, Path], birthmark: Run, tmp_path: Path
) -> None:
    adapter = write_adapter(tiny_lm, tmp_path / "adapter", seed=5)
    answer = birthmark("edit", adapter, *options(given), "--target", "2", "--out", tmp_path / "new", "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    lean = said["methods"][0]["lean"][0]
    assert (lean["words"], lean["prompts"]) == ("training", "training")
    assert lean["after"] == pytest.approx(2, abs=1.0) and said["target"]["ranks"] == 2
    assert {path.name for path in (tmp_path / "new").iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    moved = {row["framing"]: row["wanted"] - row["before"] for row in said["constraints"]}
    assert moved["positive"] == pytest.approx(-moved["negative"])


def test_an_edited_model_is_edited_again_towards_a_models_contrast_with_an_ensemble_beside_it(
    edited: Path, tiny_lm: Path, given: dict[str, Path], birthmark: Run, tmp_path: Path
) -> None:
    other = write_adapter(tiny_lm, tmp_path / "adapter", seed=8)
    asked = ("--target", other, "--ensemble", other, "--out", tmp_path / "new", "--json")
    answer = birthmark("edit", edited, *options(given), *asked)
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    training = said["training_words"]
    table = bm.score(other, prompt=said["training_prompts"], candidates=training, lexicons=str(given["words"]))
    wanted = float(bm.compare([table], lexicons=str(given["words"]))[0].models[0].mean_rank_contrast)
    assert said["target"]["ranks"] == pytest.approx(wanted * 17 / (len(training) + 1), abs=1e-6)
    assert set(said["ensemble"]["models"]) == {str(edited), str(other)}
    accuracy = said["methods"][0]["pairs"]["accuracy_before"]
    assert said["ensemble"]["accuracies"][str(edited)] == pytest.approx(accuracy)
    assert said["earlier"][0]["lexicon"] == "own" and any("edited before" in text for text in said["warnings"])
    assert (tmp_path / "new" / "README.md").read_text(encoding="utf-8").count("## Edited with birthmark") == 2


def test_what_is_printed_and_written_is_of_its_schema(edited: Path) -> None:
    import jsonschema

    from birthmark.commands.schema import json_schema

    written = json.loads((edited / "birthmark.json").read_text())
    jsonschema.validate(written, json_schema("birthmark"), cls=jsonschema.Draft202012Validator)
    printed = {"out": "x", "report": "y", **written}
    jsonschema.validate(printed, json_schema("edit-output"), cls=jsonschema.Draft202012Validator)


def test_bad_input_is_one_line_that_says_what_to_do_and_leaves_nothing(
    tiny_rm: Path, tiny_lm: Path, given: dict[str, Path], birthmark: Run, tmp_path: Path
) -> None:
    few = write_rows(tmp_path / "few.jsonl", pair_rows(12))
    same = write_rows(
        tmp_path / "same.jsonl", [row | {"prompt": f"Which {at % 9}?"} for at, row in enumerate(pair_rows(60))]
    )
    asked = ("--lexicon", given["words"], "--preferences", given["pairs"], *prompt_options(), *QUIET)
    fresh = ("--out", tmp_path / "new")
    cases: dict[tuple[Any, ...], tuple[str, ...]] = {
        ("edit", tiny_lm, *asked, *fresh): ("is a language model", "birthmark train"),
        ("edit", tiny_rm, *asked, *fresh, "--pairs", "10"): ("gives 10 pairs", "needs 40"),
        ("edit", tiny_rm, "--lexicon", given["words"], "--preferences", few, *prompt_options(), *QUIET, *fresh): (
            "has 12 usable pairs", "needs 40",
        ),
        ("edit", tiny_rm, "--lexicon", given["words"], "--preferences", same, *prompt_options(), *QUIET, *fresh): (
            "60 pairs of 9 different questions", "needs 40",
        ),
        ("edit", tiny_rm, *asked, *fresh, "--target", "900"): ("out of reach", "between"),
        ("edit", tiny_rm, *asked, *fresh, "--target", "nan"): ("--target takes neutral",),
        ("edit", tiny_rm, *asked, *fresh, "--target", "no-such-model"): ("no model no-such-model",),
        ("edit", tiny_rm, *asked, *fresh, "--category", "Agency"): ("--category names 1",),
        ("edit", tiny_rm, *asked, *fresh, "--other", given["words"]): ("is the lexicon of the edit",),
        ("edit", tiny_rm, *asked, *fresh, "--ensemble", tiny_lm): ("takes reward models",),
        ("edit", tiny_rm, *asked, "--out", given["words"].parent): ("holds files already",),
        ("edit", tiny_rm, "--lexicon", given["words"], "--preferences", given["pairs"], "--prompt", SIX[0], "--prompt", SIX[3], *QUIET, *fresh): (
            "two adjectives or more",
        ),
    }  # fmt: skip
    for arguments, words in cases.items():
        answer = birthmark(*arguments)
        assert answer.is_error(*words), (arguments, answer)
        assert not (tmp_path / "new").exists()


def test_pairs_that_a_run_was_trained_on_are_not_taken(tiny_lm: Path, given: dict[str, Path], tmp_path: Path) -> None:
    from birthmark.scoring.measure import make_measure
    from birthmark.training.data import thin
    from birthmark.training.editing import EditRequest, sample_pairs

    pairs = write_rows(tmp_path / "many.jsonl", pair_rows(70))
    run = tmp_path / "run"
    write_adapter(tiny_lm, run / "checkpoints" / "step-000001", seed=1)
    facts = {"source_sha256": sha256_of(pairs), "pairs": 20, "every": None, "seed": 3}
    (run / "run.json").write_text(json.dumps(facts))
    words = bm.load_lexicon(given["words"])
    request = EditRequest(
        model=bm.resolve(run),
        measure=make_measure(lexicons=(words,)),
        lexicon=words,
        target="neutral",
        target_ranks=None,
        target_table=None,
        other=None,
        templates={},
        preferences=str(pairs),
        pairs=50,
        max_tokens=64,
    )
    sample = sample_pairs(request)
    taken = {pair.row for pair in (*sample.training, *sample.held_out)}
    assert taken == set(range(1, 71)) - set(thin(range(1, 71), pairs=20, every=None, seed=3, source="many"))
    assert sample.dropped == {"trained on": 20}
    assert len(sample.held_out) == 25
    with pytest.raises(bm.BirthmarkError, match="50 usable pairs that the model was not trained on|asks for 51"):
        sample_pairs(replace(request, pairs=51))


def test_in_sentences_it_is_the_contrast_that_scores_of_both_models_give(
    tiny_rm: Path, given: dict[str, Path], birthmark: Run, tmp_path: Path
) -> None:
    sentences = tmp_path / "mine.yaml"
    sentences.write_text('late: "I say {word}."\nearly: "{word}, I say."\n')
    answer = birthmark("edit", tiny_rm, *options(given), "--answers", sentences, "--out", tmp_path / "new", "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    found = {item["format"]: item for item in said["in_sentences"]}
    assert [(name, item["text"]) for name, item in found.items()] == [
        ("word", None), ("late", "I say {word}."), ("early", "{word}, I say.")
    ]  # fmt: skip
    held_out = said["held_out_words"]
    same = next(
        lean for lean in said["methods"][0]["lean"] if (lean["words"], lean["prompts"]) == ("held-out", "held-out")
    )
    assert found["word"]["lean"] == pytest.approx(same)
    for model, moment in ((tiny_rm, "before"), (tmp_path / "new", "after")):
        table = bm.score(
            model, prompt=said["held_out_prompts"], candidates=held_out, lexicons=str(given["words"]), answers=sentences
        )
        (stated,) = bm.compare([table], lexicons=str(given["words"]))
        assert stated.n_candidates == len(held_out)
        assert table.record.prompt_set.name.endswith("@mine")
        for name in ("late", "early"):
            keys = [key for key in table.prompt_keys if key.endswith(f"@{name}")]
            ranks = {key: table.frame.select("candidate", rank=pl.col(key).rank(descending=True)) for key in keys}
            sides = []
            for framing in ("positive", "negative"):
                asked = [key for key in keys if table.prompts[key].framing == framing]
                means = [
                    np.mean(
                        [ranks[key].filter(pl.col("candidate").is_in(WORDS[group]))["rank"].mean() for key in asked]
                    )
                    for group in ("Agency", "Communion")
                ]
                sides.append(means[0] - means[1])
            scale = (len(held_out) + len(said["training_words"]) + 1) / (len(held_out) + 1)
            assert found[name]["lean"][moment] == pytest.approx(scale * (sides[0] - sides[1]), abs=1e-6)
    assert any("2 sentences" in sentence for sentence in said["sentences"])
    page = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert "I say {word}." in page


def test_with_a_policy_it_says_what_consequences_says_of_the_old_and_the_new_model(
    tiny_rm: Path, tiny_lm: Path, given: dict[str, Path], birthmark: Run, tmp_path: Path
) -> None:
    questions = tmp_path / "questions.yaml"
    questions.write_text("good: What is good?\nbad: What is bad?\nrain: What about rain?\nsoup: How do I cook soup?\n")
    policy = {"policy": tiny_lm, "prompts": questions, "n": 5, "max_tokens": 10}
    bm.consequences(tiny_rm, **policy, out=tmp_path / "first")
    texts = pl.read_parquet(tmp_path / "first" / "samples.parquet")["text"].to_list()
    common = list(dict.fromkeys(word for text in texts for word in text.split() if word.isalpha()))[:16]
    words = lexicon(tmp_path / "said.csv", {"One": common[0::2], "Two": common[1::2]})
    asked = ("--lexicon", words, "--other", given["other"], "--preferences", given["pairs"], *prompt_options(), *QUIET)
    out = tmp_path / "new"
    policy_options = ("--policy", tiny_lm, "--questions", questions, "-n", "5", "--answer-tokens", "10")
    answer = birthmark("edit", tiny_rm, *asked, *policy_options, "--out", out, "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)["consequences"]
    assert (said["policy"], said["n_questions"], said["n"]) == (str(tiny_lm), 4, 5)
    both = bm.consequences(tiny_rm, out, **policy, lexicons=words, out=tmp_path / "again")
    wanted = {
        (shift.model, shift.category): shift.shift
        for shift in both.shifts
        if (shift.rule, shift.rate, shift.length_fixed, shift.about) == ("soft", "per_thousand_words", False, None)
    }
    assert {change["category"] for change in said["changes"]} == {"One", "Two"}
    for change in said["changes"]:
        before, after = wanted[str(tiny_rm), change["category"]], wanted[str(out), change["category"]]
        assert (change["before"], change["after"]) == (pytest.approx(before), pytest.approx(after))
        assert change["change"] == pytest.approx(after - before, abs=1e-9)
        assert change["change_ci_low"] <= change["change"] <= change["change_ci_high"] and 0 < change["p_swapped"] <= 1
    assert (out / "consequences" / "report.html").is_file()
    assert "among a policy&#39;s answers" in (out / "report.html").read_text(encoding="utf-8")


def test_what_is_about_a_policys_answers_needs_a_policy(
    tiny_rm: Path, given: dict[str, Path], birthmark: Run, tmp_path: Path
) -> None:
    answer = birthmark("edit", tiny_rm, *options(given), "-n", "4", "--out", tmp_path / "new")
    assert answer.is_error("-n", "--policy") and not (tmp_path / "new").exists()
    answer = birthmark("edit", tiny_rm, *options(given), "--policy", tiny_rm, "--out", tmp_path / "new")
    assert answer.is_error("is a reward model", "--policy") and not (tmp_path / "new").exists()
