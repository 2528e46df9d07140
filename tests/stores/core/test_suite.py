"""Every store passes the suite that third parties run too."""

from drawbar.conformance.store_suite import *  # noqa: F403
