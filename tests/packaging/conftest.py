# SPDX-License-Identifier: Apache-2.0
# Copyright (c) The vtrunkd authors
import pathlib
import sys

# The modules that start daemons are shared with the netns tests.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "netns"))
