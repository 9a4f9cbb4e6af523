"""Python runs this at the start of every process that inherits the tests' PYTHONPATH."""

import airgap_tripwire

airgap_tripwire.arm()
