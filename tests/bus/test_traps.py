"""The traps of nats-py, reproduced with 2.16, each with the test that holds the rule against it.

The tests are in test_message_traps.py, test_link_traps.py and test_wire.py.

    trap                                                        rule                     test
    N1   a handler lets CancelledError out: deaf, silently      a task for each message  test_n1_*
    N2   a handler's exception goes to the error callback only  counted and logged       test_n2_*
    N3   auto-unsubscribe loses what came in a burst            it is not used           test_n3_*
    N4   callbacks of a subscription run one after the other    a task for each message  test_n4_*
    N5   the error callback is awaited by the read loop         it only takes note       test_n5_*
    N6   a full pending queue drops messages                    it never fills; counted  test_n6_*
    N7   drain does not wait for work in hand                   own tasks end first      test_n7_*
    N8   a cancellation within drain may be swallowed           it comes through         test_n8_*
    N9   publishing while disconnected is buffered, and lost    it raises                test_n9_*
    N10  drain raises while reconnecting                        closing returns          test_n10_*
    N11  attempts to reconnect run out                          they never do            test_n11_*
    N12  a half-open link is noticed after six minutes          within seconds           test_n12_*
    N13  a request in flight outlives its link                  it fails at once         test_n13_*
    N14  CR LF in a subject is a second command (older ones)    refused                  test_n14_*
    N15  nats.micro sends repr(exception) to the caller         own codes                test_n15_*
    N16  nats.micro drops what is queued when it stops          all is answered          test_n16_*
    N17  a lost pull request stalls the next fetch              it does not              test_n17_*
    N18  signals before and while connecting end in a hang      own handlers come first  test_n18_*
    N19  flush overtakes what is still in the buffer            an own round trip        test_n19_*
    N20  closing while reconnecting leaves a task for ever      it is ended              test_n20_*
    N21  a flush that is cut short ends the read loop           it goes on               test_n21_*
    N22  closing writes to a link that is gone: half undone     nothing is written       test_n22_*
    N23  a subject that is no UTF-8 ends the read loop          it is only unknown       test_n23_*
    N24  on uvloop, writing to such a link is a RuntimeError    it is a lost link        test_n24_*
    N25  a dead link is closed when all is sent: never          it is dropped            test_n25_*

Of older issues of nats-py: the bytes of a subscription are accounted for (#372, test_n6), inboxes
do not pile up (#113, test_n13), a publish that no stream takes says so at once (#533,
test_contract_stores.py: test_a_subject_that_no_stream_stores_is_unavailable).
"""

import re
from pathlib import Path


def test_every_trap_of_the_table_has_its_test():
    listed = {line.split()[0].lower() for line in __doc__.splitlines() if line[:5] == "    N"}
    files = Path(__file__).parent.glob("test_*.py")
    tested = {name for file in files for name in re.findall(r"def test_(n\d+)_", file.read_text())}
    assert listed == tested
