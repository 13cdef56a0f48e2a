"""The script of `examples/slurm/`: with stand-ins for SLURM's commands it starts a real Ray, runs a command there and ends."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray", reason="Ray is not installed: make extras")

SCRIPT = Path(__file__).parents[1] / "examples" / "slurm" / "birthmark-ray.sbatch"
SRUN = '#!/bin/bash\nwhile [[ "$1" == --* ]]; do shift; done\nexec "$@"\n'
SCONTROL = "#!/bin/bash\necho localhost\n"


def test_the_script_scores_on_a_ray_of_its_own_and_leaves_nothing(tiny_rm: Path, tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="bm")  # short: the paths of Ray's sockets have 107 bytes
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},  # another test's Ray
        "PATH": f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_CPUS_ON_NODE": "1",
        "RAY_PORT": str(port),
        "RAY_TMPDIR": folder,
    }
    asked = ["score", str(tiny_rm), "--prompt", "best_ever_one", "--candidates", "love,freedom", "--out", "out"]
    found = subprocess.run(
        [str(SCRIPT), *asked], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    log = (tmp_path / "ray-head.log").read_text() if (tmp_path / "ray-head.log").is_file() else ""
    left = [item.pid for item in psutil.process_iter(["cmdline"]) if folder in " ".join(item.info["cmdline"] or [])]
    shutil.rmtree(folder, ignore_errors=True)
    assert found.returncode == 0, found.stderr + log
    (record,) = (tmp_path / "out" / "scores").glob("*.json")
    assert json.loads(record.read_text())["backend"] == "ray"
    assert not left
