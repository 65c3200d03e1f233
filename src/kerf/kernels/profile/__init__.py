"""A candidate's profile as text, with no hardware counters: `profile_candidate`, `compare`."""

from kerf.kernels.profile.compare import compare
from kerf.kernels.profile.profiler import profile_candidate
from kerf.kernels.profile.record import HotLoop, Place, Profile, Roof

__all__ = ["HotLoop", "Place", "Profile", "Roof", "compare", "profile_candidate"]
