"""One profile for every property test: no deadline, because these machines share their cores."""

import signal

from hypothesis import settings

settings.register_profile("lab", deadline=None, max_examples=30, derandomize=True)
settings.load_profile("lab")

# A shell starts what it runs in the background with interrupts ignored, and processes hand that on:
# the tests of Ctrl-C would wait in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
