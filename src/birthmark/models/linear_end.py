"""The last layer of a reward model where it is one linear map: read from its file, and written into a copy of the folder.

Only the bytes of that one tensor differ in the copy: names, shapes, precision and every other weight stay as they are.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from birthmark.errors import BirthmarkError
from birthmark.files import atomic_path, write_text
from birthmark.foreign import one_line
from birthmark.models.adapters import brings_score
from birthmark.models.folder import ADAPTER_CONFIG, read_json
from birthmark.models.heads.known import HeadFiles
from birthmark.models.heads.linear import AttributesHead, FirstLogitHead, LinearHead, OneLayerHead, ValueHead
from birthmark.models.resolve import ResolvedModel
from birthmark.models.weights import INDEX, ModelFiles, is_weights, read_tensors, read_weights, tensor_shapes

_FURTHER = ("additional_chat_templates",)  # folders of a model that belong to it


@dataclass(frozen=True)
class LinearEnd:
    """reward = W h / std + shift: where W [hidden] lies, and its numbers.

    `std` is 1 but for OpenRLHF's normalised rewards; `shift` is what a bias, or the mean of those, adds to every reward:
    it moves no rank and no margin, and an edit leaves it as it is. `bias` names the tensor.
    """

    kind: str
    file: Path
    tensor: str
    dtype: torch.dtype
    weight: np.ndarray
    std: float = 1.0
    shift: float = 0.0
    bias: str | None = None

    @property
    def weights(self) -> np.ndarray:
        """W / std, float64 [hidden]: what rewards are made with."""
        return self.weight / self.std

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def rewards(self, states: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Rewards [n] of states [n, hidden], by these weights in the place of the head's own, if given."""
        used = self.weights if weights is None else weights
        return np.asarray(states.astype(np.float64) @ used + self.shift)

    def stored(self, weights: np.ndarray) -> np.ndarray:
        """What of new `weights` is left in the file's precision, float64 [hidden]."""
        return self._tensor(weights).double().numpy() / self.std

    def _tensor(self, weights: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(weights * self.std).to(self.dtype)


def linear_end(model: ResolvedModel) -> LinearEnd:
    """The linear head of a reward model. Raises `BirthmarkError` for a language model and a head that is not that: why."""
    if model.kind != "reward":
        raise BirthmarkError(
            f"{model.name} is a language model, and an edit changes a reward model's head: train one on it with birthmark train"
        )
    files = read_weights(model.adapter) if model.adapter else None
    if files is not None and not files.beside and brings_score(files):
        return _of_adapter(model, files)
    head = HeadFiles.of(model.name, model.path, model.entry, model.adapter)
    if files is not None and not head.in_adapter:
        raise BirthmarkError(
            f"{model.name} is an adapter without a head of its own (the head is its base's): merge it into its base (PEFT's "
            "`merge_and_unload`), save that, and edit the folder"
        )
    if head.head is None or not _is_linear(head):
        raise BirthmarkError(f"{model.name}: {_refusal(head)}")
    expected = head.head.expected(head.shapes, head.config)
    (tensor,) = [name for name in expected if name.endswith(".weight") and not name.startswith("normalizer.")]
    built = head.built
    mean, std = (built.mean, built.std) if isinstance(built, OneLayerHead) else (0.0, 1.0)
    return _read(model.name, head.head.name, head.files, tensor, mean, std)


def _is_linear(head: HeadFiles) -> bool:
    return head.head in (LinearHead, OneLayerHead) or (
        head.head is ValueHead and "v_head.summary.weight" in head.shapes
    )


def _of_adapter(model: ResolvedModel, files: ModelFiles) -> LinearEnd:
    """The head among an adapter's own tensors (`modules_to_save`)."""
    shapes = tensor_shapes(files.main)
    named = [name for name in shapes if name.endswith("score.weight")]
    if len(named) > 1 or any(".score.lora_" in name for name in shapes):
        raise BirthmarkError(
            f"{files.main[0]} has more than one part of a head (score): merge the adapter and edit that"
        )
    return _read(model.name, LinearHead.name, files.main, named[0], 0.0, 1.0)


def _refusal(head: HeadFiles) -> str:
    """Why a head is not edited."""
    kind = head.head.name if head.head else "unknown"
    if head.head is AttributesHead:
        return "its head has several outputs, and an edit changes one row of weights: edit a model with one output"
    if head.head is FirstLogitHead:
        return "its head is a row of the language head, which other tokens share: an edit changes a head of its own"
    return (
        f"its head is of the kind `{kind}`, which is not one linear layer of the last state, and the change is computed for one: "
        "edit a model whose head is linear (docs/heads.md has the kinds)"
    )


def _read(model: str, kind: str, files: tuple[Path, ...], tensor: str, mean: float, std: float) -> LinearEnd:
    file = next((path for path in files if tensor in tensor_shapes([path])), None)
    if file is None:
        raise BirthmarkError(f"{model} lacks the weight {tensor} of its `{kind}` head: its files are incomplete")
    found = read_tensors([file], {tensor})[tensor]
    if found.ndim != 2 or found.shape[0] != 1:
        raise BirthmarkError(
            f"{model}: its head has {found.shape[0] if found.ndim else 0} outputs ({tensor}), and an edit changes one row of "
            "weights: edit a model with one output"
        )
    if found.dtype not in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        raise BirthmarkError(
            f"{model}: its head is stored as {found.dtype}, which an edit cannot write: save it in float32"
        )
    weight = found[0].double().numpy()
    if not np.isfinite(weight).all():
        raise BirthmarkError(
            f"{model}: the weight {tensor} holds numbers that are not finite: download or copy it again"
        )
    if not weight.any():
        raise BirthmarkError(
            f"{model}: the weight {tensor} is zero everywhere, so that every reward is the same: nothing leans"
        )
    bias = f"{tensor.removesuffix('.weight')}.bias"
    added = read_tensors(files, {bias}).get(bias)
    shift = (0.0 if added is None else float(added.double().sum())) - mean
    return LinearEnd(kind, file, tensor, found.dtype, weight, std, shift / std, None if added is None else bias)


def write_edited(model: ResolvedModel, end: LinearEnd, weights: np.ndarray, out: Path) -> None:
    """Write the model's folder (an adapter's, where it is one) to `out` with new weights in the head; what lies in it is
    copied, files of weights that are not read excepted, each file atomically, and the model's weights last.

    Raises `BirthmarkError` where the copy does not hold the new weights.
    """
    folder = model.adapter or model.path
    files = read_weights(folder)
    others = [path for path in sorted(folder.iterdir()) if path.is_file() and not is_weights(path)]
    further = [path for name in _FURTHER for path in sorted((folder / name).glob("*")) if path.is_file()]
    late = {INDEX, "README.md", "report.html", "birthmark.json"}
    for path in [*(path for path in others if path.name not in late and not path.name.startswith(".")), *further]:
        _copy(path, out / path.relative_to(folder))
    if model.adapter is not None:
        _keep_base(folder, out)
    for path in files.all:
        if path != end.file:
            _copy(path, out / path.name)
    with atomic_path(out / end.file.name) as temporary:
        shutil.copyfile(end.file, temporary)
        _replace(temporary, end.tensor, end._tensor(weights))
    if (folder / INDEX).is_file() and any(path.name == INDEX for path in others):
        _copy(folder / INDEX, out / INDEX)
    held = read_tensors([out / end.file.name], {end.tensor})[end.tensor][0].double().numpy() / end.std
    if not np.array_equal(held, end.stored(weights)):
        raise BirthmarkError(f"{out / end.file.name} does not hold the new weights after writing: is the disk sound?")


def _copy(source: Path, target: Path) -> None:
    """A copy and no link: what later writes to one of the two folders must not change the other."""
    with atomic_path(target) as temporary:
        shutil.copyfile(source.resolve(), temporary)


def _keep_base(folder: Path, out: Path) -> None:
    """An adapter that names its base by a folder within its own finds it from elsewhere too."""
    config = read_json(folder / ADAPTER_CONFIG)
    named = Path(str(config["base_model_name_or_path"]))
    beside = folder / named
    if beside.is_dir() and not named.is_absolute():
        config["base_model_name_or_path"] = str(beside.resolve())
        write_text(out / ADAPTER_CONFIG, json.dumps(config, indent=2) + "\n")


def _replace(path: Path, name: str, tensor: torch.Tensor) -> None:
    """Put one tensor's numbers in the place of those of the same shape and precision; the file may exceed the memory."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        start, end = json.loads(file.read(length))[name]["data_offsets"]
        data = tensor.contiguous().view(torch.uint8).numpy().tobytes()
        if end - start != len(data):
            raise BirthmarkError(f"{one_line(path)}: the weight {name} has {end - start} bytes and not {len(data)}")
        file.seek(8 + length + start)
        file.write(data)
