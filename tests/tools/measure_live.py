"""Run `fomm live` on a video, over and over, and show memory and open files; by hand:

python tests/tools/measure_live.py VIDEO MINUTES (Linux; 10 minutes are a fair proof)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg


def main(video: Path, minutes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "camera.mp4"
        again = ["-stream_loop", "-1", "-i", str(video), "-t", str(60 * minutes), "-c", "copy", str(camera)]
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *again], check=True)
        command = [sys.executable, "-m", "fomm_cli", "live", "--cpu", "--json", "--camera", str(camera)]
        running = subprocess.Popen([*command, "-o", str(Path(folder) / "out.mp4")], stdout=subprocess.PIPE, text=True)
        process = Path("/proc") / str(running.pid)
        while running.poll() is None:
            time.sleep(60 * minutes / 12)
            if (process / "fd").exists() and running.poll() is None:
                status = (process / "status").read_text()
                memory = int(status.split("VmRSS:")[1].split()[0]) // 1024
                print(f"{memory} MB, {len(list((process / 'fd').iterdir()))} open files", flush=True)  # noqa: T201
        print(json.dumps(json.loads(running.communicate()[0])))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
