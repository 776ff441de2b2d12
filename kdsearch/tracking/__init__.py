"""Records of a study: MLflow runs, and figures."""

import logging

# where it cannot write to the home folder, it keeps its caches in a temporary one and says so
logging.getLogger("matplotlib").setLevel(logging.ERROR)
