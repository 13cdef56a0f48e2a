"""Words grouped by stem: forms of one word (`care`, `cares`, `careful`) are not independent draws from a language.

The stems are those of the Snowball project's English stemmer (Porter2): it removes inflections and most derivational
endings by rule, without a dictionary. It merges a few unrelated words (`author`, `authority`) and keeps a few related ones
apart (`happy`, `happily`).
"""

from collections.abc import Iterable


def stems(words: Iterable[str]) -> list[str]:
    """Each English word's stem, lower-case, in order: `stems(["caring", "Cares", "careful"]) == ["care"] * 3`.

    A stem is a label to group by; it need not be a word.
    """
    from snowballstemmer import stemmer

    # A stemmer keeps the word at hand in itself, so that threads may not share one.
    return list(stemmer("english").stemWords([word.strip().lower() for word in words]))
