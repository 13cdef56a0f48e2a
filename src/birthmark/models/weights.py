"""Which files of a folder are the model: one reading of the folder decides, and those files alone are digested and loaded.

What else lies in the folder and could be meant is an error or a remark that names it. Only names and headers are read here.
"""

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from birthmark.errors import BirthmarkError
from birthmark.files import atomic_path
from birthmark.foreign import one_line
from birthmark.inputs.fetch import cache_folder
from birthmark.models.folder import ADAPTER_CONFIG, and_more, digest_of_text, read_json

if TYPE_CHECKING:
    import torch

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack", ".npz", ".ot",
             ".onnx", ".gguf", ".npy"}  # fmt: skip
_TEXTS = {".json", ".jsonl", ".md", ".txt", ".jinja", ".py", ".ipynb", ".yaml", ".yml", ".toml", ".csv", ".tsv", ".html", ".log",
          ".png", ".svg", ".jpg", ".jpeg", ".gif", ".pdf", ".sh", ".lock", ".model", ".tiktoken",
          ".sha256", ".md5", ".asc", ".sig"}  # fmt: skip
_NAMED_HEAD = re.compile(
    r"(?:^|[._-])(?:v|value|reward|rm|score|regression|classifier|critic)?_?head(?:[._-]|$)", re.IGNORECASE
)
_OF_TRAINING = re.compile(
    r"(training_args|trainer_state|optimizer|lr_scheduler|scheduler|scaler|rng_state|random_states|sampler|dl_state_dict"
    r"|custom_checkpoint)([._-].*)?\.(bin|pt|pth|pkl|npz|safetensors)"
)
_COPY = re.compile(  # the same weights in another format or precision, under names that publishers use
    r"pytorch_model([.-].*)?\.bin|(tf_model|model)([.-].*)?\.h5|flax_model([.-].*)?\.msgpack|rust_model\.ot|.*\.onnx"
    r"|.*\.gguf|openvino_.*\.bin|consolidated.*\.(safetensors|pth|pt)|model\.[\w-]+\.safetensors"
)
_ADAPTER_COPY = re.compile(r"adapter_model\.(bin|pt|pth)|adapter\.pt")
_SHARD = re.compile(r".*-\d+-of-\d+\.safetensors")
_HEAD = re.compile(
    r"(?:(?:module|model|base_model|_orig_mod|transformer|rwtra\w+)\.)*"
    r"(\w*(?:v_head|value_head|score|reward|regress|classif|critic)\w*|cls)(?:\.|$)"
)


@dataclass(frozen=True)
class ModelFiles:
    """The weights' files of a folder: those of a full model, or (`is_adapter`) of an adapter.

    `main`: the model's own safetensors. `beside`: further safetensors, which have to hold a reward head. `remarks`: what else
    lies there and is not used, for the table.
    """

    folder: Path
    main: tuple[Path, ...]
    beside: tuple[Path, ...] = ()
    is_adapter: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def all(self) -> list[Path]:
        return [*self.main, *self.beside]

    def checked_on_hub(self, hub_id: str, commit: str | None) -> "ModelFiles":
        """A language model from the hub has no reward head there in a pickle, which is not fetched.

        The hub is asked once for each commit; where it was never asked and cannot be, a remark says so. Without a commit
        nothing is asked. Raises `BirthmarkError` that names the pickle.
        """
        names = _names_on_hub(hub_id, commit) if commit else []
        if names is None:
            said = (
                f"taken for a language model, though the hub could not be asked whether {hub_id} has a reward head in a pickle "
                "beside its weights: run this once with the network"
            )
            return replace(self, remarks=(*self.remarks, said))
        copies = _ADAPTER_COPY if self.is_adapter else _COPY
        for name in names:
            other = "/" in name or name.endswith((".safetensors", ".gguf", ".onnx")) or not is_weights(Path(name))
            if not other and not _is_copy(name, copies) and not _OF_TRAINING.fullmatch(name):
                raise BirthmarkError(
                    f"{hub_id} has {name} on the hub, which may hold a reward head and is not fetched, because loading such a "
                    "file can run code: if it is a head and you trust it, convert it as docs/heads.md shows and use the "
                    "folder; if not, use --as logprob"
                )
        return self


def read_weights(folder: Path) -> ModelFiles:
    """Decide which files of a folder are the model.

    Raises `BirthmarkError` if there are none or only pickles, if a shard is missing, if two sets of weights or a full model and
    an adapter lie side by side, and for any other file of weights that nothing here reads.
    """
    inside = sorted(folder.iterdir())
    names = [path.name for path in inside if is_weights(path) and path.is_file()]
    of_training = [name for name in names if _OF_TRAINING.fullmatch(name)]
    names = [name for name in names if name not in of_training]
    main, outdone = _full_weights(folder, names)
    remarks = []
    if outdone is not None:
        there = [name for name in outdone if name in names]
        shards = f"the shards that it names ({there[0]}{and_more(there)})" if there else "no file that it names"
        remarks.append(
            f"not used: {INDEX} in the model's folder, with {shards}; {SINGLE} is read, as transformers does"
        )
    is_adapter = not main and (folder / ADAPTER_CONFIG).is_file()
    if is_adapter:
        if ADAPTER_WEIGHTS not in names:
            _raise_without_safetensors(folder, names)
        main = [ADAPTER_WEIGHTS]
    elif (folder / ADAPTER_CONFIG).is_file():
        remarks += _adapter_beside(folder, main, names)
    if not main:
        _raise_without_safetensors(folder, names)
    copies = _ADAPTER_COPY if is_adapter else _COPY
    unused = [name for name in names if name not in main]
    copied = [name for name in unused if _is_copy(name, copies) or name in (outdone or ())]
    others = [name for name in unused if name not in copied]
    _require_safetensors(folder, [name for name in others if not name.endswith(".safetensors")])
    beside = [folder / name for name in others]
    paths = [folder / name for name in main]
    if len(paths) + len(beside) > 1:
        _require_once([*paths, *beside])
    _require_no_head(folder, paths, [name for name in (*copied, *of_training) if name.endswith(".safetensors")])
    require_no_folder_of_a_head(inside)
    if copied := [name for name in copied if name not in (outdone or ())]:
        remarks.append(f"not read: {', '.join(copied)} in the model's folder; the weights are those of {_named(main)}")
    return ModelFiles(folder, tuple(paths), tuple(beside), is_adapter, tuple(remarks))


def _names_on_hub(hub_id: str, commit: str) -> list[str] | None:
    """The names of a hub model's files, kept in the cache; None where the hub does not say."""
    from huggingface_hub import model_info

    memory = cache_folder() / "listings" / f"{digest_of_text(f'{hub_id} {commit}')[:32]}.json"
    try:
        return [str(name) for name in json.loads(memory.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        pass
    try:
        names = [each.rfilename for each in model_info(hub_id, revision=commit, timeout=10).siblings or ()]
    except Exception:  # noqa: BLE001  the hub's and the HTTP library's
        return None
    memory.parent.mkdir(exist_ok=True)
    with atomic_path(memory) as temporary:
        temporary.write_text(json.dumps(names), encoding="utf-8")
    return names


def is_weights(path: Path) -> bool:
    """Whether a file's name says that it holds weights, or a head, read or not."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _TEXTS:
        return False
    return not _SUFFIXES.isdisjoint(suffixes) or _NAMED_HEAD.search(path.name) is not None


def _is_copy(name: str, copies: re.Pattern[str]) -> bool:
    """Whether a name is that of the same weights in another format; one that says head is a head's."""
    return copies.fullmatch(name) is not None and _NAMED_HEAD.search(name) is None


def weight_files(folder: Path) -> list[Path]:
    """All files of `read_weights`; raises as that does."""
    return read_weights(folder).all


def _full_weights(folder: Path, names: list[str]) -> tuple[list[str], list[str] | None]:
    """A full model's files: the one file, the shards of the index, or the only candidate; none for an adapter.

    Also, where there is an index but the one file goes before it, as in transformers, what that index names.
    """
    index = INDEX
    stated = (
        read_json(folder / "config.json").get("transformers_weights") if (folder / "config.json").is_file() else None
    )
    if isinstance(stated, str) and stated != SINGLE:  # a file that transformers would take in place of the usual ones
        if Path(stated).name != stated or not (folder / stated).is_file():
            raise BirthmarkError(
                f"{folder / 'config.json'} names {stated!r} (transformers_weights), which is not there"
            )
        if not stated.endswith(".index.json"):
            return [stated], None
        index = stated
    single = SINGLE in names and index == INDEX
    if not (folder / index).is_file():
        return ([SINGLE] if single else _only_candidate(folder, names)), None
    try:
        shards = _shards(folder / index)
    except BirthmarkError:
        if not single:
            raise
        shards = []
    if single and SINGLE not in shards:
        return [SINGLE], shards
    if absent := [name for name in shards if name not in names]:
        raise BirthmarkError(f"{folder} lacks {absent[0]}, a part of its weights: download or copy the model again")
    return shards, None


def _shards(index: Path) -> list[str]:
    weight_map = read_json(index).get("weight_map")  # where it is there, `read_json` has seen that it names files
    if weight_map is None:
        raise BirthmarkError(f"{index} has no weight_map of names to files: download or copy the model again")
    shards = sorted(set(weight_map.values()))
    if odd := [name for name in shards if not name.endswith(".safetensors")]:
        raise BirthmarkError(f"{index} names {odd[0]!r} in its weight_map, which is no safetensors file of the folder")
    return shards


def _only_candidate(folder: Path, names: list[str]) -> list[str]:
    """The one safetensors file of another name (`model.fp16.safetensors`) where the usual names are missing."""
    found = [name for name in names if name.endswith(".safetensors") and name != ADAPTER_WEIGHTS]
    shards = [name for name in found if _SHARD.fullmatch(name)]
    if shards:
        raise BirthmarkError(
            f"{folder} has {shards[0]} but not {INDEX}, which says what belongs together: copy it there"
        )
    if (folder / ADAPTER_CONFIG).is_file() and ADAPTER_WEIGHTS in names:
        return []
    native = [name for name in found if name.startswith("consolidated")]
    if native:
        raise BirthmarkError(
            f"{folder} has its weights as {native[0]}, in a format that transformers does not read: use the model's files in "
            f"transformers' format ({SINGLE} or shards, with config.json)"
        )
    full = [name for name in found if not all(map(names_a_head, tensor_shapes([folder / name])))]
    if len(full) > 1:
        raise BirthmarkError(f"{folder} holds several sets of weights, {' and '.join(full[:2])}: keep one of them")
    return full


def _adapter_beside(folder: Path, main: list[str], names: list[str]) -> list[str]:
    """A full model beside an adapter's configuration: with the adapter's weights nobody can tell what is meant."""
    weights = [name for name in names if name.startswith("adapter_model.")]
    if not weights:
        return [f"not used: {ADAPTER_CONFIG} in the model's folder, without an adapter's weights"]
    base = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    raise BirthmarkError(
        f"{folder} holds a full model ({_named(main)}) and an adapter ({weights[0]}, of {base}): if the weights are merged "
        f"already, move {ADAPTER_CONFIG} and {weights[0]} away; if not, move both into a folder of their own and name that one"
    )


def _named(main: list[str]) -> str:
    return main[0] if len(main) == 1 else f"{main[0]}{and_more(main)}"


def _require_safetensors(folder: Path, pickles: list[str]) -> None:
    if pickles:
        name = pickles[0]
        raise BirthmarkError(
            f"{folder} has {name}, which may hold a reward head, and loading such a file can run code: if you trust it, write "
            f"its tensors, under their names in docs/heads.md (such as v_head.summary.weight), with `safetensors.torch.save_file("
            f"torch.load({name!r}, weights_only=True), {Path(name).stem + '.safetensors'!r})`; then, or if it is no part of "
            "the model, move it away"
        )


def _require_once(paths: list[Path]) -> None:
    """No tensor lies in two of the files."""
    found: dict[str, Path] = {}
    for path in paths:
        for name in tensor_shapes([path]):
            if name in found:
                raise BirthmarkError(
                    f"{path.parent} has the weight {name} both in {found[name].name} and in {path.name}: keep the file that "
                    "belongs to the model and move the other away"
                )
            found[name] = path


def _require_no_head(folder: Path, main: list[Path], copies: list[str]) -> None:
    """A copy of the weights that is passed over holds no reward head that the weights lack."""
    if not copies:
        return
    known = tensor_shapes(main)
    for copy in copies:
        heads = [name for name in tensor_shapes([folder / copy]) if names_a_head(name) and name not in known]
        if heads:
            raise BirthmarkError(
                f"{folder / copy} has the weight {heads[0]}, which the weights that are read ({main[0].name}) lack: keep one "
                "of the two and move the other away"
            )


def require_no_folder_of_a_head(inside: Iterable[Path]) -> None:
    """Raise `BirthmarkError` for a folder within the model's whose name says that it holds a head."""
    for place in inside:
        if _NAMED_HEAD.search(place.name) and place.is_dir() and (held := [*filter(is_weights, place.iterdir())]):
            raise BirthmarkError(
                f"{place} has {held[0].name}, which may hold a reward head and is not read there: if it is a head, put it beside "
                "the model's weights under a name of its own, such as value_head.safetensors; if not, move it away"
            )


def names_a_head(tensor: str) -> bool:
    """Whether a tensor's name says that it is a reward head's: `v_head.summary.weight`, `score.weight`, …"""
    return _HEAD.match(tensor) is not None


def _raise_without_safetensors(folder: Path, names: list[str]) -> None:
    pickles = [name for name in names if not name.endswith((".safetensors", ".gguf", ".onnx"))]
    if pickles:
        raise BirthmarkError(
            f"{folder} has its weights only as {pickles[0]}, and loading such a file can run code: if you trust it, load it in "
            "transformers and call `model.save_pretrained(FOLDER)`, which writes safetensors; then use FOLDER"
        )
    if names:
        raise BirthmarkError(
            f"{folder} has {names[0]} but no weights that it belongs to: a model's folder needs {SINGLE} or the shards of "
            f"{INDEX}, an adapter's {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}"
        )
    configs = [*folder.glob("*/config.json"), *folder.glob(f"*/{ADAPTER_CONFIG}")]
    if within := sorted({path.parent.name for path in configs}):
        more = f" or one of {len(within) - 5} others" if len(within) > 5 else ""
        raise BirthmarkError(f"{folder} has no weights of its own: name a folder in it, {', '.join(within[:5])}{more}")
    raise BirthmarkError(f"{folder} has no weights: a model's folder needs *.safetensors files (or one *.gguf)")


@contextmanager
def only_these(files: Iterable[Path], config: Path | None) -> Iterator[Path]:
    """A temporary folder that holds links to these files, and to the config, and nothing else.

    From a model's own folder transformers would also take an adapter, or other files that its config names.
    """
    with TemporaryDirectory(prefix="birthmark-", ignore_cleanup_errors=True) as temporary:
        view = Path(temporary)
        for path in [*files, *([config] if config and config.is_file() else [])]:
            _link(path, view / path.name)
        yield view


@contextmanager
def only_weights(files: Sequence[Path], config: Path) -> Iterator[Path]:
    """`only_these` for a model's weights, under the names by which transformers finds them."""
    with only_these([], config) as view:
        if len(files) == 1:
            _link(files[0], view / SINGLE)
        else:
            parts = {f"part-{number}.safetensors": path for number, path in enumerate(files, 1)}
            for part, path in parts.items():
                _link(path, view / part)
            weight_map = {name: part for part, path in parts.items() for name in tensor_shapes([path])}
            (view / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), encoding="utf-8")
        yield view


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.resolve())
    except OSError:  # Windows allows symbolic links only to some
        os.link(source.resolve(), target)


def tensor_shapes(paths: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in safetensors files, from their headers. Raises `BirthmarkError` for a broken file."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in paths:
        with _open_tensors(path, "numpy") as file:
            shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return shapes


def read_tensors(paths: Iterable[Path], names: Collection[str], rows: int | None = None) -> "dict[str, torch.Tensor]":
    """The tensors of these names that are in some safetensors files, or their first `rows` rows.

    Raises `BirthmarkError` for a broken file.
    """
    tensors: dict[str, torch.Tensor] = {}
    for path in paths:
        with _open_tensors(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                if name in names:
                    tensors[name] = file.get_tensor(name) if rows is None else file.get_slice(name)[:rows]
    return tensors


@contextmanager
def _open_tensors(path: Path, framework: str) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise BirthmarkError(
            f"{path} cannot be loaded: it is not a complete safetensors file ({one_line(error, 300)}); download or copy it again"
        ) from None
