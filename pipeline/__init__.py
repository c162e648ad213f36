"""Takes a PyTorch model to where there is no Python, and proves that it answers the same there."""

import os

__version__ = "0.1.0"

# ONNX Runtime's wheels collect telemetry: a log in the temporary folder, an id in the home folder,
# a look-up of its maker's host. It asks this variable when its library is loaded, and what it has
# begun by then no call ends. So it is set here, before any module of this package can import it;
# processes that are started inherit it. Whatever it was before: nothing that runs models for this
# program calls home.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
