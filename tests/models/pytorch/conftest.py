"""Without torch, what only torch's tests use is not looked at for examples."""

import importlib.util

if importlib.util.find_spec("torch") is None:
    collect_ignore = ["families.py", "operations.py", "parity.py"]
