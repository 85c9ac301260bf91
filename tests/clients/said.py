"""What the SDK scripts have in common: their arguments, and one line of JSON at the end."""

import argparse
import json
import sys
from collections.abc import Callable


def arguments(model: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("prompt", nargs="?", default="say hi")
    parser.add_argument("--model", default=model)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--include-usage", action="store_true", help="chat streams only")
    parser.add_argument("--agent", action="store_true", help="obey tool calls until there are none")
    parser.add_argument("--turns-max", type=int, default=1000)
    return parser.parse_args()


def main(ask: Callable[[argparse.Namespace], dict], model: str) -> None:
    """Prints what `ask` returns, or the error the SDK raises, and exits 0 or 1."""
    try:
        said, status = ask(arguments(model)), 0
    except Exception as error:  # Whatever an SDK raises is the result here.
        code = getattr(error, "status_code", None) or getattr(error, "code", None)
        said = {"error": type(error).__name__, "status": code, "message": str(error)}
        status = 1
    print(json.dumps(said))
    sys.exit(status)
