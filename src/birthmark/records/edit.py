"""An edit of a reward model's head: `birthmark.json` beside the edited weights, and what `birthmark edit --json` prints."""

from typing import Literal

from birthmark.records.base import Framing, Record

Part = Literal["training", "held-out", "all"]
Method = Literal["edit", "projection", "leace"]


class EditedHead(Record):
    """The tensor that was changed. `moved`: the length of the change over that of the old weights; `cosine`: between old and
    new weights. `rounding`: by how much storing the weights in `dtype` moves what `constraints` set, at most."""

    kind: str
    file: str
    tensor: str
    dtype: str
    hidden: int
    moved: float
    cosine: float
    rounding: float


class Constraint(Record):
    """One row of C: the first category's mean reward less the second's after the training prompts of one adjective.

    `prompts` counts them. `wanted` is t; `after` is C w′ of the closed form, before it is stored.
    """

    framing: Framing
    adjective: str
    prompts: int
    before: float
    wanted: float
    after: float


class EditTarget(Record):
    """What was asked for: `asked` as given, `ranks` the contrast that it comes to (null for `neutral`, which sets every row
    of C to zero), `model` whose contrast on the training words and prompts that is."""

    asked: str
    ranks: float | None
    model: str | None


class LeanChange(Record):
    """The contrast of mean ranks before and after, on some words and prompts, with 95% intervals over word stems.

    In ranks among the lexicon's `scaled_to` words: a contrast of fewer words is stretched in proportion. `remains`: the
    share of the way to the target that is still to go, (after − target) / (before − target); null where the lean before
    cannot be told from the target.
    """

    words: Part
    prompts: Part
    n_words: int
    n_prompts: int
    scaled_to: int
    before: float
    before_ci_low: float | None
    before_ci_high: float | None
    after: float
    after_ci_low: float | None
    after_ci_high: float | None
    change: float
    change_ci_low: float | None
    change_ci_high: float | None
    remains: float | None
    remains_why: str | None = None


class PairChange(Record):
    """The rewards of held-out pairs before and after.

    Accuracies with Wilson's 95% intervals; `accuracy_change` and `margin_change` with paired 95% bootstrap intervals over
    pairs (where no pair changes sides, Clopper and Pearson's bound of the share that does, to both sides); `p_mcnemar` exact, of the pairs that are right before or after alone (`lost`, `won`). Margins are the chosen answer's
    reward less the rejected one's, `margin_sd` the SD of rewards before. `spearman`: of all answers' rewards before and
    after; `variance_added`: the variance of the change over that of the rewards before.
    """

    n_pairs: int
    accuracy_before: float
    accuracy_before_ci_low: float
    accuracy_before_ci_high: float
    accuracy_after: float
    accuracy_after_ci_low: float
    accuracy_after_ci_high: float
    accuracy_change: float
    accuracy_change_ci_low: float
    accuracy_change_ci_high: float
    lost: int
    won: int
    p_mcnemar: float
    margin_before: float
    margin_after: float
    margin_change: float
    margin_change_ci_low: float
    margin_change_ci_high: float
    margin_sd: float
    spearman: float
    variance_added: float


class EditMethod(Record):
    """One way of changing the head, on the same splits: `edit` (what was written), `projection` or `leace`.

    Values are null with `why` where a way cannot reach the target.
    """

    method: Method
    moved: float | None
    lean: list[LeanChange]
    pairs: PairChange | None
    why: str | None = None


class OtherLexicon(Record):
    """A lexicon that the edit did not use, over all prompts; words with a stem of the training words are left out."""

    lexicon: str
    sha256: str
    categories: list[str]
    left_out: int
    lean: LeanChange


class SentenceLean(Record):
    """The contrast of held-out words after held-out prompts, before and after, where a word stands in one sentence.

    `format` is the sentence's key, `word` for the word alone, whose `text` is null.
    """

    format: str
    text: str | None
    lean: LeanChange


class ShiftChange(Record):
    """By how much choosing softly among a policy's answers shifts a category's words, before and after the edit.

    In words per 1,000, `change` being the shift after less the one before, with 95% intervals over questions; `p_swapped`:
    the two heads' labels swapped within questions. As `shifts` and `differences` of `consequences.json`.
    """

    category: str
    policy: float | None
    before: float | None
    before_ci_low: float | None
    before_ci_high: float | None
    after: float | None
    after_ci_low: float | None
    after_ci_high: float | None
    change: float | None
    change_ci_low: float | None
    change_ci_high: float | None
    p_swapped: float | None
    change_why: str | None = None


class EditConsequences(Record):
    """What the old and the new head choose among a policy's answers; `folder` holds the run, beside the weights."""

    policy: str
    questions: str
    n_questions: int
    n: int
    folder: str
    changes: list[ShiftChange]


class Ensemble(Record):
    """The mean of z-scored rewards of several reward models, z over the words after each prompt, and its contrast.

    `models` → each one's own contrast. `accuracy`: the share of held-out pairs that their z-scored rewards get right together,
    with Wilson's 95% interval, `accuracies` that of each; null where only a score table is known of one.
    """

    models: dict[str, float]
    bases: list[str]
    n_words: int
    n_prompts: int
    contrast: float
    ci_low: float | None
    ci_high: float | None
    pairwise_correlation: float | None
    accuracy: float | None
    accuracy_why: str | None = None
    accuracy_ci_low: float | None
    accuracy_ci_high: float | None
    accuracies: dict[str, float]
    n_pairs: int | None


class AmongPublished(Record):
    """Where the lean stands in the span of published reward models' contrasts under the same lexicon.

    Contrasts are of mean ranks among the `n_words` words that the published models were scored with, of this model after
    `n_prompts` prompts and of theirs after `published_prompts`. `below_before` and `below_after` count those below this model.
    """

    source: str
    models: dict[str, float]
    n_words: int
    n_prompts: int
    published_prompts: int
    before: float
    after: float
    below_before: int
    below_after: int


class EarlierEdit(Record):
    """An edit that was there before this one."""

    lexicon: str
    target: str
    sentence: str


class Edit(Record):
    """`birthmark.json`: what was changed in a model's head, on what it was estimated, and what it did.

    `name`, `family`, `base_checkpoint` and `catalog_entry` are of the model that was edited, and stay the edited one's;
    `weights_sha256` is the digest of its weights (of an adapter's, where it is one). `read` and `bos` say how rewards were read,
    as the options of these names do. `ridge_tried`: ridge → the variance that
    the step adds to answers left out.
    """

    name: str
    family: str | None
    base_checkpoint: str | None
    catalog_entry: str | None
    revision: str | None
    weights_sha256: str
    lexicon: str
    lexicon_sha256: str
    categories: list[str]
    training_words: list[str]
    held_out_words: list[str]
    prompts: str
    prompts_sha256: str
    read: str
    bos: str
    training_prompts: list[str]
    held_out_prompts: list[str]
    target: EditTarget
    preferences: str
    preferences_sha256: str | None
    max_tokens: int
    training_pairs: int
    held_out_pairs: int
    dropped_pairs: dict[str, int]
    head: EditedHead
    constraints: list[Constraint]
    ridge: float
    ridge_tried: dict[str, float]
    methods: list[EditMethod]
    other: OtherLexicon | None
    other_why: str | None
    in_sentences: list[SentenceLean] | None
    in_sentences_why: str | None
    consequences: EditConsequences | None
    consequences_why: str | None
    ensemble: Ensemble | None
    ensemble_why: str | None
    among: AmongPublished | None
    among_why: str | None
    seed: int
    dtype: str
    device: str
    versions: dict[str, str]
    command_line: str | None
    seconds: float
    earlier: list[EarlierEdit]
    sentences: list[str]
    warnings: list[str]
