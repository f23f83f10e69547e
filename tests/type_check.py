"""The run-time type checker that `conftest.py` puts on every function of geojax."""

from beartype import BeartypeConf, beartype

# As for static checkers (PEP 484), an int will do where a float is asked for.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
