"""The plan of the Rotated MNIST experiment: protocols, pairs, rows."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from ..interpolation import EXTRAPOLATORS, INTERPOLATORS
from ._checks import check_known, check_least

BETWEEN, BEYOND = "between", "beyond"
SAME, ROTATION, ONE_CLASS, TWO_CLASSES = "A to A", "rotation", "one class", "two classes"

# Methods by the time of a path on two cores, in the order of measurement: methods that are not
# listed take a second or two, the first list about ten seconds, the next up to several minutes.
_SLOW = ("Stein", "exponential map")
COSTLY = (
    "density flow",
    "Jacobian as published",
    "Stein as published",
    "combined",
    "smoothed",
    "norm + Stein",
    "exponential map, combined",
)
# Methods that are newer than the committed results; they are measured only if a plan names them.
LATER = ("string method", "spacetime")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How images come to the noise level, and which methods are measured there.

    **Arguments:**

    - `name`: in tables.
    - `t`, `noising`, `denoising`, `denoise_steps`: as [`geojax.NoiseRoute`][]; "none" and "none"
      for clean points with the score of level t.
    - `lam`: of geojax's own metrics, as in [`geojax.interpolation.MethodSettings`][].
    - `segments`, `max_steps`: of their solves. Other methods have their published settings.
    - `methods`, `extrapolations`: names in `INTERPOLATORS` and `EXTRAPOLATORS`; default all methods
      of the committed results.
    - `num_pairs`: of each kind; None for the plan's.
    """

    name: str
    t: float = 0.4
    noising: Literal["shared", "inversion", "none"] = "shared"
    denoising: Literal["ddim", "probability_flow", "none"] = "ddim"
    denoise_steps: int = 20
    lam: float = 3.0
    segments: int = 16
    max_steps: int = 200
    methods: Sequence[str] = tuple(name for name in INTERPOLATORS if name not in LATER)
    extrapolations: Sequence[str] = tuple(EXTRAPOLATORS)
    num_pairs: int | None = None


PROTOCOLS = (
    # arXiv 2505.11128: one noise for both images, step 400 of 1000.
    Protocol("noised"),
    Protocol(
        "noised, lambda 1000",
        lam=1000.0,
        methods=("Stein",),
        extrapolations=("exponential map",),
        num_pairs=8,
    ),
    # The same at other noise levels.
    *(
        Protocol(f"noised, t {t}", t=t, methods=("LERP", "Stein"), extrapolations=(), num_pairs=8)
        for t in (0.1, 0.2, 0.6)
    ),
    # geojax's default: a low level by inversion, which keeps more of the images than one noise
    # for both.
    Protocol(
        "inverted, t 0.2",
        t=0.2,
        noising="inversion",
        lam=0.1,
        methods=("LERP", "Stein"),
        extrapolations=("straight line", "exponential map"),
    ),
    Protocol(
        "inverted, t 0.4",
        noising="inversion",
        methods=("LERP", "Stein"),
        extrapolations=(),
        num_pairs=8,
    ),
    # The published protocol of the Jacobian and density methods: inversion to 0.6 T.
    Protocol(
        "inverted",
        t=0.6,
        noising="inversion",
        methods=(
            "LERP",
            "SLERP",
            "NoiseDiffusion",
            "density flow",
            "Jacobian as published",
            "Stein",
        ),
        extrapolations=(),
        num_pairs=8,
    ),
    Protocol(
        "clean",
        t=0.1,
        noising="none",
        denoising="none",
        lam=0.1,
        max_steps=100,
        methods=("LERP", "SLERP", "density flow", "Stein", "norm + Stein"),
        extrapolations=("straight line", "tangent step", "score-guided walk", "exponential map"),
    ),
)


@dataclasses.dataclass(frozen=True)
class RotatedMnistPlan:
    """The plan of `run_rotated_mnist`: every protocol x method x kind of pair x pair.

    **Arguments:**

    - `protocols`: see [`geojax.experiments.Protocol`][].
    - `deltas`: degrees between the two angles of a turned digit. 6 and 9 are left out everywhere,
      because a turned 6 is a 9.
    - `num_pairs`: for each delta, and for two digits of one class and of two classes.
    - `num_controls`: the largest number of pairs of a digit and itself, not turned at all. The
      truth is the digit. The protocol loses what is missing there, and no path can restore it.
    - `num_costly_pairs`: the largest number of pairs for the methods in `COSTLY`.
    - `frames`: of a path, equally spaced in time, both ends included.
    - `until`: the last time of extrapolations of turned digits; 1 is the second image.
    - `condition`: "none", the unconditional score, because a user without labels has no other; or
      "class", the score of the digit's class (unconditional for pairs of two classes).
    - `num_reference`: turned test digits with which sets of frames are compared.
    - `model`: a name in the zoo, or a checkpoint folder.
    """

    protocols: Sequence[Protocol] = PROTOCOLS
    deltas: Sequence[int] = (30, 60, 90, 120, 180)
    num_pairs: int = 40
    num_controls: int = 4
    num_costly_pairs: int = 8
    frames: int = 17
    until: float = 1.5
    condition: Literal["none", "class"] = "none"
    num_reference: int = 5000
    model: str = "rotated_mnist"
    seed: int = 0

    @classmethod
    def quick(cls) -> "RotatedMnistPlan":
        """A plan of some minutes on two cores.

        It has few pairs, and no method with 500 steps of Adam (about a minute for a pair) or
        products with the Jacobian.
        """
        return cls(
            protocols=(
                Protocol(
                    "noised",
                    methods=("LERP", "SLERP", "NAO", "NoiseDiffusion", "density flow", "Stein"),
                    extrapolations=("straight line", "score-guided walk", "exponential map"),
                ),
                dataclasses.replace(
                    PROTOCOLS[-1],
                    methods=("LERP", "SLERP"),
                    extrapolations=("straight line", "tangent step", "score-guided walk"),
                ),
            ),
            deltas=(60, 90),
            num_pairs=4,
            num_controls=2,
            frames=9,
            num_reference=1000,
        )

    def of_pairs(self, num_pairs: int) -> "RotatedMnistPlan":
        """The same plan with this number of pairs of each kind, and all methods on all of them.

        **Raises:**

        - `ValueError`: for a number below 1.
        """
        plan = dataclasses.replace(
            self,
            protocols=[dataclasses.replace(p, num_pairs=None) for p in self.protocols],
            num_pairs=num_pairs,
            num_controls=min(num_pairs, self.num_controls),
            num_costly_pairs=num_pairs,
        )
        check_least(plan, num_pairs=1)
        return plan

    def of_controls(self) -> "RotatedMnistPlan":
        """The controls alone, without the expensive methods.

        They are a digit and itself, and two digits of one class and of two, `num_controls` pairs of
        each.
        """
        protocols = [
            dataclasses.replace(
                protocol,
                methods=[name for name in protocol.methods if name not in COSTLY],
                extrapolations=(),
            )
            for protocol in self.protocols
        ]
        return dataclasses.replace(
            self, protocols=protocols, deltas=(), num_pairs=self.num_controls
        )

    def check(self) -> None:
        """Check the plan.

        **Raises:**

        - `ValueError`: for an unknown method, two protocols of one name, or a number out of its
          range.
        """
        for protocol in self.protocols:
            check_known("method", protocol.methods, INTERPOLATORS)
            check_known("method", protocol.extrapolations, EXTRAPOLATORS)
        names = [protocol.name for protocol in self.protocols]
        if len(set(names)) < len(names):
            raise ValueError(f"protocols must have names of their own, got {names}.")
        counts = {"num_pairs": 1, "num_controls": 0, "num_costly_pairs": 0}
        check_least(self, **counts, frames=3, num_reference=2)
        if self.until <= 1:
            raise ValueError(f"until must be above 1, the time of the second image: {self.until}.")
        if self.condition not in ("none", "class"):
            raise ValueError(f"condition must be 'none' or 'class', got {self.condition!r}.")

    def kinds(self) -> list[tuple[str, int | None]]:
        """The kinds of pairs with their deltas."""
        return [
            (SAME, None),
            *((ROTATION, delta) for delta in self.deltas),
            (ONE_CLASS, None),
            (TWO_CLASSES, None),
        ]

    def rows(self) -> list[dict[str, Any]]:
        """The settings of every row, in the order of measurement.

        Cheap methods come first, and protocols of fewer pairs last. Methods of similar cost are
        measured pair by pair, so that the rows of a stopped run are balanced.
        """
        common = {
            name: getattr(self, name) for name in ("frames", "until", "condition", "model", "seed")
        }
        few = [p.name for p in self.protocols if p.num_pairs is not None]

        def turn(row):
            name = row["method"]
            cost = 2 if name in COSTLY else 1 if name in _SLOW else 0
            return cost + (2 if cost and row["protocol"] in few else 0)

        rows = [
            {"kind": kind, "delta": delta, "pair": pair, **method, **common}
            for pair in range(self.num_pairs)
            for kind, delta in self.kinds()
            for method, num_pairs in self._methods()
            if pair < (min(num_pairs, self.num_controls) if kind == SAME else num_pairs)
            and (kind == ROTATION or method["part"] == BETWEEN)
        ]
        return sorted(rows, key=turn)

    def _methods(self) -> list[tuple[dict[str, Any], int]]:
        """The methods with their numbers of pairs."""
        found = []
        for protocol in self.protocols:
            fields = dataclasses.asdict(protocol)
            parts = {BETWEEN: fields.pop("methods"), BEYOND: fields.pop("extrapolations")}
            own = fields.pop("num_pairs")
            fields["protocol"] = fields.pop("name")
            for part, methods in parts.items():
                for method in methods:
                    most = self.num_pairs if own is None else own
                    most = min(most, self.num_costly_pairs) if method in COSTLY else most
                    found.append(({**fields, "part": part, "method": method}, most))
        return found
