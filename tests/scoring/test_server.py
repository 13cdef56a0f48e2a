"""Served models: a real HTTP server over tiny models, with faults. Right values are plain transformers' and the local run's."""

import datetime
import ipaddress
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
import tenacity
from model_server import ModelServer
from model_server import serving as served_at
from safetensors.torch import load_file, save_file

from birthmark.errors import BirthmarkError
from birthmark.models.resolve import resolve
from birthmark.models.tokenizer import load_tokenizer, read_tokenizer
from birthmark.scoring import served, serving
from birthmark.scoring.backend import Job
from birthmark.scoring.measure import choose_frames, make_measure
from birthmark.scoring.resume import resume_key
from birthmark.scoring.run import score_model
from birthmark.scoring.server import ServerBackend
from birthmark.scoring.table import ScoreTable, read_scores

WORDS = ("love", "freedom", "power", "family", "Hope", "an extraordinary thing", "ends.", " spaced")
PROMPTS = ("best_ever_one", "worst_ever_one")
ASKED = ("--candidates", "love,freedom,power", "--prompt", "best_ever_one", "--quiet")


@pytest.fixture(scope="module")
def servers(tiny_rm: Path, tiny_lm: Path) -> Iterator[dict[str, ModelServer]]:
    with (
        served_at(tiny_rm, "vllm", reward=True) as vllm,
        served_at(tiny_rm, "sglang", reward=True) as sglang,
        served_at(tiny_rm, "text-embeddings-inference", reward=True) as tei,
        served_at(tiny_lm, "vllm", reward=False) as language,
        served_at(tiny_lm, "openai", reward=False) as openai,
    ):
        yield {"vllm": vllm, "sglang": sglang, "tei": tei, "language": language, "openai": openai}


@pytest.fixture(autouse=True)
def fresh(servers: dict[str, ModelServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """No faults are left, and nobody waits long."""
    for server in servers.values():
        server.reset()
        server.name = server.root
    monkeypatch.setattr(serving, "WAIT", tenacity.wait_none())
    monkeypatch.setattr(serving, "ATTEMPTS", 3)
    monkeypatch.delenv(serving.KEY, raising=False)


@pytest.fixture(scope="module")
def local(tiny_rm: Path, tiny_lm: Path) -> dict[str, ScoreTable]:
    """What the models give in this machine's memory."""
    return {kind: score(folder) for kind, folder in (("reward", tiny_rm), ("logprob", tiny_lm))}


def job_of(folder: Path, words: tuple[str, ...] = WORDS, **options: object) -> Job:
    asked = {"prompt": list(PROMPTS), "candidates": list(words), **options}
    measure, model = make_measure(**asked), resolve(folder)
    (frame,) = choose_frames([model], measure.frame, measure.protocol)
    return Job(model, measure, frame)


def score(folder: Path, out: Path | None = None, words: tuple[str, ...] = WORDS, **options: object) -> ScoreTable:
    job = job_of(folder, words, **options)
    return score_model(job.model, job.measure, job.frame, out)


def asked_of(server: ModelServer, folder: Path, words: tuple[str, ...] = WORDS, **options: object) -> np.ndarray:
    """Scores [prompts, words] as a session gives them, without the check against the weights here."""
    job = job_of(folder, words, server=server.address, **options)
    with ServerBackend(server.address).open(job) as session:
        texts = [prompt.text for prompt in job.measure.prompts.prompts.values()]
        found = {unit: parts for unit, parts in session.score(texts, session.units(texts))}
    blocks = [
        np.concatenate([parts[0].scores for unit, parts in found.items() if unit.prompts[0] == at]) for at in (0, 1)
    ]
    return np.stack(blocks)


# --------------------------------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize(
    ("which", "path"), [("vllm", "/classify"), ("vllm", "/pooling"), ("sglang", "/classify"), ("tei", "/predict")]
)
def test_rewards_are_those_of_the_model_here(which, path, servers, local, tiny_rm):
    if path == "/pooling":
        servers[which].paths = {path}
    found = asked_of(servers[which], tiny_rm)
    assert np.abs(found.T - local["reward"].matrix()).max() < 2e-6
    assert set(servers[which].seen) == {path}


@pytest.mark.parametrize("which", ["language", "openai"])
def test_log_probabilities_are_those_of_the_model_here(which, servers, local, tiny_lm):
    table, own = score(tiny_lm, server=servers[which].address), local["logprob"]
    assert np.abs(table.matrix() - own.matrix()).max() < 5e-6
    assert table.record.context_ids == own.record.context_ids
    assert table.record.word_tokens == own.record.word_tokens
    for key, mass in own.record.mass.items():
        assert table.record.mass[key].lexicon == pytest.approx(mass.lexicon, rel=1e-5)
        assert table.record.mass[key].left_out == pytest.approx(mass.left_out, rel=1e-5)


def test_a_whole_vocabulary_takes_a_server_that_gives_all_of_it(servers, tiny_lm, birthmark):
    asked = ("--server", servers["language"].address, "--prompt", "best_ever_one", "--quiet")
    assert birthmark("score", tiny_lm, *asked).is_error("at most 20 next tokens", "626", "--candidates lexicon")
    servers["language"].most_logprobs = 1000
    table = score(tiny_lm, candidates="vocabulary", server=servers["language"].address)
    own = score(tiny_lm, candidates="vocabulary")
    assert np.abs(table.matrix() - own.matrix()).max() < 5e-6
    assert table.record.left_out == own.record.left_out
    for key, mass in own.record.mass.items():
        assert table.record.mass[key].left_out == pytest.approx(mass.left_out, rel=1e-5)
    assert birthmark("score", tiny_lm, "--server", servers["openai"].address).is_error("next tokens", "626")


def with_head(folder: Path, to: Path, factor: float = 1.0, **config: object) -> Path:
    """A copy of a reward model, its rewards multiplied and its config changed."""
    shutil.copytree(folder, to)
    path = to / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | config), encoding="utf-8")
    tensors = load_file(to / "model.safetensors")
    save_file(tensors | {"score.weight": tensors["score.weight"] * factor}, to / "model.safetensors", {"format": "pt"})
    return to


@pytest.mark.parametrize(
    "options", [{}, {"read": "end", "bos": "two", "system": "You are a pirate."}], ids=["class", "end"]
)
def test_what_is_read_and_where_is_decided_here(options, tiny_rm, tmp_path):
    newline = load_tokenizer(resolve(tiny_rm)).convert_tokens_to_ids(
        "Ċ"
    )  # ends a conversation, and is skipped as padding
    folder = with_head(tiny_rm, tmp_path / "early-rm", pad_token_id=newline)
    own = score(folder, **options)
    with served_at(folder, "vllm", reward=True) as server:
        found = asked_of(server, folder, **options)
    assert own.record.read_early == (0 if options else 1)
    assert np.abs(found.T - own.matrix()).max() < 2e-6


# ------------------------------------------------------------------------------------------------------- a run and its key


def test_a_served_run_says_what_served_it_is_checked_here_and_resumes_at_another_address(
    servers, local, tiny_rm, birthmark, tmp_path
):
    out, words = tmp_path / "out", tmp_path / "words.txt"
    words.write_text("\n".join(word.strip() for word in WORDS), encoding="utf-8")
    asked = ("score", tiny_rm, "--candidates", words, "--prompt", PROMPTS[0], "--prompt", PROMPTS[1], "--out", out)
    answer = birthmark(*asked, "--server", servers["vllm"].address, "--verify")
    assert answer.code == 0 and "Scored by vllm 0.32.0 at /classify, from token ids." in answer.out, answer.err
    (path,) = (out / "scores").glob("*.parquet")
    record = read_scores(path).record
    assert (record.backend, record.engine, record.served.model) == ("server", None, str(tiny_rm))
    assert record.verify_max_abs_diff < 2e-6 and record.verify_bound >= 1e-4
    assert record.precision is not None and record.precision.max_abs_diff < 2e-6
    assert record.context_ids == local["reward"].record.context_ids
    with served_at(tiny_rm, "vllm", reward=True) as other:
        again = birthmark(*asked, "--server", f"{other.address}/v1/", "--quiet")
        assert again.code == 0 and not other.seen


def test_the_key_names_the_model_and_the_kind_of_server_and_not_the_address(servers, tiny_rm, tmp_path):
    def key(server: ModelServer) -> str:
        return resume_key(job_of(tiny_rm, server=server.address), ServerBackend(server.address))

    with served_at(tiny_rm, "vllm", reward=True) as other:
        assert key(other) == key(servers["vllm"])
        other.name = other.root = f"elsewhere/{tiny_rm.name}"
        assert key(other) != key(servers["vllm"]) != key(servers["sglang"])


def test_a_model_whose_weights_are_on_the_server_alone_is_scored_and_the_table_says_so(
    servers, local, tiny_rm, birthmark, tmp_path
):
    folder = tmp_path / tiny_rm.name
    shutil.copytree(tiny_rm, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    words = tmp_path / "words.txt"
    words.write_text("\n".join(WORDS[:5]), encoding="utf-8")
    asked = ("--prompt", PROMPTS[0], "--candidates", words, "--verify", "--quiet")
    assert birthmark("score", folder, *asked).is_error(str(folder))
    answer = birthmark("score", folder, *asked, "--server", servers["vllm"].address, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    (path,) = (tmp_path / "out" / "scores").glob("*.parquet")
    table = read_scores(path)
    assert np.abs(table.matrix()[:, 0] - local["reward"].matrix()[:5, 0]).max() < 2e-6
    why = "the model's weights are not on this machine"
    assert (table.record.verify_why, table.record.precision_why, table.record.digests.weights) == (why, why, "")
    servers["vllm"].always = "sigmoid"
    assert birthmark("score", folder, *asked, "--server", servers["vllm"].address).is_error("look squashed", why)


def test_a_model_goes_by_the_name_that_the_server_gives_it(servers, tiny_rm, birthmark, tmp_path):
    servers["vllm"].name = "our-rewards"
    asked = ("score", "our-rewards", *ASKED, "--server", servers["vllm"].address, "--out", tmp_path)
    assert birthmark(*asked).code == 0
    (path,) = (tmp_path / "scores").glob("*.parquet")
    assert (read_scores(path).record.model, read_scores(path).record.served.model) == (str(tiny_rm), "our-rewards")


def test_a_run_that_a_broken_server_stopped_keeps_what_is_finished_and_sends_none_of_it_again(
    servers, tiny_rm, tmp_path, monkeypatch
):
    server = servers["vllm"]
    monkeypatch.setattr(served, "BLOCK", 4)
    whole = score(tiny_rm, tmp_path / "whole", server=server.address)
    server.reset()
    original = served.RewardSession.ask

    def breaks(self, asked, answers, activated=False):  # the server breaks once the third of four units is asked for
        if answers == list(WORDS[:4]) and server.seen["/classify"] >= 5:
            server.always = "broken"
        return original(self, asked, answers, activated)

    monkeypatch.setattr(served.RewardSession, "ask", breaks)
    with pytest.raises(BirthmarkError, match=r"/classify failed 3 times for the answers 'love' … 'family': HTTP 500"):
        score(tiny_rm, tmp_path / "out", server=server.address)
    assert len(list((tmp_path / "out" / ".work").glob("*/*.npz"))) == 2
    monkeypatch.setattr(served.RewardSession, "ask", original)
    server.reset()
    resumed = score(tiny_rm, tmp_path / "out", server=server.address)
    assert server.seen["/classify"] == 3 + 2  # the probe, and the two units that were missing
    assert resumed.record.sha256 == whole.record.sha256


def test_several_requests_are_in_flight_and_no_more_than_the_limit(servers, tiny_rm, monkeypatch):
    monkeypatch.setattr(serving, "IN_FLIGHT", 3)
    monkeypatch.setattr(served, "PROBE", 2)
    server = servers["tei"]  # takes four conversations at once
    words = tuple(f"word{number}" for number in range(100))
    server.faults.extend([""] * 3 + ["slow"] * 6)
    asked_of(server, tiny_rm, words)
    assert server.most_in_flight == 3
    assert all(len(body["inputs"]) <= 4 for body in server.bodies)


# --------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("fault", ["429", "500", "slow", "cut", "not json"])
def test_a_passing_fault_changes_no_number(fault, servers, local, tiny_rm, monkeypatch):
    monkeypatch.setattr(serving, "TIMEOUT", httpx.Timeout(0.4 if fault == "slow" else 5))
    servers["vllm"].faults.extend([fault, "", fault, "", fault, "", fault, fault])
    assert np.abs(asked_of(servers["vllm"], tiny_rm).T - local["reward"].matrix()).max() < 2e-6
    assert not servers["vllm"].faults


def test_retry_after_is_waited_for(servers, tiny_rm, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(tenacity.sleep_using_event, "__call__", lambda self, seconds: waits.append(seconds))
    server = servers["vllm"]
    server.faults.append("429")
    server.retry_after = "7"
    asked_of(server, tiny_rm)
    assert waits == [7.0]
    server.faults.append("429")
    server.retry_after = "Wed, 21 Oct 2037 07:28:00 GMT"
    with pytest.raises(BirthmarkError, match="asks to come back in .* what is finished is kept"):
        asked_of(server, tiny_rm)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("shape", ["/classify", "form that is not known", "'love'"]),
        ("few", ["7 rewards of 8"]),
        ("wide", ["2 numbers a conversation", "one label"]),
        ("nan", ["nan", "'spaced'", "no reward"]),
    ],
)
def test_an_answer_that_is_none_is_an_error_that_names_the_request(fault, words, servers, tiny_rm):
    servers["vllm"].faults.extend(["", "", fault])
    with pytest.raises(BirthmarkError) as error:
        asked_of(servers["vllm"], tiny_rm)
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------------- raw or squashed


@pytest.mark.parametrize("which", ["vllm", "sglang", "tei"])
def test_squashed_rewards_are_an_error(which, servers, tiny_rm):
    servers[which].always = "sigmoid"
    with pytest.raises(
        BirthmarkError, match=r"look squashed: the 8 .*between 0 and 1.*sigmoid of what the model's files"
    ):
        asked_of(servers[which], tiny_rm)


@pytest.mark.parametrize("which", ["vllm", "sglang"])
def test_raw_rewards_that_lie_between_0_and_1_are_not_taken_for_squashed_ones(which, local, tiny_rm, tmp_path):
    rewards = local["reward"].matrix()
    folder = with_head(tiny_rm, tmp_path / "small-rm", 0.5 / float(rewards[0, 0]))
    assert all(0 < reward < 1 for reward in rewards.ravel() * 0.5 / float(rewards[0, 0]))
    with served_at(folder, which, reward=True) as server:
        found = asked_of(server, folder)
    assert np.abs(found.T - rewards * 0.5 / rewards[0, 0]).max() < 2e-6


def test_squashed_rewards_are_an_error_where_the_weights_cannot_tell(servers, tiny_rm, monkeypatch):
    monkeypatch.setattr("birthmark.models.machine.free_memory", lambda *given, **more: 0)
    servers["vllm"].always = "sigmoid"
    with pytest.raises(
        BirthmarkError, match="look squashed.*are the same when an activation is asked for.*cannot be tried"
    ):
        asked_of(servers["vllm"], tiny_rm)


def test_two_numbers_for_one_conversation_are_noted_with_their_distance(servers, tiny_rm):
    servers["vllm"].always = "two numbers"
    job = job_of(tiny_rm, server=servers["vllm"].address)
    with ServerBackend(servers["vllm"].address).open(job) as session:
        (warning,) = session.facts.warnings
    assert warning == "the server gives two numbers for one conversation: 0.001 apart where the probe was sent twice"


# ------------------------------------------------------------------------------------------------------------ bad input


def test_a_key_is_sent_and_is_in_no_message_and_no_file(servers, tiny_rm, birthmark, tmp_path, monkeypatch):
    server = servers["vllm"]
    server.key = "s3cret-key"
    asked = ("score", tiny_rm, *ASKED, "--server", server.address)
    assert birthmark(*asked).is_error("wants a key", serving.KEY, "401")
    monkeypatch.setenv(serving.KEY, "wrong")
    assert birthmark(*asked).is_error("refuses the key", serving.KEY)
    monkeypatch.setenv(serving.KEY, server.key)
    assert birthmark(*asked, "--out", tmp_path / "out").code == 0
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    server.always = "broken"
    failed = birthmark(*asked)
    assert failed.is_error("EngineCore died …") and "s3cret" not in failed.err
    monkeypatch.setenv(serving.KEY, "schlüssel\n")
    assert birthmark(*asked).is_error(serving.KEY)


def test_nothing_there_is_one_line(tiny_rm, birthmark):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answer = birthmark("score", tiny_rm, *ASKED, "--server", f"http://127.0.0.1:{port}")
    assert answer.is_error(f"http://127.0.0.1:{port}", "nothing answers there", "start the server")


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (200, {}, ["no model server that is known here"]),
        (404, {}, ["no model server that is known here"]),
        (301, {"Location": "https://elsewhere.example/"}, ["sends on to https://elsewhere.example/"]),
    ],
)
def test_another_server_is_one_line(status, headers, words, tiny_rm, birthmark):
    class Page(BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_GET(self):
            self.send_response(status)
            for name, value in {"Content-Length": "13", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"<html></html>")

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        answer = birthmark("score", tiny_rm, *ASKED, "--server", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert answer.is_error(*words)


def test_tls_to_what_speaks_none_is_one_line(servers, tiny_rm, birthmark):
    there = servers["vllm"].address.replace("http://", "https://")
    assert birthmark("score", tiny_rm, *ASKED, "--server", there).is_error("no TLS connection", "http://")


def test_another_model_by_its_name_is_one_line(servers, tiny_lm, birthmark):
    answer = birthmark("score", tiny_lm, *ASKED, "--server", servers["vllm"].address)
    assert answer.is_error("serves", "tiny-rm", "and not", "--served-model-name")


@pytest.mark.parametrize(
    ("which", "kind", "words"),
    [
        ("vllm", "logprob", ["language model", "--runner generate"]),
        ("language", "reward", ["reward model", "--runner pooling"]),
    ],
)
def test_the_other_kind_of_model_is_one_line(which, kind, words, servers, tiny_rm, tiny_lm, birthmark, monkeypatch):
    server = servers[which]
    folder = tiny_rm if kind == "reward" else tiny_lm
    monkeypatch.setattr(server, "name", folder.name)
    assert birthmark("score", folder, *ASKED, "--server", server.address).is_error(*words)


def test_another_tokenizer_under_the_same_name_is_one_line(servers, tiny_rm, birthmark, monkeypatch):
    other = read_tokenizer(resolve(tiny_rm))
    other.add_tokens(["ever"])
    monkeypatch.setattr(servers["vllm"], "tokenizer", other)
    answer = birthmark("score", tiny_rm, *ASKED, "--server", servers["vllm"].address)
    assert answer.is_error("has other tokens", "the first that differs")


@pytest.mark.parametrize("which", ["vllm", "language"])
def test_a_smaller_vocabulary_is_one_line(which, servers, tiny_rm, tiny_lm, birthmark):
    servers[which].rows -= 1
    folder = tiny_rm if which == "vllm" else tiny_lm
    answer = birthmark("score", folder, *ASKED, "--server", servers[which].address)
    assert answer.is_error("does not take token 625", "out of vocabulary")


def test_other_weights_under_the_same_name_fail_the_check_and_write_nothing(servers, tiny_rm, birthmark, tmp_path):
    from tiny_models import write_tiny_model

    other = write_tiny_model(tmp_path / tiny_rm.name, reward=True, seed=8)
    asked = ("score", other, *ASKED, "--server", servers["vllm"].address, "--out", tmp_path / "out")
    answer = birthmark(*asked)
    assert answer.code == 3 and "served scores differ from those of the model's files here" in answer.err
    assert not (tmp_path / "out" / "scores").exists()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("localhost:8000", ["http://localhost:8000", "not localhost:8000"]),
        ("ftp://host", ["http://localhost:8000"]),
        ("http://", ["http://localhost:8000"]),
        ("http://host:port", ["http://localhost:8000"]),
        ("http://me:s3cret@host", ["without a user name", serving.KEY]),
        ("https://host/v1?api_key=s3cret", ["parameters", serving.KEY]),
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(address, words, tiny_rm, birthmark):
    answer = birthmark("score", tiny_rm, *ASKED, "--server", address)
    assert answer.is_error("--server", *words) and "s3cret" not in answer.err


@pytest.mark.parametrize(
    "option",
    [("--engine", "plain"), ("--dtype", "float16"), ("--device", "cpu"), ("--quantize", "8bit"), ("--device-map", "auto"),
     ("--dry-run",)],
    ids=lambda option: option[0],
)  # fmt: skip
def test_an_option_that_a_server_cannot_honour_is_refused(option, servers, tiny_rm, birthmark):
    answer = birthmark("score", tiny_rm, *ASKED, "--server", servers["vllm"].address, *option)
    assert answer.is_error(option[0], "--server")


def test_server_and_backend_exclude_each_other(servers, tiny_rm, birthmark, monkeypatch):
    monkeypatch.setattr("birthmark.scoring.measure.require_backend", lambda name: name)
    answer = birthmark("score", tiny_rm, *ASKED, "--server", servers["vllm"].address, "--backend", "other")
    assert answer.is_error("--server does not go with --backend other")


def test_server_and_ray_exclude_each_other(servers, tiny_rm, birthmark):
    answer = birthmark("score", tiny_rm, *ASKED, "--server", servers["vllm"].address, "--ray")
    assert answer.is_error("--server does not go with --ray")


def test_explain_says_that_a_server_takes_text_only(servers, tiny_rm, birthmark):
    asked = ("score", tiny_rm, "--explain", *ASKED)
    answer = birthmark(*asked, "--server", servers["tei"].address, "--json")
    found = json.loads(answer.out)
    assert found["served"]["reads"] == "text" and "tokenizes it itself" in found["warnings"][-1]
    by_ids = json.loads(birthmark(*asked, "--server", servers["vllm"].address, "--json").out)
    assert by_ids["served"]["reads"] == "ids" and by_ids["warnings"] == found["warnings"][:-1]
    assert birthmark("score", tiny_rm, *ASKED, "--server", servers["tei"].address, "--bos", "two").is_error("--bos")


def test_a_conversation_longer_than_the_server_takes_is_one_line(servers, tiny_rm, birthmark):
    servers["vllm"].longest = 12
    answer = birthmark("score", tiny_rm, *ASKED, "--server", servers["vllm"].address)
    assert answer.is_error("tokens, and the server takes 12", "--max-model-len")


def self_signed(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that nobody else signed, with its key, in one file."""
    pytest.importorskip("cryptography", reason="the extra with cryptography is absent: make extras")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    path = folder / "own.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path


def test_a_certificate_that_nobody_signed_is_one_line_until_it_is_named(tiny_rm, birthmark, tmp_path, monkeypatch):
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with served_at(tiny_rm, "vllm", reward=True) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        there = f"https://127.0.0.1:{server.server_port}"
        answer = birthmark("score", tiny_rm, *ASKED, "--server", there)
        assert answer.is_error("no TLS connection", "SSL_CERT_FILE")
        assert not server.seen
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        answer = birthmark("score", tiny_rm, *ASKED, "--server", there, "--out", tmp_path / "out")
        assert answer.code == 0, answer.err
        assert server.seen
