"""Numbers as text: intervals, signed differences, p values. Knows nothing of what they measure."""


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    return "–" if low is None or high is None else f"{low:,.{digits}f} to {high:,.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 1) -> str:
    """A difference: its sign always shown, small values in powers of ten."""
    if value is None:
        return "–"
    small = value != 0 and abs(value) < 10.0**-digits / 2
    return (f"{value:+.1e}" if small else f"{value:+,.{digits}f}").replace("-", "−")


def asked_for(framing: str | None) -> str:
    return {"positive": "the best", "negative": "the worst"}.get(framing or "", "–")


def p_words(p: float | None) -> str:
    """A p value for readers: `p = .012`, `p < .001`."""
    if p is None:
        return "p unknown"
    if p < 0.001:
        return "p < .001"
    if p >= 0.9995:
        return "p = 1"
    return f"p = {p:.3f}".replace("0.", ".", 1)


def times(p: float) -> str:
    """A probability as a count of shuffles: `about 3 in 1,000`."""
    if p < 0.001:
        return "fewer than 1 in 1,000"
    if p < 0.095:
        return f"about {max(1, round(p * 1000)):,} in 1,000"
    return f"about {round(p * 100)} in 100"
