"""`raygan completion bash|zsh`: a script that completes verbs, flags, settings, names and runs.

All words are in the script, made from the verbs' and the config's own tables: no process is started
at a key.
"""

from __future__ import annotations

from collections.abc import Callable

from raygan.cli.commands import VERBS
from raygan.cli.settings import component_settings, known_names, settings_of
from raygan.components import KINDS, names
from raygan.config import Config, presets
from raygan.errors import ConfigError, did_you_mean

SCRIPT = """\
_raygan() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} verb=${{COMP_WORDS[1]}}
    local words=""
    if [ "$COMP_CWORD" -eq 1 ]; then words="{verbs}"; else
    case "$prev" in
{values}
    *)
        case "$cur" in
        -*)
            case "$verb" in
{flags}
            esac ;;
        *)
            case "$verb" in
            {of_runs}) words="latest $(ls -1 runs 2>/dev/null)" ;;
{arguments}
            esac ;;
        esac ;;
    esac; fi
    COMPREPLY=( $(compgen -W "$words" -- "$cur") )
}}
complete -o default -F _raygan raygan
"""
"""`-o default`: where no word fits, files."""
ZSH = "autoload -U +X bashcompinit && bashcompinit\n"
ARGUMENTS: dict[str, Callable[[], list[str]]] = {
    "presets": presets,
    "dashboards": lambda: ["install", "check"],
    "completion": lambda: ["bash", "zsh"],
    "new": lambda: ["loss", "network", "data", "strategy", "metric"],
}
"""Verbs whose first argument is one of some words."""


def script(shell: str) -> str:
    """For the shell to evaluate. Raises ConfigError for one that is not known."""
    if shell not in ("bash", "zsh"):
        raise ConfigError(
            f"completion: {shell!r} is no shell that is known."
            f" {did_you_mean(shell, ('bash', 'zsh'))}"
        )
    values = {
        "preset": presets(),
        **{kind: known_names(kind) for kind in KINDS},
        "track": known_names("tracker"),
    }
    text = SCRIPT.format(
        verbs=" ".join(VERBS),
        values=_cases({f"--{name}": words for name, words in values.items()}, 4),
        flags=_cases({name: flags_of(name) for name in VERBS}, 12),
        of_runs="|".join(
            name for name, verb in VERBS.items() if "RUN" in verb.arguments.split()[:1]
        ),
        arguments=_cases({name: words() for name, words in ARGUMENTS.items()}, 12),
    )
    return (ZSH if shell == "zsh" else "") + text.rstrip()


def _cases(found: dict[str, list[str]], indent: int) -> str:
    return "\n".join(
        f'{" " * indent}{name}) words="{" ".join(words)}" ;;' for name, words in found.items()
    )


def flags_of(name: str) -> list[str]:
    """All flags of a verb; of one that takes settings, those of every component too."""
    verb, found = VERBS[name], dict[str, None]()
    if verb.settings:
        found = dict.fromkeys(path for path, _ in settings_of(Config))
        for kind in KINDS:
            # Of every component, whichever is named: a shell completes before the line is whole.
            for component in names(kind):
                found |= dict.fromkeys(path for path, _ in component_settings(kind, component))
    settings = [path.replace("_", "-") for path in found]
    return [f"--{word}" for word in (*verb.flags, "help", *settings)]
