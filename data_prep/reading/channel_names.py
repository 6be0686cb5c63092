"""Names of the channels of a file that holds several: its own, or what config.channel_names says instead.

The config field holds either a name for each channel, in the order of the file, or texts OLD=NEW that rename some.
"""

from cellcycle_jax.errors import InputRefused


def fit(texts) -> bool:
    """Whether config.channel_names can be used: different names, or OLD=NEW with different olds and different news."""
    if not all(isinstance(text, str) and text for text in texts):
        return False
    if not any("=" in text for text in texts):
        return len(set(texts)) == len(texts)
    pairs = [_pair(text) for text in texts]
    olds, news = {old for old, _ in pairs}, {new for _, new in pairs}
    return all(old and new for old, new in pairs) and len(olds) == len(news) == len(pairs)


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
    wanted, own = tuple(wanted), tuple(own)
    if not wanted:
        _refuse_own(own, count, path)
        return own
    if changed := renames(wanted):
        return _renamed(changed, own, count, path)
    if len(wanted) != count or len(set(wanted)) != count:
        raise InputRefused(f"{path}: {count} channels, but config.channel_names gives {len(wanted)} names "
                           f"({', '.join(wanted)}); give one different name per channel")
    if len(own) == count and _crossed(wanted, own):
        pairs = ",".join(f"{old}={new}" for old, new in zip(own, wanted, strict=True) if old != new)
        raise InputRefused(f"{path}: config.channel_names gives {', '.join(wanted)}, but the file names these channels "
                           f"{', '.join(own)}; empty config.channel_names to use the file's names, or rename by name, "
                           f"such as config.channel_names={pairs}")
    return wanted


def same_in_another_order(one, other) -> bool:
    """Whether two files name the same channels in another order, so that names by position would swap them."""
    return tuple(one) != tuple(other) and sorted(one) == sorted(other)


def _pair(text):
    old, _, new = text.rpartition("=")
    return old, new


def _refuse_own(own, count, path):
    if not own:
        raise InputRefused(f"{path}: {count} channels without names; give one name per channel in "
                           "config.channel_names, in the order of the file")
    if len(own) != count or len(set(own)) != count:
        raise InputRefused(f"{path}: {count} channels, which the file names {', '.join(own)}; give one different name "
                           "per channel in config.channel_names, in the order of the file")


def _renamed(changed, own, count, path):
    """The file's names with some changed."""
    if len(own) != count:
        raise InputRefused(f"{path}: config.channel_names renames {', '.join(changed)}, but the file gives its {count} "
                           "channels no names; give one name per channel, in the order of the file")
    for old in changed:
        if own.count(old) != 1:
            times = "no channel of this name" if old not in own else f"{own.count(old)} channels of this name"
            raise InputRefused(f"{path}: config.channel_names renames {old!r}, but the file has {times} "
                               f"({', '.join(own)}); correct it, or give one name per channel, in the order of the "
                               "file")
    names = tuple(changed.get(name, name) for name in own)
    if len(set(names)) != count:
        raise InputRefused(f"{path}: by config.channel_names its channels are {', '.join(names)}; let them have "
                           "different names, such as by giving one name per channel, in the order of the file")
    return names


def _crossed(wanted, own):
    """Whether a name by position is the one that the file gives to another channel."""
    if len(set(own)) < len(own):
        return same_in_another_order(wanted, own)
    return any(name in own and own.index(name) != i for i, name in enumerate(wanted))
