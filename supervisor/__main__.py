"""`python -m supervisor` is `conclave`."""

from supervisor.cli import main

if __name__ == "__main__":
    main()
