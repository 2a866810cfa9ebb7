"""`python -m supervisor` is `conclave`; with `run … --supervised` it is just an actor."""

import sys

from supervisor.cli import child, main

if __name__ == "__main__":
    if child.is_meant(sys.argv[1:]):
        sys.exit(child.main(sys.argv[2:]))
    main()
