"""The mutation test removes one line or block at a time."""

from drawbar.conformance.mutate import mutants

MODULE = '''
class Engine:
    def dispatch(self, messages):
        """Send."""
        # one by one
        for message in messages:
            self.send(
                message.to_dict(),
                queue=message.queue,
            )

    def run_worker(self):
        pass
'''


def test_each_line_is_removed_once() -> None:
    found = list(mutants(MODULE, "dispatch"))

    assert [mutant.line for mutant in found] == [
        "for message in messages:",
        "self.send(",
        "message.to_dict(),",
        "queue=message.queue,",
    ]
    for mutant in found:
        assert mutant.line not in mutant.source
        compile(mutant.source, "engine", "exec")


def test_a_block_is_removed_with_its_first_line() -> None:
    without_loop, without_call, without_message, _ = mutants(MODULE, "dispatch")

    assert "send" not in without_loop.source
    assert "for message in messages:\n            pass\n" in without_call.source
    assert "self.send(\n                queue=message.queue," in without_message.source


def test_a_function_that_does_not_exist() -> None:
    assert list(mutants(MODULE, "receive")) == []
