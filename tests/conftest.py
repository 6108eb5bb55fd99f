"""How property tests search: freely on a developer's machine, the same examples every time in CI.

Never: a deadline for an example, or a search so long that nobody runs the suite.
"""

import os

from hypothesis import settings

settings.register_profile("here", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
