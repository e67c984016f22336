"""README's table of settings and the settings themselves are the same."""

import re
from pathlib import Path

from forebay.settings import PREFIX, Settings

README = Path(__file__).parents[3] / "README.md"


def test_readme_lists_every_setting_and_no_other() -> None:
    listed = set(re.findall(rf"^\| `({PREFIX}[A-Z_]+)`", README.read_text(), re.MULTILINE))
    assert listed == {PREFIX + name.upper() for name in Settings.model_fields}


def test_plain_defaults_in_the_readme_are_the_real_ones() -> None:
    text = README.read_text()
    for name in ("home", "queue", "models", "pool", "host", "port", "device"):
        default = Settings.model_fields[name].default
        assert f"| `{PREFIX}{name.upper()}` | `{default}` |" in text
