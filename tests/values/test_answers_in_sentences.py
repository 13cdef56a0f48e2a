"""Whether one-word values hold in sentences: numbers by hand and by the tests they come from, and what is said of them."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy

from birthmark.files import write_text
from birthmark.inputs.answers import AnswerSet, AnswerTemplate, crossed
from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts, select_prompts
from birthmark.records import AnswerFormats, ScoreRecord, read_record
from birthmark.scoring.table import ScoreTable, write_scores
from birthmark.stats.generalizability import generalizability
from birthmark.stats.words import compare_words
from birthmark.values.answers import answer_formats
from birthmark.values.ranks import contrast, category_means, membership, rank, stems
