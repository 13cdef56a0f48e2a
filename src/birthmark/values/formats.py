"""How numbers, lists and reasons are written, once for sentences, tables and the terminal.

Chance: `p_number`, `p_equals`, `p_words`, `times`. Ranks: `places`, `ranks`, `signed`, `interval`. Tiny numbers: `small`. Shares: `percent`,
`decimal`. Time: `minutes`. Lists and names: `listed`, `sentence`, `capital`, `plural`.
"""

import re
from collections.abc import Sequence
from math import floor, log10

MINUS = "−"
MOST_DIGITS = 3


SCORES = {"reward": "rewards", "logprob": "log-probabilities"}  # what scores of a kind are called


def p_number(p: float | None) -> str:
    """A p value without its letter, in APA style: `.012`, `< .001`."""
    if p is None:
        return "not known"
    if p < 0.001:
        return "< .001"
    return "1" if p >= 0.9995 else decimal(p, 3)


def p_equals(p: float | None) -> str:
    """`= .012`, `< .001`."""
    text = p_number(p)
    return text if text.startswith("<") else f"= {text}"


def p_words(p: float | None) -> str:
    """A p value with its letter: `p = .012`, `p < .001`."""
    return "p unknown" if p is None else f"p {p_equals(p)}"


def times(p: float) -> str:
    """A probability as a count: `about 3 of 1,000`."""
    if p < 0.001:
        return "fewer than 1 of 1,000"
    if p < 0.095:
        return f"about {max(1, round(p * 1000)):,} of 1,000"
    return f"about {round(p * 100)} of 100"


def decimal(value: float, digits: int | None = 2) -> str:
    """A share between 0 and 1 without its leading zero, `.85`; with `digits` None as short as it goes."""
    text = f"{value:g}" if digits is None else f"{value:.{digits}f}"
    return re.sub(r"^(-?)0\.", r"\1.", text)


def percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}"


def signed(value: float | None, digits: int = 1) -> str:
    """A difference: its sign always shown, none where it rounds to zero; from two digits on, small values keep two that count."""
    if value is None:
        return "–"
    if abs(value) < 10.0**-digits / 2:
        return f"{0:.{digits}f}" if digits < 2 or value == 0 else ("+" if value > 0 else MINUS) + small(abs(value))
    return f"{value:+,.{digits}f}".replace("-", MINUS)


def small(value: float) -> str:
    """A number of zero or more with two digits that count, never in powers of ten: `0.000031`."""
    if value == 0:
        return "0"
    if value < 5e-10:
        return "less than 0.000000001"
    digits = max(0, 1 - floor(log10(value)))
    return f"{value:,.{digits}f}"


def minus(value: float, digits: int = 1) -> str:
    """A number with a true minus sign, none where it rounds to zero."""
    return f"{value:z.{digits}f}".replace("-", MINUS)


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    """`-1.2 to 3.4`, with as many digits as tell the ends apart; a dash where nothing varies."""
    if low is None or high is None or low == high:
        return "–"
    while digits < MOST_DIGITS and f"{low:z,.{digits}f}" == f"{high:z,.{digits}f}":
        digits += 1
    return f"{low:z,.{digits}f} to {high:z,.{digits}f}".replace("-", MINUS)


def places(value: float) -> str:
    """The size of a distance in a ranking: `12.3 places`."""
    return f"{abs(value):,.1f} places"


def ranks(value: float) -> str:
    """The size of a difference: `12.3 ranks`."""
    return f"{abs(value):.1f} ranks"


def minutes(seconds: float | None) -> str | None:
    """`6.1`; `0.1` for what takes less."""
    return None if seconds is None else "0.1" if seconds < 3 else f"{seconds / 60:.1f}"


def asked_for(framing: str | None) -> str:
    return {"positive": "the best", "negative": "the worst"}.get(framing or "", "–")


def listed(names: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def some(names: Sequence[str], at_most: int = 5) -> str:
    """The names, of many the first few."""
    return f"{', '.join(names[:at_most])} …" if len(names) > at_most else ", ".join(names)


def plural(n: int, noun: str) -> str:
    """`1 prompt`, `54 prompts`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def sentence(reason: str | None) -> str:
    """A reason as a record gives it, as a sentence."""
    return f"{reason[0].upper()}{reason[1:].removesuffix('.')}." if reason else ""


def capital(text: str) -> str:
    """The first letter upper, the rest as it is."""
    return text[:1].upper() + text[1:]
