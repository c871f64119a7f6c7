"""pytest under mpirun: every rank runs every test; rank 0 reports, the others speak only of failures. A failure on one
rank ends the job: the others would wait for it in the next collective call. Without mpirun pytest is as ever."""

import os
import sys

import pytest

LAUNCHED = any(variable in os.environ for variable in ("OMPI_COMM_WORLD_RANK", "PMI_RANK"))


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore:this Consensus ends without settle")  # as most tests' do
    if not LAUNCHED:
        return
    import ecl

    if ecl.rank() > 0:
        config.pluginmanager.unregister(config.pluginmanager.getplugin("terminalreporter"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed and LAUNCHED:
        import ecl
        from ecl._library import lib

        sys.__stderr__.write(f"rank {ecl.rank()}: {item.nodeid}\n{report.longreprtext}\n")
        sys.__stderr__.flush()
        lib.ecl_abort(1)


@pytest.fixture
def rank():
    import ecl

    return ecl.rank()


@pytest.fixture
def size():
    import ecl

    return ecl.size()
