"""What one node has borrowed of the shared region, and when it can be given back.

A snapshot's pages serve until nothing in the node can reach them: the snapshot is evicted, so is
every one captured from contexts of it, and no context that was deployed from any of them is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection


class BorrowedPages:
    """The snapshots of a node with what they build on, and those of them that lie in the region.

    Args:
        give_back: called with a stored snapshot's id when its pages are out of use.
    """

    def __init__(self, give_back: Callable[[str], None]) -> None:
        self._give_back = give_back
        self._parents: dict[int, int] = {}
        self._borrowed: dict[int, str] = {}
        self._held: list[str] = []
        self._evicted: set[int] = set()

    @property
    def waiting(self) -> bool:
        """Whether something borrowed is evicted but may still be in use."""
        return bool(self._borrowed) and bool(self._evicted)

    def made(self, number: int, parent: int) -> None:
        """Note a snapshot of the node and what it builds on (0: nothing)."""
        self._parents[number] = parent

    def borrow(self, number: int, snapshot: str) -> None:
        """Note that a snapshot of the node is made of a stored one's pages."""
        self._borrowed[number] = snapshot

    def hold(self, snapshot: str) -> None:
        """Keep a stored snapshot's pages until the node ends: whether it uses them is not known."""
        self._held.append(snapshot)

    def borrows(self, number: int) -> bool:
        """Whether this snapshot is made of pages in the region."""
        return number in self._borrowed

    def evicted(self, number: int) -> None:
        """Note that no context will be deployed from a snapshot any more."""
        self._evicted.add(number)

    @property
    def gone(self) -> frozenset[int]:
        """The snapshots that are evicted by now."""
        return frozenset(self._evicted)

    def settle(self, origins: Collection[int], gone: Collection[int]) -> None:
        """Give back what is out of use.

        Args:
            origins: the snapshots of all the node's contexts, but for some that came meanwhile.
            gone: what was evicted before the contexts were looked at.
        """
        if not all(origin in self._parents for origin in origins if origin):
            # One of a snapshot whose making nobody noted: what it builds on is not known.
            return
        reached: set[int] = set()
        for number in [*origins, *(self._parents.keys() - set(gone))]:
            while number and number not in reached:
                reached.add(number)
                number = self._parents.get(number, 0)
        for number in self._parents.keys() - reached:
            del self._parents[number]
            self._evicted.discard(number)
            if number in self._borrowed:
                self._give_back(self._borrowed.pop(number))

    def close(self) -> None:
        """Give everything back: the node has ended. May be called again."""
        held = [*self._held, *self._borrowed.values()]
        self._held.clear()
        self._borrowed.clear()
        for snapshot in held:
            self._give_back(snapshot)
