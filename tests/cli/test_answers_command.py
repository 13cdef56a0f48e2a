"""`--answers` from end to end: an audit in sentences, its page and terminal, and what compare says of its tables."""

import json

import jsonschema

from birthmark.commands.plan import planned_tokens
from birthmark.commands.schema import json_schema
from birthmark.scoring.measure import make_measure

ASKED = [f"--prompt={key}" for key in ("best_ever_one", "good_ever_one", "worst_ever_one", "bad_ever_one")]


def test_an_audit_in_sentences_says_on_page_and_terminal_whether_values_hold(birthmark, tiny_lm, tiny_rm, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text('late: "I say {word}."\nearly: "{word}, I say."\n', encoding="utf-8")
    words = tmp_path / "small.csv"
    rows = [f"{word},A" for word in ("power", "freedom", "success")] + [
        f"{word},B" for word in ("love", "family", "care")
    ]
    words.write_text("\n".join(["word,category", *rows]), encoding="utf-8")
    out = tmp_path / "out"
    answer = birthmark(
        "audit", tiny_lm, tiny_rm, *ASKED, "--answers", own, "--lexicon", words, "--heads", "20", "--out", out
    )
    assert answer.code == 0, answer.err
    found = json.loads((out / "answers.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, json_schema("answers"))
    by_kind = {item["kind"]: [lean["format"] for lean in item["formats"]] for item in found["models"]}
    assert by_kind == {"reward": ["word", "late", "early"], "logprob": ["word", "late"]}
    for item in found["models"]:
        assert item["sentence"].split(":")[0].split("/")[-1].split(",")[0] in answer.out
    assert "hold in sentences" in answer.out or "no lean" in answer.out
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Do these values hold in sentences?" in page
    tables = sorted((out / "scores").glob("*.parquet"))
    compared = birthmark("compare", *tables, "--lexicon", words, "--out", tmp_path / "compared")
    assert compared.code == 0, compared.err
    again = json.loads((tmp_path / "compared" / "answers.json").read_text(encoding="utf-8"))
    assert again["models"] == found["models"]
    some = tmp_path / "some.yaml"
    some.write_text('mine: "{word}, I say."\n', encoding="utf-8")
    reward = next(table for table in tables if "tiny-rm" in table.name)
    said = birthmark("compare", reward, "--answers", some, "--lexicon", words, "--out", tmp_path / "some")
    assert said.code == 0, said.err
    (of_some,) = json.loads((tmp_path / "some" / "answers.json").read_text(encoding="utf-8"))["models"]
    assert [lean["format"] for lean in of_some["formats"]] == ["word", "early"]
    alone = birthmark("audit", tiny_rm, *ASKED, "--lexicon", words, "--heads", "0", "--out", tmp_path / "alone")
    assert alone.code == 0, alone.err
    (plain,) = (tmp_path / "alone" / "scores").glob("*.parquet")
    only, bare = (
        birthmark("compare", table, "--answers", "words", "--lexicon", words, "--out", tmp_path / name, "--json")
        for name, table in (("of-both", reward), ("of-plain", plain))
    )
    assert (only.code, bare.code) == (0, 0), only.err + bare.err
    assert json.loads(only.out) == json.loads(bare.out)  # of the word alone, as if no sentence had been asked
    assert birthmark("compare", plain, "--answers", "sentences", "--lexicon", words).is_error(
        "was not scored in the sentences of sentences", "--answers sentences"
    )
    other = birthmark("audit", tiny_rm, *ASKED, "--lexicon", words, "--heads", "0", "--out", out)
    assert other.is_error("holds another study", "christian2026@own")


def test_a_plan_counts_what_a_sentence_has_before_and_after_the_word(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text('late: "Well, I say {word}."\nearly: "{word}, I say so."\n', encoding="utf-8")
    measure = make_measure(prompt=["best_ever_one"], candidates="love,power", answers=str(own))
    alone, late, early = 40 + 2 * 3.2, 40 + len("Well, I say ") / 4, 40 + 2 * 3.2
    assert planned_tokens(measure, 2, whole=True) == round(
        alone + late + 2 * (3.2 + 1 / 4) + early + 2 * len(", I say so.") / 4
    )
    assert planned_tokens(measure, 2, whole=False) == round(alone + late + 2 * 3.2 + early)
