"""Curvature and transport: what a metric does around a point and along a curve (see README.md)."""

from ._descent import DescentSolution as DescentSolution
from ._descent import riemannian_gradient_descent as riemannian_gradient_descent
from ._dimension import DimensionEstimate as DimensionEstimate
from ._dimension import intrinsic_dimension as intrinsic_dimension
from ._jacobi import JacobiField as JacobiField
from ._jacobi import exponential_derivative as exponential_derivative
from ._jacobi import jacobi_field as jacobi_field
from ._ladder import PoleLadder as PoleLadder
from ._probes import TraceEstimate as TraceEstimate
from ._probes import trace_probes as trace_probes
from ._ricci import ricci_curvature as ricci_curvature
from ._ricci import scalar_curvature as scalar_curvature
from ._riemann import riemann_curvature as riemann_curvature
from ._riemann import sectional_curvature as sectional_curvature
from ._transport import AbstractTransport as AbstractTransport
from ._transport import TransportODE as TransportODE
from ._transport import TransportSolution as TransportSolution
from ._transport import parallel_transport as parallel_transport
from ._volume import estimate_log_volume_element as estimate_log_volume_element
from ._volume import log_volume_element as log_volume_element
from ._volume import volume_element as volume_element
