#!/usr/bin/env python3
"""An adb that answers from a script: $ADB_SCRIPT is a JSON list of [words, status, out, err].

The first entry whose words all stand in the call, in order, answers it. Each call is noted in
$ADB_CALLS. A call that nothing answers is a mistake of the test. A status `sleep` hangs.
"""

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    words = sys.argv[1:]
    with Path(os.environ["ADB_CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps(words) + "\n")
    for wanted, status, out, err in json.loads(Path(os.environ["ADB_SCRIPT"]).read_text("utf-8")):
        rest = iter(words)
        if all(word in rest for word in wanted):
            if status == "sleep":
                time.sleep(30)
            sys.stdout.write(out)
            sys.stderr.write(err)
            sys.exit(status)
    sys.stderr.write(f"the script has no answer to {words}\n")
    sys.exit(99)


if __name__ == "__main__":
    main()
