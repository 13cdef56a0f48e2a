"""Write `src/birthmark/values/published_values.json`: the ten published reward models' values, from the study's score files.

Run it as `python docs/generate_published.py CLONE`, CLONE a clone of the authors' repository (without it the files are
fetched). The file holds contrasts and category ranks, the files' digests, and none of their rows: no licence is stated for
those. A test says when it is not what the files give.
"""

import sys
from pathlib import Path

from birthmark.files import write_text
from birthmark.inputs.lexicons import load_lexicon
from birthmark.paper.data import COMMIT, CORPORA, LEXICON_FILES, REPOSITORY, SCORES, Corpus, StudyData, study_data
from birthmark.records import LexiconValues, PublishedValues, to_json
from birthmark.values.among import lexicon_values, one_table_a_model

TARGET = Path(__file__).parents[1] / "src" / "birthmark" / "values" / "published_values.json"
DECIMALS = 4


def published(study: StudyData) -> PublishedValues:
    """The models' values under the study's lexicons, and under those words of `starter` that the score files have."""
    corpora: tuple[Corpus, ...] = ("dict_big2_nouns", "dict_MFD_20")
    lexicons = [lexicon_values(study.tables(corpus), study.lexicon(corpus)) for corpus in corpora]
    every = one_table_a_model([*study.big_two_tables, *study.mfd2_tables])
    read = {str(CORPORA / LEXICON_FILES[corpus]) for corpus in corpora}
    read |= {str(SCORES / corpus / path.name) for corpus in corpora for path in study.score_files(corpus)}
    return PublishedValues(
        source=f"https://github.com/{REPOSITORY}",
        commit=COMMIT,
        made_by="docs/generate_published.py",
        files={path: digest for path, digest in study.digests.items() if path in read},
        prompts=study.big_two_tables[0].prompt_keys,
        lexicons=[rounded(item) for item in (*lexicons, lexicon_values(every, load_lexicon("starter")))],
    )


def rounded(item: LexiconValues) -> LexiconValues:
    """The same with four decimals, so that the last bits of a machine are not part of the file."""
    return LexiconValues.model_validate(_rounded(item.model_dump()))


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DECIMALS) if isinstance(value, float) else value


if __name__ == "__main__":
    clone = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    write_text(TARGET, to_json(published(study_data(clone))))
