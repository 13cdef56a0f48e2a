"""EleutherAI's concept-erasure on synthetic states: what a linear head becomes once the concept is erased from its states.

Writes `leace_states.csv` (states h0 … h7 and the concept z0, z1 of 48 rows, two cases, in the second of which the states span
six dimensions) and `leace_heads.csv` (a head's weights, and the same head on erased states). Needs `pip install
concept-erasure==0.2.4`, in an environment of its own.
"""

from pathlib import Path

import numpy as np
import torch
from concept_erasure import LeaceFitter

HERE = Path(__file__).parent
ROWS, HIDDEN = 48, 8


def main() -> None:
    rng = np.random.default_rng(20)
    states, heads = ["case," + ",".join(f"h{i}" for i in range(HIDDEN)) + ",z0,z1"], ["case,at,weight,erased"]
    for case in ("full", "deficient"):
        z = np.zeros((ROWS, 2))  # two prompts of 24 words, 12 of either category
        z[:12, 0], z[12:24, 0], z[24:36, 1], z[36:, 1] = 1, -1, 1, -1
        x = rng.normal(size=(ROWS, HIDDEN)) @ rng.normal(size=(HIDDEN, HIDDEN)) + z @ rng.normal(size=(2, HIDDEN))
        if case == "deficient":
            x[:, 6], x[:, 7] = x[:, 0] - x[:, 1], x[:, 2] + 2 * x[:, 3]
        w = rng.normal(size=HIDDEN)
        fitter = LeaceFitter(
            HIDDEN, 2, dtype=torch.float64, shrinkage=False, constrain_cov_trace=False, svd_tol=1e-9
        ).update(torch.from_numpy(x), torch.from_numpy(z))
        erase = fitter.eraser
        at = torch.eye(HIDDEN, dtype=torch.float64)
        erased = ((erase(at) - erase(torch.zeros_like(at))) @ torch.from_numpy(w)).numpy()  # the bias falls out
        states += [f"{case}," + ",".join(f"{v:.12g}" for v in (*x[row], *z[row])) for row in range(ROWS)]
        heads += [f"{case},{i},{w[i]:.12g},{erased[i]:.12g}" for i in range(HIDDEN)]
    (HERE / "leace_states.csv").write_text("\n".join(states) + "\n", encoding="utf-8")
    (HERE / "leace_heads.csv").write_text("\n".join(heads) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
