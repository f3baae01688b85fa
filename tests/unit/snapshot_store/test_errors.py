"""The exception tree."""

import pytest

from snapshot_store import errors


def test_command_and_log_are_carried_and_shown() -> None:
    error = errors.SeussError("it ended", command=["qemu", "a b"], log_tail="no memory\n")
    assert error.command == ("qemu", "a b")
    assert error.log_tail == "no memory\n"
    assert str(error) == "it ended\ncommand: qemu 'a b'\nlog: no memory"
    assert str(errors.SeussError("it ended")) == "it ended"


@pytest.mark.parametrize(
    "kind",
    [
        errors.StoreFullError,
        errors.InvalidDraftError,
        errors.UnknownSnapshotError,
        errors.CorruptSnapshotError,
        errors.HasChildrenError,
        errors.MismatchError,
    ],
)
def test_every_error_of_the_store_is_one_tree(kind: type[Exception]) -> None:
    assert issubclass(kind, errors.StoreError)
    assert issubclass(kind, errors.SeussError)
