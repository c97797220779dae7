"""Keeping libraries quiet inside a worker: what they print is not the user's business unless something fails."""

import logging
import os
import warnings

ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONUNBUFFERED": "1",
}
"""What every worker's environment gets on top of the parent's."""


SPEAKS = "ATTRIB_ENGINES_SPEAK"
"""The variable of a worker whose libraries may say what they like: `-v` shows it."""


def silence_libraries() -> None:
    """Turn off the warnings and log lines of the engines and exporters in this process, unless somebody wants them."""
    if os.environ.get(SPEAKS):
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    os.environ.update(ENVIRONMENT)
