"""`python -S -E …/supervisor FOLDER OUTPUTS SPOOL FILES SOCKET LIMIT READY`: see `supervisor.main`.

Started by its path, so that Python looks for nothing but its own library and this package.
"""

import os
import sys

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(here)))
    sys.path.append(sys.path.pop(0))  # behind Python's own library

    from odyssey.exec.supervisor.main import main

    main(sys.argv[1:])
