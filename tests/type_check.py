"""The run-time type checker that `conftest.py` puts on every function of geojax."""

import functools

from beartype import BeartypeConf, beartype

# As for static checkers (PEP 484), an int will do where a float is asked for.
_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check(function):
    """Checks a function from its first call on: making the checks of all that a process imports
    and never calls takes longer than importing it.
    """
    made = []

    @functools.wraps(function)
    def checked(*args, **kwargs):
        if not made:
            made.append(_checked(function))
        return made[0](*args, **kwargs)

    return checked
