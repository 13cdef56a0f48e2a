"""A real HTTP server over a tiny model in memory that speaks what model servers speak, and fails as they fail when told to.

The numbers come from transformers; forms and messages are those that vLLM 0.32, SGLang and text-embeddings-inference
answer with.
"""

import json
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

VLLM_PATHS = ["/version", "/v1/models", "/tokenize", "/health"]


class ModelServer(ThreadingHTTPServer):
    """One model behind one address. `faults` are taken one a request for scores; `always` applies to all of them.

    Faults: `429` (with Retry-After), `500`, `401`, `slow`, `cut`, `not json`, `shape`, `few`, `wide`, `nan`. Always:
    `sigmoid` (whatever is asked for), `two numbers`, `broken` (500).
    """

    daemon_threads = True

    def __init__(self, folder: Path, kind: str, *, reward: bool, name: str | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kind, self.reward, self.name, self.root = kind, reward, name or str(folder), str(folder)
        loader = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
        self.model = loader.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.faults: deque[str] = deque()
        self.always = ""
        self.key = ""
        self.most_logprobs = 20
        self.longest = 512
        self.retry_after = "0"
        self.rows = self.model.get_input_embeddings().weight.shape[0]
        self.seen: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.in_flight = self.most_in_flight = 0
        self.paths = {"/classify", "/pooling"} if self.reward else {"/v1/completions"}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @torch.inference_mode()
    def rewards(self, conversations: list[list[int]]) -> list[float]:
        """vLLM and SGLang read at the last token, text-embeddings-inference as transformers' class does."""
        with self.lock:
            if self.kind == "text-embeddings-inference":
                return [float(self.model(torch.tensor([ids])).logits[0, 0]) for ids in conversations]
            states = [self.model.model(torch.tensor([ids])).last_hidden_state[0, -1] for ids in conversations]
            return [float(self.model.score(state)[0]) for state in states]

    @torch.inference_mode()
    def log_probs(self, ids: list[int]) -> torch.Tensor:
        """[tokens, vocabulary]: after each token."""
        with self.lock:
            return torch.log_softmax(self.model(torch.tensor([ids])).logits[0].double(), dim=-1)


@contextmanager
def serving(folder: Path, kind: str, **options: Any) -> Iterator[ModelServer]:
    server = ModelServer(folder, kind, **options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def as_listed(server: ModelServer) -> dict[str, Any]:
    owner = {"vllm": "vllm", "sglang": "sglang"}.get(server.kind, "someone")
    item = {"id": server.name, "object": "model", "owned_by": owner, "root": server.root}
    return {"object": "list", "data": [item | ({"max_model_len": server.longest} if owner != "someone" else {})]}


class Handler(BaseHTTPRequestHandler):
    server: ModelServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def answer(self, body: Any, status: int = 200, headers: dict[str, str] | None = None, cut: bool = False) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.close_connection = True

    def refused(self) -> bool:
        if self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            self.answer({"error": "Unauthorized"}, 401)
            return True
        return False

    def do_GET(self) -> None:
        server = self.server
        if self.refused():
            return
        known: dict[str, Any] = {}
        if server.kind == "text-embeddings-inference":
            known["/info"] = {
                "model_id": server.name, "model_dtype": "float32", "version": "1.9.0", "max_input_length": 512,
                "max_client_batch_size": 4, "model_type": {"reranker": {"id2label": {"0": "LABEL_0"}}},
            }  # fmt: skip
        else:
            known["/v1/models"] = as_listed(server)
        if server.kind == "vllm":
            known["/version"] = {"version": "0.32.0"}
            known["/openapi.json"] = {"paths": dict.fromkeys([*VLLM_PATHS, *server.paths])}
        if server.kind == "sglang":
            known["/get_model_info"] = {"model_path": server.name, "is_generation": not server.reward}
        if self.path in known:
            self.answer(known[self.path])
        else:
            self.answer({"detail": "Not Found"}, 404)

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.refused():
            return
        if self.path == "/tokenize":
            self.tokenize(body)
            return
        paths = {
            "text-embeddings-inference": {"/predict"},
            "sglang": {"/classify" if server.reward else "/v1/completions"},
        }
        if self.path not in paths.get(server.kind, server.paths):
            self.answer({"detail": "Not Found"}, 404)
            return
        with server.lock:
            server.seen[self.path] += 1
            server.bodies.append(body)
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
            fault = server.faults.popleft() if server.faults else ""
        try:
            self.scores(body, "500" if server.always == "broken" else fault)
        finally:
            with server.lock:
                server.in_flight -= 1

    def tokenize(self, body: dict[str, Any]) -> None:
        if self.server.kind == "openai":
            self.answer({"detail": "Not Found"}, 404)
            return
        text = body.get("prompt", body.get("inputs"))
        ids = self.server.tokenizer(text, add_special_tokens=body["add_special_tokens"])["input_ids"]
        if self.server.kind == "text-embeddings-inference":
            self.answer([[{"id": token, "text": "", "special": False} for token in ids]])
        else:
            self.answer({"count": len(ids), "tokens": ids})

    def scores(self, body: dict[str, Any], fault: str) -> None:
        server = self.server
        if fault == "429":
            self.answer({"error": {"message": "slow down"}}, 429, {"Retry-After": server.retry_after})
        elif fault == "500":
            self.answer({"error": {"message": f"EngineCore died {server.key}"}}, 500)
        elif fault == "401":
            self.answer({"error": "Unauthorized"}, 401)
        elif fault == "not json":
            self.answer(b"<html>gateway</html>")
        else:
            if fault == "slow":
                time.sleep(0.6)
            answer = self.completions(body) if self.path == "/v1/completions" else self.rewards(body, fault)
            if isinstance(answer, str):
                self.answer({"error": {"message": answer, "code": 400}}, 400)
            else:
                self.answer({"data": "none"} if fault == "shape" else answer, cut=fault == "cut")

    def rewards(self, body: dict[str, Any], fault: str) -> Any:
        server = self.server
        if server.kind == "text-embeddings-inference":
            conversations = [server.tokenizer(text)["input_ids"] for (text,) in body["inputs"]]
        else:
            conversations = body["input_ids" if server.kind == "sglang" else "input"]
        rows = server.rows
        if beyond := [token for ids in conversations for token in ids if token >= rows]:
            return f"Token id {beyond[0]} is out of vocabulary"
        values = server.rewards(conversations)
        activated = body.get("use_activation", not body.get("raw_scores", True))
        if activated is True or server.always == "sigmoid":
            values = [1 / (1 + math.exp(-value)) for value in values]
        if server.always == "two numbers":
            values = [value + 0.001 * sum(server.seen.values()) for value in values]
        if fault == "nan":
            values[-1] = math.nan
        if fault == "few":
            values = values[:-1]
        numbers = [[value, 0.0] if fault == "wide" else [value] for value in values]
        if server.kind == "text-embeddings-inference":
            return [[{"score": value, "label": "LABEL_0"} for value in each] for each in numbers]
        if server.kind == "sglang":
            return [{"embedding": each, "meta_info": {}} for each in numbers]
        if self.path == "/pooling":  # a number a token, of which the last is the reward
            return {"data": [{"index": at, "data": [[0.0], each]} for at, each in enumerate(numbers)]}
        items = [{"index": at, "probs": each, "num_classes": 1} for at, each in enumerate(numbers)]
        return {"data": items[::-1]}

    def completions(self, body: dict[str, Any]) -> Any:
        server = self.server
        prompts = body["prompt"] if isinstance(body["prompt"][0], list) else [body["prompt"]]
        rows = server.rows
        if beyond := [token for ids in prompts for token in ids if token >= rows]:
            return f"Token id {beyond[0]} is out of vocabulary"
        count = body.get("logprobs") or 0
        if count > server.most_logprobs:
            return f"Requested sample logprobs of {count}, which is greater than max allowed: {server.most_logprobs}"
        if "seed" in body:
            return {"choices": [self.answer_to(ids, body) for ids in prompts]}
        choices = []
        for at, ids in enumerate(prompts):
            after = server.log_probs(ids)
            own = [float(after[place, token]) for place, token in enumerate(ids[1:])]
            choice: dict[str, Any] = {"index": at, "text": "", "logprobs": None, "prompt_logprobs": None}
            if "prompt_logprobs" in body:
                named = [{str(token): {"logprob": value}} for token, value in zip(ids[1:], own, strict=True)]
                choice["prompt_logprobs"] = [None, *named]
            elif body.get("echo"):
                choice["logprobs"] = {"tokens": [""] * (len(ids) + 1), "token_logprobs": [None, *own, -1.0]}
            else:
                top = torch.topk(after[-1], min(count, rows))
                pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
                choice["logprobs"] = {"top_logprobs": [{f"token_id:{token}": value for token, value in pairs}]}
            choices.append(choice)
        return {"choices": choices[::-1]}

    def answer_to(self, ids: list[int], body: dict[str, Any]) -> dict[str, Any]:
        """A choice drawn with the request's own seed, as OpenAI's API has it."""
        drawn: list[int] = []
        generator = torch.Generator().manual_seed(body["seed"])
        ends = {self.server.tokenizer.eos_token_id, *body.get("stop_token_ids", ())}
        while len(drawn) < body["max_tokens"]:
            after = self.server.log_probs([*ids, *drawn])[-1] / body["temperature"]
            token = int(torch.multinomial(torch.softmax(after, dim=0), 1, generator=generator))
            if token in ends:
                break
            drawn.append(token)
        finished = len(drawn) < body["max_tokens"]
        text = self.server.tokenizer.decode(drawn, skip_special_tokens=True)
        return {"index": 0, "text": text, "finish_reason": "stop" if finished else "length", "logprobs": None}
