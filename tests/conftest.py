"""One profile for every property test: no deadline, because these machines share their cores."""

from hypothesis import settings

settings.register_profile("lab", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("lab")
