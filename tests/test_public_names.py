"""The names that programs may import from the package."""

import subprocess
import sys

import fomm_cli

PUBLIC = ["Animator", "FommError", "InputError", "KeyPoints", "__version__", "load_config"]


def test_public_names_are_these_and_can_be_imported() -> None:
    assert dir(fomm_cli) == sorted(fomm_cli.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(fomm_cli, name) is not None


def test_the_package_itself_loads_no_torch() -> None:
    code = "import fomm_cli, sys; fomm_cli.InputError; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
