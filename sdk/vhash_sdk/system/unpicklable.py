"""What another process cannot be sent: it holds a lock, threads or a running model."""

from __future__ import annotations

from typing import ClassVar, NoReturn, SupportsIndex


class NotPickled:
    """A class whose objects are neither pickled nor copied, and say what to do instead.

    >>> import pickle
    >>> pickle.dumps(NotPickled())
    Traceback (most recent call last):
    TypeError: a NotPickled is neither pickled nor copied; make one where it is needed
    """

    _instead: ClassVar[str] = "make one where it is needed"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        name = type(self).__name__
        raise TypeError(
            f"{'an' if name[0] in 'AEIOU' else 'a'} {name} is neither pickled nor copied; {self._instead}"
        )
