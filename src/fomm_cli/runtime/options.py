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
    Literal["auto", "torch", "onnxruntime", "openvino"],
    Option(
        "what computes the frames: auto (default) is torch, or for long clips on a CPU the fastest that is installed; "
        "onnxruntime and openvino need packages of their own and run on the CPU",
        group="engine",
        web=True,
    ),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16", "fp16", "int8"],
    Option(
        "precision of the layers: fp32 gives the original's numbers, auto (default) takes the fastest that looks the "
        "same, int8 is OpenVINO's and calibrates itself first",
        group="engine",
        web=True,
    ),
]
