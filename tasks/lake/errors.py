"""What can go wrong with the lake.

LakeError
├── LakeUnavailable    the store did not answer or is too busy: the same step may work later
├── LakeRefused        the store said no (credentials, bucket, permission, space, clock): somebody has to act
├── Moved              another writer replaced, or already created, the object that this write was conditional on
├── CurrentUnreadable  the object is there and is not what this library wrote
├── ShrinkRefused      a full fetch would lose too many rows, so it was not published
└── StateMissing       an incremental fetch was asked for and there is nothing to be incremental against

Messages name objects, counts and causes; they never hold a row or a secret.
"""


class LakeError(Exception):
    """Something about the lake; the message says what to do."""


class LakeUnavailable(LakeError):
    """The store did not answer; trying again later may work."""


class LakeRefused(LakeError):
    """The store refused; it takes a person to change that."""


class Moved(LakeError):
    """The object is not the one that the write was conditional on."""


class CurrentUnreadable(LakeError):
    """A `current` object cannot be used as one."""


class ShrinkRefused(LakeError):
    """Publishing would lose more rows than allowed; `current` is as before."""


class StateMissing(LakeError):
    """`mode="incremental"` without a usable `current`."""
