"""Pictures in the page: PNG files as data addresses."""

import base64
import pathlib

from cellcycle_jax.figures import style


def draw(run: pathlib.Path, name: str, figure) -> str:
    """Save a figure to RUN/figures/ and return it as a data address."""
    path = run / "figures" / f"{name}.png"
    style.save(figure, path)
    return embed(path)


def embed(path: pathlib.Path) -> str | None:
    """A PNG file as a data address, None where there is no such file."""
    if not path.is_file():
        return None
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
