"""One deliberation told in every message there is, with fixed values.

They are the examples of the contract and the golden captures: bytes that every client, in any
language and any later version, must be able to read.
"""

from schemas.contract.examples import asking, councils, errors, operating, speaking
from schemas.contract.examples.example import Example

EXAMPLES: tuple[Example, ...] = (
    *asking.EXAMPLES,
    *speaking.EXAMPLES,
    *councils.EXAMPLES,
    *operating.EXAMPLES,
    *errors.EXAMPLES,
)
"""Each under a name of its own: the message's, and what it shows where there are several."""
