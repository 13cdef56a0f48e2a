"""Checkpoints of one base: the base is loaded once, and each checkpoint's adapter and head are put on and taken off.

A checkpoint that is a whole model is loaded whole. Knows nothing of steps, runs or scoring.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from birthmark.models.adapters import adapter_tensors, with_adapter
from birthmark.models.loading import load_model
from birthmark.models.weights import ResolvedModel


class Swapping:
    """Gives the models of a series; the base of the last adapter stays in memory."""

    def __init__(self) -> None:
        self._base: Any = None
        self._is: tuple[object, ...] = ()

    @contextmanager
    def model(self, resolved: ResolvedModel, *, dtype: str, device: torch.device | str) -> Iterator[Any]:
        """The checkpoint's model within the block, equal to what `load_model` gives.

        Raises `BirthmarkError` as `load_model` does, and where an adapter's tensor has no place in the base.
        """
        if resolved.adapter is None:
            self._forget()
            yield load_model(resolved, dtype=dtype, device=device)
            return
        base = self.base(resolved, dtype=dtype, device=device)
        supplied = adapter_tensors(resolved.adapter)
        names = [name.removeprefix("base_model.model.") for name in supplied]
        changed = {name.rpartition(".lora_A.")[0] for name in names if ".lora_A." in name}
        kept = {name: base.get_submodule(name).weight.detach().clone() for name in sorted(changed)}
        try:
            yield with_adapter(base, resolved.adapter, resolved.name, supplied).eval()
            _take_off(base, kept)
        except BaseException:
            self._forget()  # what was changed halfway is not used again
            raise

    def base(self, resolved: ResolvedModel, *, dtype: str, device: torch.device | str) -> Any:
        """The model under a checkpoint's adapter, its head left as the last checkpoint or chance set it."""
        wanted = (resolved.path, resolved.digests.weights, resolved.kind, dtype, str(device))
        if self._is != wanted:
            self._forget()
            self._base = load_model(resolved, dtype=dtype, device=device, without_adapter=True)
            self._is = wanted
        return self._base

    def _forget(self) -> None:
        self._base, self._is = None, ()


def _take_off(base: Any, kept: dict[str, torch.Tensor]) -> None:
    """Put the base's own layers and weights back: exact, where taking a difference away again would round."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for path, module in list(base.named_modules()):
        if isinstance(module, BaseTunerLayer):
            base.set_submodule(path, module.get_base_layer())
    if hasattr(base, "peft_config"):  # the mark of an adapter that is on
        del base.peft_config
    for name, weight in kept.items():
        base.get_submodule(name).weight.data.copy_(weight)
