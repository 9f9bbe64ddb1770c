# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Let matplotlib and Pillow draw with the fonts that are here, whatever fonts a cell asks for."""

from __future__ import annotations

import functools
import logging
import os
import re

# Fonts with Chinese, Japanese and Korean characters. ``runtime.py`` shows the files of one of them.
CJK_FAMILIES = (
    *("WenQuanYi Zen Hei", "Noto Sans CJK SC", "Noto Sans CJK JP", "Source Han Sans SC", "WenQuanYi Micro Hei"),
    *("Droid Sans Fallback", "AR PL UMing CN"),
)
FIRST_CJK = "\u2e80"
_CJK_FILE = re.compile(
    r"sim(hei|sun|kai|fang|li|you)|ms(yh|jh|gothic|mincho)|cjk|wqy|song|hei|kaiti|fang|deng|malgun|gulim|meiryo|"
    r"pingfang|hiragino|nanum|source.?han|droidsansfallback|uming|ukai|ipa",
    re.IGNORECASE,
)


def prepare() -> None:
    """Add fallbacks to every choice of fonts. Call it once matplotlib has drawn something."""
    import matplotlib
    from matplotlib import font_manager

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # One line for each text and missing family.
    files = {entry.name: entry.fname for entry in font_manager.fontManager.ttflist}
    cjk = next((family for family in CJK_FAMILIES if family in files), None)
    _extend_families(font_manager, cjk)
    _warn_once_about_glyphs()
    _find_files(os.path.join(matplotlib.get_data_path(), "fonts", "ttf"), files.get(cjk))


def _extend_families(font_manager, cjk: str | None) -> None:
    """Let matplotlib take each character that a text's own fonts lack from the fonts that are here.

    The large font is added only once a cell draws a character that needs it, so other figures do not wait for it.
    """
    from matplotlib.text import Text

    find, set_text = font_manager.FontManager._find_fonts_by_props, Text.set_text

    def files(family: str) -> list:
        return find(font_manager.fontManager, font_manager.FontProperties(family=family))

    fallbacks, cjk_files = files("DejaVu Sans"), files(cjk) if cjk else []

    @functools.wraps(find)
    def finding(*args, **kwargs):
        return list(dict.fromkeys([*find(*args, **kwargs), *fallbacks]))

    @functools.wraps(set_text)
    def setting(self, s):
        if cjk_files and isinstance(s, str) and not s.isascii() and max(s) >= FIRST_CJK:
            fallbacks.extend(cjk_files)
            cjk_files.clear()
        return set_text(self, s)

    font_manager.FontManager._find_fonts_by_props, Text.set_text = finding, setting


def _warn_once_about_glyphs() -> None:
    """Replace a warning for each character by one text, which Python prints once at each place."""
    from matplotlib import _api, _text_helpers

    def warn(*_) -> None:
        _api.warn_external("some characters of the figure are not in the fonts that are installed here")

    _text_helpers.warn_on_missing_glyph = warn


def _find_files(folder: str, cjk: str | None) -> None:
    """Let Pillow find fonts by the names of files of other systems, because the jail has few of them."""
    from PIL import ImageFont

    truetype = ImageFont.truetype

    @functools.wraps(truetype)
    def finding(font=None, *args, **kwargs):
        try:
            return truetype(font, *args, **kwargs)
        except OSError:
            if not isinstance(font, (str, os.PathLike)) or os.path.exists(font):
                raise
            return truetype(_substitute(os.path.basename(os.fsdecode(font)), folder, cjk), *args, **kwargs)

    ImageFont.truetype = finding


def _substitute(name: str, folder: str, cjk: str | None) -> str:
    """Return the font here that is most like the one with this file name."""
    if os.path.isfile(path := os.path.join(folder, name)):
        return path
    if cjk and _CJK_FILE.search(name):
        return cjk
    stem = os.path.splitext(name)[0].lower()
    kind = "Mono" if re.search(r"mono|cour|consol|code", stem) else ""
    kind = "Serif" if not kind and re.search(r"times|georgia|roman|(?<!sans)serif", stem) else kind
    bold = "-Bold" if re.search(r"bold|bd$|bi$|b$", stem) else ""
    return os.path.join(folder, f"DejaVu{'Sans' if kind != 'Serif' else ''}{kind}{bold}.ttf")
