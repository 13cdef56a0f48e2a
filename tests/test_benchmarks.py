"""What the benchmarks' programs share: exponents, and that no figure may be missing a number."""

import numpy as np
import pytest
import torch
from bfloat16 import plain, share_of_pairs_that_change, split
from logprobs import VARIABLE, find_minicons
from measured import child, layer_products, products_during, require_numbers, slope


def test_the_exponent_of_a_power_is_its_own():
    sizes = [100, 1_000, 10_000]
    assert slope(sizes, [3e-4 * n**0.75 for n in sizes]) == pytest.approx(0.75)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_ends_a_benchmark(value):
    require_numbers([{"seconds": 1.0, "way": "prefix", "peak": None}])
    with pytest.raises(SystemExit, match="seconds is"):
        require_numbers([{"seconds": 1.0}, {"seconds": value}])


def test_a_childs_figures_come_back_and_its_failure_is_one(tmp_path):
    program = tmp_path / "part.py"
    program.write_text("import json, sys; print(json.dumps(sys.argv[1:])); sys.exit(len(sys.argv) > 2)")
    assert child(str(program), 7) == ["7"]
    with pytest.raises(Exception, match="non-zero exit status 1"):
        child(str(program), 7, 8)


def test_without_minicons_the_reason_is_said(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "minicons", None)
    assert str(find_minicons()).startswith("minicons is left out: ") and VARIABLE in find_minicons()


def test_pairs_that_change_order_are_counted():
    assert share_of_pairs_that_change(np.array([1.0, 3.0, 2.0, 4.0]), np.arange(4.0)) == pytest.approx(1 / 6)


def test_a_split_product_is_far_closer_than_a_rounded_one():
    generator = torch.Generator().manual_seed(0)
    states, weight = torch.randn(8, 64, generator=generator), torch.randn(16, 64, generator=generator)
    exact = states.double() @ weight.double().T
    rounded, parts = ((product(states, weight, None) - exact).abs().max() for product in (plain, split))
    assert 1e-3 < rounded < 0.2 and parts < rounded / 100


def test_products_are_counted_by_the_rows_that_each_layer_takes_in():
    decoder = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 2), torch.nn.Linear(2, 2))
    found = products_during(decoder, lambda: (decoder(torch.zeros(3, 4)), decoder[0](torch.zeros(2, 5, 4))))
    assert found == {(3, 4, 8): 1, (3, 8, 2): 1, (3, 2, 2): 1, (10, 4, 8): 1}
    assert layer_products(decoder, 3) + layer_products(decoder[:1], 10) == found
