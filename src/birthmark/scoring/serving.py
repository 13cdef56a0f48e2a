"""HTTP to a model server: requests that are tried again, and what vLLM, SGLang, text-embeddings-inference and others answer.

Token ids (or texts) in, numbers out; what they are numbers of is not known here. The key comes from the environment
variable BIRTHMARK_SERVER_KEY, and is in no message and no file.
"""

import os
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any, Literal

import httpx
import tenacity

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line

KEY = "BIRTHMARK_SERVER_KEY"
IN_FLIGHT = 8  # requests
ATTEMPTS = 6
WAIT = tenacity.wait_random_exponential(multiplier=1, max=30)  # seconds, where the server names none
LONGEST_WAIT = 600.0  # seconds that a server may ask for
TIMEOUT = httpx.Timeout(120, connect=10)
PASSING = {408, 429, 500, 502, 503, 504}  # HTTP statuses that another attempt may not meet again

MALFORMED = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError)  # what reading an unknown form raises

Ids = Sequence[int]


class Refused(BirthmarkError):
    """A request that the server understood and refuses; `said` is its message."""

    def __init__(self, message: str, status: int, said: str) -> None:
        super().__init__(message)
        self.status, self.said = status, said


class _Passing(Exception):
    """A failure that another attempt may not meet again; `wait` seconds are what the server asks for."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Connection:
    """JSON to and from one address, over a few connections at once; every request has a time limit."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._key = os.environ.get(KEY, "").strip()
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            self._client = httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT)
        except (UnicodeEncodeError, ValueError):  # before a header with it could be part of a message
            raise BirthmarkError(
                f"the key in {KEY} has a character that no HTTP header can have: set it anew"
            ) from None
        self._closing = Event()
        self._threads = ThreadPoolExecutor(IN_FLIGHT)

    def close(self) -> None:
        self._closing.set()
        self._threads.shutdown(cancel_futures=True)
        self._client.close()

    def get(self, path: str) -> Any:
        """The JSON at a path, asked for once; None where there is none. Raises `BirthmarkError` where nobody answers."""
        try:
            response = self._client.get(path)
            self._require_access(response)
            return response.json() if response.status_code == 200 else None
        except httpx.RequestError as error:
            raise BirthmarkError(f"{self.address}: {_unreachable(error)}") from None
        except (ValueError, RecursionError):
            return None

    def post(self, path: str, body: dict[str, Any], what: str) -> Any:
        """The answer to a request; `what` says in an error which one it was.

        Raises `Refused` for a request that the server does not take, `BirthmarkError` for one that failed in all attempts.
        """
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_when_event_set(self._closing),
            wait=_wait,
            sleep=tenacity.sleep_using_event(self._closing),
            reraise=True,
        )
        try:
            return attempts(self._post, path, body, what)
        except _Passing as error:
            raise BirthmarkError(
                f"{self.address}{path} failed {ATTEMPTS} times for {what}: {error}; what is finished is kept: look at the "
                "server, and run this again"
            ) from None

    def post_all(self, path: str, bodies: Sequence[dict[str, Any]], whats: Sequence[str]) -> Iterator[Any]:
        """The answers in order, several requests in flight."""
        yield from self._threads.map(self.post, [path] * len(bodies), bodies, whats)

    def _post(self, path: str, body: dict[str, Any], what: str) -> Any:
        try:
            response = self._client.post(path, json=body)
        except httpx.RequestError as error:
            raise _Passing(_unreachable(error)) from None
        status = response.status_code
        self._require_access(response)
        if status in PASSING:
            wait = _retry_after(response.headers.get("Retry-After"))
            if wait is not None and wait > LONGEST_WAIT:
                raise BirthmarkError(
                    f"{self.address} asks to come back in {wait:,.0f} seconds: what is finished is kept; run this again then"
                )
            raise _Passing(f"HTTP {status} ({self._said(response)})", wait)
        if status != 200:
            said = self._said(response)
            raise Refused(f"{self.address}{path} refuses {what} (HTTP {status}): {said}", status, said)
        try:
            return response.json()
        except (ValueError, RecursionError):
            raise _Passing("its answer is not JSON, or was cut off") from None

    def _require_access(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (401, 403):
            cure = f"refuses the key in {KEY}: set the right one" if self._key else f"wants a key: set {KEY} to it"
            raise BirthmarkError(f"{self.address} {cure} (HTTP {status})")
        if response.is_redirect:
            there = one_line(response.headers.get("Location", "another address"))
            raise BirthmarkError(f"{self.address} sends on to {there} (HTTP {status}): give that address")

    def _said(self, response: httpx.Response) -> str:
        """The server's own words on one line, without the key."""
        try:
            body = response.json()
            error = body.get("error", body)
            text = error.get("message", error) if isinstance(error, dict) else error
        except (ValueError, AttributeError):
            text = response.text
        written = str(text).replace(self._key, "…") if self._key else str(text)
        return one_line(written, 200) or "it says nothing more"


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _Passing) else None
    return WAIT(state) if asked is None else asked


def _retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, which has a number or a date; None without a usable one."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _unreachable(error: httpx.RequestError) -> str:
    """What a failure below HTTP was, and what to do."""
    said = one_line(error, 120)
    causes: list[BaseException | None] = [error, error.__cause__, error.__context__]
    if any(isinstance(cause, ssl.SSLError) for cause in causes) or "SSL" in said or "CERTIFICATE" in said:
        return (
            f"no TLS connection ({said}): an address that speaks plain HTTP begins with http://, and a certificate of your "
            "own is named by SSL_CERT_FILE"
        )
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return f"nothing answers there ({said}): start the server, or correct the address"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {TIMEOUT.read:,.0f} seconds"
    return f"the connection broke off ({said})"


# --------------------------------------------------------------------------------------------------------- protocols

Numbers = Callable[[Any], list[list[float]]]
Kind = Literal["vllm", "sglang", "text-embeddings-inference", "openai"]


@dataclass(frozen=True)
class RewardEnd:
    """Where a server gives rewards: one list of numbers a conversation.

    `body(model, conversations, activated)` is a request; `can_activate`: whether the server can be asked for what an
    activation makes of a reward, too.
    """

    path: str
    reads: Literal["ids", "text"]
    body: Callable[[str, Sequence[Any], bool], dict[str, Any]]
    numbers: Numbers
    can_activate: bool = False
    at_once: int = 32


@dataclass(frozen=True)
class CompletionEnd:
    """Where a server gives the log-probabilities of a prompt's tokens: with `prompt_logprobs`, or by its echo."""

    path: str
    by_id: bool  # the numbers come with token ids, else in the order of the tokens alone
    at_once: int = 16

    def body(self, model: str, prompts: Sequence[Ids]) -> dict[str, Any]:
        asked = {"prompt_logprobs": 0} if self.by_id else {"echo": True, "logprobs": 1}
        return {"model": model, "prompt": [list(ids) for ids in prompts], "max_tokens": 1, "temperature": 0, **asked}

    def log_probs(self, answer: Any, prompts: Sequence[Ids]) -> list[list[float]]:
        """log p of each token of each prompt after those before it; the first token has none, NaN stands for it."""
        choices = sorted(answer["choices"], key=lambda choice: choice["index"])
        if len(choices) != len(prompts):
            raise LookupError
        return [self._of_one(choice, ids) for choice, ids in zip(choices, prompts, strict=True)]

    def _of_one(self, choice: Any, ids: Ids) -> list[float]:
        if self.by_id:
            places = choice["prompt_logprobs"]
            if len(places) != len(ids):
                raise LookupError
            return [float("nan")] + [
                float(at[str(token)]["logprob"]) for at, token in zip(places[1:], ids[1:], strict=True)
            ]
        found = choice["logprobs"]["token_logprobs"]
        if len(found) not in (len(ids), len(ids) + 1):  # with or without the token that was generated
            raise LookupError
        return [float("nan"), *(float(value) for value in found[1 : len(ids)])]

    def next_body(self, model: str, context: Ids, count: int) -> dict[str, Any]:
        """A request for the log-probabilities of `count` next tokens."""
        return {"model": model, "prompt": list(context), "max_tokens": 1, "temperature": 0, "logprobs": count,
                "return_tokens_as_token_ids": True}  # fmt: skip

    @staticmethod
    def next_log_probs(answer: Any) -> dict[int, float]:
        """Token id → log-probability, of an answer to `next_body`; empty where the tokens come as text only."""
        found = answer["choices"][0]["logprobs"]["top_logprobs"][0]
        named = {name.removeprefix("token_id:"): value for name, value in found.items() if name.startswith("token_id:")}
        return {int(name): float(value) for name, value in named.items()}


@dataclass(frozen=True)
class Served:
    """What stands behind an address: the server, the model as it names it, and where scores are had.

    `names`: all that the server calls this model. `longest`: tokens of a conversation, None where it does not say.
    """

    kind: Kind
    version: str | None
    model: str
    names: tuple[str, ...]
    longest: int | None
    rewards: RewardEnd | None
    completions: CompletionEnd | None

    @property
    def server(self) -> str:
        return f"{self.kind} {self.version}" if self.version else self.kind

    def tokens_body(self, text: str, special: bool) -> dict[str, Any]:
        """A request to /tokenize."""
        key = "inputs" if self.kind == "text-embeddings-inference" else "prompt"
        return {"model": self.model, key: text, "add_special_tokens": special}

    def tokens(self, answer: Any) -> list[int]:
        if self.kind == "text-embeddings-inference":
            return [token["id"] for token in answer[0]]
        return list(answer["tokens"])


def look_at(connection: Connection, wanted: Sequence[str]) -> list[Served]:
    """What is served at an address: one entry a model, those first whose name is among the `wanted`.

    Raises `BirthmarkError` where nobody answers, or what answers is no server of a known kind.
    """
    try:
        found = _looked_at(connection)
    except MALFORMED:
        found = []
    if not found:
        raise BirthmarkError(
            f"{connection.address} answers, but is no model server that is known here (vLLM, SGLang, "
            "text-embeddings-inference, or one with OpenAI's /v1/models and /v1/completions): correct the address"
        )
    return sorted(found, key=lambda served: not same_name(served.names, wanted))


def _looked_at(connection: Connection) -> list[Served]:
    info = connection.get("/info")
    if isinstance(info, dict) and "model_id" in info and "model_type" in info:
        return [_text_embeddings(info)]
    listed = connection.get("/v1/models")
    models = listed["data"]
    described = connection.get("/openapi.json")
    paths = set(described["paths"]) if isinstance(described, dict) else set()
    owner = str(models[0].get("owned_by", "")).lower()
    native = connection.get("/get_model_info") if owner == "sglang" or "/get_model_info" in paths else None
    version = connection.get("/version")
    number = str(version["version"]) if isinstance(version, dict) and "version" in version else None
    kind: Kind = "sglang" if isinstance(native, dict) else "vllm" if owner == "vllm" or number else "openai"
    return [_listed(kind, number, item, native or {}, paths) for item in models]


def same_name(names: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether two lists of names of models, with or without their folders or owners, have one in common."""
    short = [
        {re.split(r"[/\\]|--", name.rstrip("/"))[-1].casefold() for name in each if name} for each in (names, wanted)
    ]
    return bool(short[0] & short[1])


def _text_embeddings(info: dict[str, Any]) -> Served:
    what = info["model_type"]
    has_head = isinstance(what, dict) and bool({"classifier", "reranker"} & set(what))
    most = info.get("max_client_batch_size")
    end = RewardEnd(
        "/predict",
        "text",
        lambda model, texts, activated: {
            "inputs": [[text] for text in texts], "raw_scores": not activated, "truncate": False
        },
        lambda answer: [[float(item["score"]) for item in each] for each in answer],
        can_activate=True,
        at_once=most if isinstance(most, int) and most > 0 else 32,
    )  # fmt: skip
    names = tuple(str(name) for name in (info["model_id"], info.get("served_model_name")) if name)
    longest = int(info["max_input_length"]) if "max_input_length" in info else None
    version = str(info["version"]) if "version" in info else None
    return Served("text-embeddings-inference", version, names[0], names, longest, end if has_head else None, None)


def _listed(kind: Kind, version: str | None, item: dict[str, Any], native: dict[str, Any], paths: set[str]) -> Served:
    """One entry of /v1/models. A server that does not describe its paths is taken to have OpenAI's."""
    rewards, completions = None, None
    if kind == "vllm":
        rewards = _CLASSIFY if "/classify" in paths else _POOLING if "/pooling" in paths else None
        if "/v1/completions" in paths or not paths:
            completions = CompletionEnd("/v1/completions", by_id=True)
    elif kind == "sglang":
        if native.get("is_generation"):
            completions = CompletionEnd("/v1/completions", by_id=False)
        else:
            rewards = _SGLANG
    else:
        completions = CompletionEnd("/v1/completions", by_id=False)
    names = tuple(str(name) for name in (item["id"], item.get("root"), native.get("model_path")) if name)
    longest = item.get("max_model_len")
    return Served(
        kind, version, names[0], names, longest if isinstance(longest, int) else None, rewards, completions
    )  # fmt: skip


def _in_order(answer: Any) -> list[Any]:
    return sorted(answer["data"], key=lambda item: item["index"])


def _pooled(data: list[Any]) -> list[float]:
    """One conversation's numbers; a model that scores every token gives a list a token, and the last is read."""
    return [float(value) for value in (data[-1] if isinstance(data[0], list) else data)]


_CLASSIFY = RewardEnd(
    "/classify",
    "ids",
    lambda model, ids, activated: {"model": model, "input": list(ids), "use_activation": activated},
    lambda answer: [[float(value) for value in item["probs"]] for item in _in_order(answer)],
    can_activate=True,
)
_POOLING = RewardEnd(
    "/pooling",
    "ids",
    lambda model, ids, activated: {"model": model, "input": list(ids), "use_activation": activated},
    lambda answer: [_pooled(item["data"]) for item in _in_order(answer)],
    can_activate=True,
)
_SGLANG = RewardEnd(
    "/classify",
    "ids",
    lambda model, ids, activated: {"model": model, "input_ids": list(ids)},
    lambda answer: [
        [float(value) for value in item["embedding"]] for item in (answer if isinstance(answer, list) else [answer])
    ],
)
