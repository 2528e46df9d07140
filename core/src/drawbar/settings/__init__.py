"""Settings: the models, the sources they are read from, and the order in which sources win."""

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
