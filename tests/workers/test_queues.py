from workers.queues import queues_of, slot_name


def test_a_slots_name_says_what_queues_it_serves() -> None:
    assert queues_of(slot_name(["short", "long"])) == {"short", "long"}


def test_no_two_slots_have_the_same_name() -> None:
    assert slot_name(["long"]) != slot_name(["long"])


def test_the_name_of_anything_else_serves_none() -> None:
    assert queues_of("3b0f7bd6-6b35-4b9a-9f7c-9b2b6f1c7d55") == frozenset()
