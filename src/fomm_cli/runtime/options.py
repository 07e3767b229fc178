"""Options that say what to compute on."""

from __future__ import annotations

from typing import Annotated, Literal

from fomm_cli.options import Option

Device = Annotated[
    str,
    Option("auto, cpu, cuda, cuda:N or mps", shortcuts={"cpu": "cpu"}, group="engine", pair=False),
]
Threads = Annotated[
    int | None,
    Option(
        "processor threads to compute with (default: all)", metavar="N", low=1, high=1024, group="engine", pair=False
    ),
]
EngineName = Annotated[
    Literal["torch", "onnxruntime", "openvino"],
    Option(
        "what computes the frames (default: torch); the others need packages of their own and run on the CPU",
        group="engine",
    ),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16", "int8"],
    Option(
        "precision of the layers: fp32 gives the original's numbers, auto (default) takes bf16 where the hardware "
        "computes it, int8 is OpenVINO's and calibrates itself first",
        group="engine",
    ),
]
