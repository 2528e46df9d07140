"""Settings: the models, the sources they are read from, and the order of precedence of the sources.

Public: `drawbar.settings`, `drawbar.settings.masking`. Everything else in here is internal.
"""

from drawbar.settings.load import LoadedSettings, SettingRow, describe_settings, load_settings
from drawbar.settings.models import EngineSettings, Seconds, Settings

__all__ = [
    "EngineSettings",
    "LoadedSettings",
    "Seconds",
    "SettingRow",
    "Settings",
    "describe_settings",
    "load_settings",
]
