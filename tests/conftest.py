"""What holds for every test: a slow machine is no fault of a property."""

from hypothesis import HealthCheck, settings

settings.register_profile("tiendo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tiendo")
