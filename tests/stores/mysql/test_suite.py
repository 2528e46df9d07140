"""The example of a store on MySQL passes the suite of all stores."""

from drawbar.conformance.store_suite import *  # noqa: F403
