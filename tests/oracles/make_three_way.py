"""Made-up median ranks for the three-way analysis of variance: side × category × framing, unbalanced on purpose.

`python tests/oracles/make_three_way.py` writes `three_way.csv`; `Rscript tests/oracles/three_way.R` then analyses it.
"""

from pathlib import Path

import numpy as np

rng = np.random.default_rng(20)
rows = []
for side in ("Gemma", "Llama"):
    for category in ("Agency", "Communion"):
        for framing in ("negative", "positive"):
            for _ in range(int(rng.integers(9, 28))):
                lean = 6.0 * (side == "Llama") * (category == "Agency") * (framing == "positive")
                rows.append(
                    (side, category, framing, round(40 + 3 * (category == "Agency") - lean + rng.normal(0, 5), 3))
                )
lines = ["side,category,framing,y", *(",".join(map(str, row)) for row in rows)]
(Path(__file__).parent / "three_way.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
