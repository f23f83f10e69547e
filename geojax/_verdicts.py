"""The common parts of all solutions: texts of verdicts, the error, printing.

A text is written once. Its figures stand in braces. A part in brackets is left out where its
figures are not known: `"Raise num_segments[ to {more_segments}]."`
"""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

Where = Literal["Python", "command line"]
_MOST_LANES = 10  # lanes of a batch that are printed
# The errors for a value that has not been computed yet.
_TRACED = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)


class Notice(NamedTuple):
    """A cause, with its remedy in Python and on the command line.

    >>> from geojax._verdicts import Notice
    >>> notice = Notice("It is 3.", "Raise lam.", "Raise --lam.")
    >>> print(notice)
    It is 3. Raise lam.
    >>> notice.text("command line")
    'It is 3. Raise --lam.'
    """

    what: str
    python: str = ""
    command_line: str = ""

    def text(self, where: Where = "Python") -> str:
        """The sentences, with the remedy for one of the two."""
        remedy = self.command_line if where == "command line" else self.python
        return f"{self.what} {remedy}".strip()

    def filled(self, figures: Mapping[str, Any] | None = None) -> "Notice":
        """The notice with its figures; parts with unknown figures are left out."""
        return Notice(*(_filled(text, figures or {}) for text in self))

    def of(self, name: str) -> "Notice":
        """The notice with the name of its subject in front."""
        return self._replace(what=f"{name}: {self.what}")

    def __str__(self) -> str:
        return self.text()


class Verdicts:
    """An enumeration of verdicts, with the text of each by its name."""

    def __init__(self, enumeration: Any, notices: Mapping[str, Notice]):
        self.enumeration = enumeration
        self.notices = dict(notices)

    def names(self, result: Any) -> np.ndarray:
        """The names of verdicts, of the shape of `result`."""
        names = ["successful", *self.notices]
        known = [np.asarray(result == getattr(self.enumeration, name)) for name in names]
        return np.asarray(np.asarray(names)[np.argmax(np.stack(known), axis=0)])

    def notice(self, name: str, figures: Mapping[str, Any]) -> Notice:
        """The text of a verdict with the figures of a solve."""
        return self.notices.get(name, Notice("successful")).filled(figures)

    def results(self, names: np.ndarray) -> Any:
        """The verdicts of these names, of their shape: the inverse of `names`.

        Raise a `ValueError` on an unknown name.
        """
        known = np.asarray(["successful", *self.notices])
        if not np.all(np.isin(names, known)):
            unknown = sorted({*names.reshape(-1).tolist()} - {*known})
            raise ValueError(f"names must be verdicts, got {unknown}.")
        codes = np.argmax(np.asarray(names)[..., None] == known, axis=-1)

        def of(code):
            result = self.enumeration.successful
            for i, name in enumerate(known[1:].tolist()):
                item = getattr(self.enumeration, name)
                result = self.enumeration.where(code == i + 1, item, result)
            return result

        flat = jax.vmap(of)(jnp.asarray(codes.reshape(-1)))
        return jax.tree.map(lambda leaf: leaf.reshape(codes.shape), flat)


class GeodesicError(RuntimeError):
    """The error of a solve that did not succeed, raised outside `jax.jit` if `throw` is True.

    Inside `jax.jit` no Python exception can be raised when the program runs; there the error is
    that of `equinox.error_if`.

    **Arguments:**

    - `solution`: the solution, as with `throw=False`.
    - `result`: its verdict, as [`geojax.RESULTS`][]; for a batch one per lane.

    >>> import jax.numpy as jnp, geojax
    >>> ring = geojax.Shell(radius=2.0, width=0.25)
    >>> metric = geojax.SteinScoreMetric(ring, lam=10.0)
    >>> try:
    ...     geojax.geodesic(metric, jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0]), max_steps=1)
    ... except geojax.GeodesicError as error:
    ...     print(int(error.solution.stats["num_steps"]))
    1
    """

    def __init__(self, message: str, solution: Any = None):
        super().__init__(message)
        self.solution = solution

    @property
    def result(self) -> Any:
        """The verdict of `solution`."""
        return getattr(self.solution, "result", None)

    def __reduce__(self):
        return type(self), (*self.args, self.solution)


class AbstractSolution(eqx.Module):
    """The interface of all solutions: verdict, message and printed summary."""

    result: eqx.AbstractVar[Any]
    verdicts: eqx.AbstractClassVar[Verdicts]
    noun: eqx.AbstractClassVar[str]

    @property
    def successful(self) -> Bool[Array, "..."]:
        """Whether the solve succeeded; for a batch one per lane."""
        return self.result == self.verdicts.enumeration.successful

    @property
    def message(self) -> str:
        """The verdict in words, with its figures and the remedy (outside `jax.jit`).

        **Raises:**

        - `ValueError`: for a batch, which has one message per lane: see `messages`.
        """
        return self.notice().text()

    @property
    def messages(self) -> list[str]:
        """`message` of each lane of a batch, in order; for a single solution a list of one."""
        names = self.verdicts.names(self.result)
        figures = _arrays(self.figures())
        lanes = np.ndindex(names.shape)
        return [self._notice(names, figures, lane).text() for lane in lanes]

    def notice(self) -> Notice:
        """`message` in its parts."""
        names = self.verdicts.names(self.result)
        if names.ndim:
            raise ValueError(
                f"message is for a single {self.noun}, but this is a batch of shape {names.shape}. "
                "Read messages, a list, or successful, an array."
            )
        return self._notice(names, _arrays(self.figures()), ())

    def figures(self) -> dict[str, Any]:
        """The figures in messages; `name_limit` is the bound for `name`."""
        figures = dict(getattr(self, "stats", {}))
        limits = getattr(self, "limits", {})
        return figures | {f"{name}_limit": limit for name, limit in limits.items()}

    def rows(self) -> dict[str, Any]:
        """The figures that printing shows."""
        return dict(getattr(self, "stats", {}))

    def title(self) -> str:
        """The title of a single solution when it is printed."""
        return self.noun

    def failure(self) -> str:
        """Why this solve, or which lanes of this batch, did not succeed."""
        names = self.verdicts.names(self.result)
        if not names.ndim:
            return self.message
        failed = [lane for lane in np.ndindex(names.shape) if names[lane] != "successful"]
        shown = ", ".join(_lane(lane) for lane in failed[:_MOST_LANES])
        shown += ", ..." if len(failed) > _MOST_LANES else ""
        first = self._notice(names, _arrays(self.figures()), failed[0]).text()
        lanes = "lane" if len(failed) == 1 else "lanes"
        verb = "did not succeed"
        return (
            f"{len(failed)} of {names.size} {_plural(self.noun)} {verb}: {lanes} {shown}. Lane "
            f"{_lane(failed[0])}: {first}"
        )

    def _notice(self, names: np.ndarray, figures: dict[str, np.ndarray], lane) -> Notice:
        own = {
            name: value[lane].item()
            for name, value in figures.items()
            if value.ndim == names.ndim and value.dtype != object
        } | {name: value.item() for name, value in figures.items() if not value.ndim}
        return self.verdicts.notice(str(names[lane]), own)

    def __str__(self) -> str:
        try:
            return self._summary()
        except _TRACED:  # inside a transformation there are no values
            return repr(self)

    def _summary(self) -> str:
        names, rows = self.verdicts.names(self.result), _arrays(self.rows())
        if names.ndim:
            return self._table(names, rows)
        lines = [f"{self.title()}: {self.message}"]
        width = max((len(name) for name in rows), default=0)
        lines += [f"  {name:<{width}}  {_show(value)}" for name, value in rows.items()]
        return "\n".join(lines)

    def _table(self, names: np.ndarray, rows: dict[str, np.ndarray]) -> str:
        good = np.count_nonzero(names == "successful")
        title = f"{names.size} {_plural(self.noun)}, {good} successful"
        lanes = list(np.ndindex(names.shape))
        failed = [lane for lane in lanes if names[lane] != "successful"][:_MOST_LANES]
        others = [lane for lane in lanes if names[lane] == "successful"]
        lanes = sorted(failed + others[: _MOST_LANES - len(failed)])
        rows = {n: v for n, v in rows.items() if v.shape == names.shape and v.dtype.kind != "b"}
        columns = list(rows)[:5]
        table = [["lane", *columns, "result"]]
        for lane in lanes:
            table.append([_lane(lane), *(_show(rows[n][lane]) for n in columns), str(names[lane])])
        widths = [max(len(row[i]) for row in table) for i in range(len(columns) + 1)]
        lines = [title]
        for row in table:
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=False)]
            lines.append("  " + "  ".join([*cells, row[-1]]))
        if len(lanes) < names.size:
            lines.append(f"  ({names.size - len(lanes)} more lanes)")
        return "\n".join(lines)


def or_raise(solution: Any, value: Any = None) -> Any:
    """`value` (default the solution), if the solve succeeded.

    Outside `jax.jit` a failure is a `GeodesicError`, with one sentence and no other exception
    behind it; where values are traced it is the error of `equinox.error_if`.
    """
    value = solution if value is None else value
    failed = ~solution.successful
    try:
        stop = bool(jnp.any(failed))
    except jax.errors.ConcretizationTypeError:
        first = jnp.argmax(failed.reshape(-1))
        result = jax.tree.map(lambda leaf: leaf.reshape(-1)[first], solution.result)
        return result.error_if(value, jnp.any(failed))
    if stop:
        raise GeodesicError(solution.failure(), solution) from None
    return value


def _filled(text: str, figures: Mapping[str, Any]) -> str:
    """The text with its figures; a bracket with an unknown figure is left out."""

    def figure(match) -> str:
        value = figures[match[1]]
        if match[2]:
            return f"{_short(100 * value)} %"
        return _short(value) if isinstance(value, float) else _show(value)

    def bracket(match) -> str:
        names = re.findall(r"\{(\w+)", match[1])
        return match[1] if all(name in figures for name in names) else ""

    return re.sub(r"\{(\w+)(:%)?\}", figure, re.sub(r"\[([^\]]*)\]", bracket, text))


def _short(value: float) -> str:
    """Two digits, or all before the decimal point.

    >>> [_short(x) for x in (190.0, 5.0, 0.0312, 123456.7)]
    ['190', '5', '0.031', '123,457']
    """
    return f"{value:,.0f}" if 100 <= abs(value) < 1e9 else f"{value:.2g}"


def _show(value: Any) -> str:
    """A figure, or the first of several."""
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.ndim:
        shown = ", ".join(_show(each) for each in array.reshape(-1)[:5])
        return f"[{shown}, ...]" if array.size > 5 else f"[{shown}]"
    if array.dtype.kind in "iu":
        return f"{array.item():,}"
    return f"{array.item():.6g}" if array.dtype.kind == "f" else str(array.item())


def _arrays(figures: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in figures.items()}


def _lane(lane: tuple[int, ...]) -> str:
    return str(lane[0]) if len(lane) == 1 else str(lane)


def _plural(noun: str) -> str:
    return f"{noun}s"
