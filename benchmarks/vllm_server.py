"""A real vLLM server on this machine, from the environment that BIRTHMARK_VLLM names: a folder with bin/vllm."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

VARIABLE = "BIRTHMARK_VLLM"
READY = 900  # seconds that a server may take to start


@contextmanager
def vllm(model: Path, log: Path, *options: str) -> Iterator[str]:
    """The address of a server of the model in float32, ended with all its processes; raises where it does not start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(os.environ[VARIABLE]) / "bin" / "vllm"
    command = [program, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32",
               "--max-model-len", "256", "--enforce-eager", *options]  # fmt: skip
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True, env=environment
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        _end(process)


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{address}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    said = re.findall(r"\w+Error: .*", text := log.read_text(errors="replace"))  # the first is the cause of the others
    raise RuntimeError(f"vLLM does not start: {said[0][:300] if said else text[-2000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        os.killpg(process.pid, signal.SIGKILL)  # what of its children is left
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()
