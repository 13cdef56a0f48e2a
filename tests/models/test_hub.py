"""What the hub answers, simulated where its client speaks to the network, and the one line that a person gets."""

import httpx2
import pytest
from huggingface_hub import constants
from huggingface_hub.utils import set_client_factory
from huggingface_hub.utils._http import default_client_factory

from birthmark.errors import BirthmarkError
from birthmark.models.resolve import fetch_snapshot

COMMIT = "a" * 40
INFO = {"id": "you/rm", "sha": COMMIT, "siblings": [{"rfilename": "config.json"}, {"rfilename": "model.safetensors"}]}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """`hub(answer)`: every request is answered by `answer(request)`; the cache is empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)

    def serve(answer):
        set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True))

    yield serve
    set_client_factory(default_client_factory)


def refusal(code, status):
    return lambda request: httpx2.Response(status, headers={"X-Error-Code": code}, request=request)


TREE = [{"type": "file", "path": file["rfilename"], "size": 2, "oid": "b" * 40} for file in INFO["siblings"]]


def gated(request):
    if "/tree/" in request.url.path:
        return httpx2.Response(200, json=TREE, request=request)
    if "/api/models/" in request.url.path:
        return httpx2.Response(200, json=INFO, request=request)
    return httpx2.Response(401, headers={"X-Error-Code": "GatedRepo"}, request=request)


def unreachable(request):
    raise httpx2.ConnectError("no route", request=request)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (gated, ["you/rm is gated", "https://huggingface.co/you/rm", "hf auth login", "HF_TOKEN"]),
        (refusal("GatedRepo", 403), ["you/rm is gated", "accept its terms"]),
        (refusal("RevisionNotFound", 404), ["no revision v9", "/commits/main"]),
        (refusal("RepoNotFound", 404), ["not on the hub, or is private"]),
        (refusal("RepoNotFound", 401), ["not on the hub, or is private"]),
        (unreachable, ["not on this machine", "cannot be reached"]),
        (refusal("", 503), ["you/rm", "cannot be"]),
    ],
    ids=["gated files", "gated", "revision gone", "no repository", "private", "no network", "hub down"],
)
def test_what_the_hub_answers_is_one_line_that_says_what_to_do(hub, answer, words):
    hub(answer)
    with pytest.raises(BirthmarkError) as caught:
        fetch_snapshot("you/rm", "v9", quiet=True)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_a_gated_model_of_the_catalog_raises_on_the_command_line_with_what_to_do(hub, birthmark):
    hub(gated)
    answer = birthmark("score", "llama-3.2-1b-instruct", "--prompt", "best_ever_one", "--quiet")
    assert answer.is_error("meta-llama/Llama-3.2-1B-Instruct is gated", "hf auth login")
