"""Names of the channels of a file that holds several: its own, or what config.channel_names says instead.

The config field holds either a name for each channel, in the order of the file, or texts OLD=NEW that rename some.
Where files call one stain differently, several olds may stand for one new: DAPI=DNA, Hoechst=DNA.
"""

import collections
import unicodedata

from cellcycle_jax.errors import InputRefused


def fit(texts) -> bool:
    """Whether config.channel_names can be used: different names, or OLD=NEW with different olds."""
    for text in texts:
        if not isinstance(text, str) or not text:
            return False
    if "=" not in "".join(texts):
        return len(set(texts)) == len(texts)
    olds = set()
    for text in texts:
        old, new = _pair(text)
        if not old or not new or old in olds:
            return False
        olds.add(old)
    return True


def renames(texts) -> dict[str, str]:
    """{old name: new one}; {} where config.channel_names goes by position."""
    return dict(_pair(text) for text in texts if "=" in text)


def named(wanted, own, count: int, path) -> tuple[str, ...]:
    """The names of the channels of a file.

    Args:
        wanted: config.channel_names, () for the file's own.
        own: names that the file gives, () for none.
        count: number of its channels.
        path: for the error.

    Raises:
        InputRefused: no name, one name for two channels, another number of names than of channels, a channel to rename
            that is not there or twice there, or names by position that the file gives to other channels.
    """
    wanted = tuple(map(composed, wanted))
    own = tuple(map(composed, own))
    if not wanted:
        _refuse_own(own, count, path)
        return own
    if changed := renames(wanted):
        return _renamed(changed, own, count, path)
    if len(wanted) != count or len(set(wanted)) != count:
        raise InputRefused(f"{path}: {count} channels, but config.channel_names gives {len(wanted)} names "
                           f"({', '.join(wanted)}); give one different name per channel")
    if len(own) == count and _crossed(wanted, own):
        raise InputRefused(f"{path}: config.channel_names gives {', '.join(wanted)}, but the file names these channels "
                           f"{', '.join(own)}; empty config.channel_names to use the file's names, or rename single "
                           "channels by name (config.channel_names=OLD=NEW)")
    return wanted


def disagree(one, other) -> bool:
    """Whether two files name their channels differently, so that names by position might swap them.

    A file that names none agrees with any. Capitals and spaces around a name do not count.
    """
    if not one or not other:
        return False
    return _comparable(one) != _comparable(other)


def _comparable(names) -> list[str]:
    return [composed(name).casefold() for name in names]


def composed(name: str) -> str:
    """A name in composed Unicode (NFC), as it is typed, without spaces around it."""
    return unicodedata.normalize("NFC", str(name)).strip()


def _pair(text):
    old, _, new = text.rpartition("=")
    return old, new


def _refuse_own(own, count, path):
    """Refuse a file whose own names cannot be used for its channels."""
    if not own:
        raise InputRefused(f"{path}: {count} channels without names; "
                           "give one name per channel in config.channel_names, in the order of the file")
    if len(own) != count or len(set(own)) != count:
        raise InputRefused(f"{path}: {count} channels, which the file names {', '.join(own)}; "
                           "give one different name per channel in config.channel_names, in the order of the file")


def _renamed(changed, own, count, path):
    """The file's names with some changed."""
    if len(own) != count:
        raise InputRefused(f"{path}: config.channel_names renames {', '.join(changed)}, but the file gives its {count} "
                           "channels no names; give one name per channel, in the order of the file")
    olds_of = collections.defaultdict(list)
    channels_renamed = collections.Counter()
    for old, new in changed.items():
        olds_of[new].append(old)
        channels_renamed[new] += own.count(old)
    for new, olds in olds_of.items():
        renamed = channels_renamed[new]
        if renamed != 1:
            words = " or ".join(map(repr, olds))
            times = f"{renamed} channels of this name" if renamed else "no channel of this name"
            raise InputRefused(f"{path}: config.channel_names renames {words}, but the file has {times} "
                               f"({', '.join(own)}); correct it (where files call a stain differently: A={new},"
                               f"B={new}), or give one name per channel, in the order of the file")
    names = tuple(changed.get(name, name) for name in own)
    if len(set(names)) != count:
        raise InputRefused(f"{path}: by config.channel_names its channels are {', '.join(names)}; let them have "
                           "different names, such as by giving one name per channel, in the order of the file")
    return names


def _crossed(wanted, own):
    """Whether a name by position is the one that the file gives to another channel."""
    if len(set(own)) < len(own):
        return wanted != own and sorted(wanted) == sorted(own)
    return any(name in own and own.index(name) != i for i, name in enumerate(wanted))
