"""JSON Lines: files, named pipes, and the standard output of the whole program."""

import contextlib
import json
import os
import signal
import threading

import pytest

from mien.errors import OutputError
from mien.outputs.jsonl import PIECE_BYTES
from mien.outputs.kinds import create
from mien.outputs.runner import Runner
from tests.outputs_fake import frame_message
from tests.patience import PATIENCE_S, wait_for
from tests.test_program import Running

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


def lines(path):
    return [json.loads(line)["frame"]["index"] for line in path.read_text(encoding="ascii").splitlines()]


def test_lines_are_appended_to_a_file_that_may_be_moved_away(tmp_path):
    path = tmp_path / "faces.jsonl"
    for index in (0, 2):
        output = create(f"jsonl:{path}")
        output.open()
        output.send(frame_message(index))
        output.send(frame_message(index + 1))
        output.close()
        output.close()
    assert lines(path) == [0, 1, 2, 3]
    output.open()
    path.rename(tmp_path / "old.jsonl")
    output.send(frame_message(4))
    output.close()
    assert lines(path) == [4]


@pipes
def test_a_named_pipe_that_nobody_reads_is_tried_again(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    output = create(f"jsonl:{path}")
    with pytest.raises(OutputError, match="nobody reads the pipe"):
        output.open()
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    output.open()
    output.send(frame_message(1))
    assert json.loads(os.read(reader, PIECE_BYTES))["frame"]["index"] == 1
    os.close(reader)
    with pytest.raises(OutputError, match="nobody reads it any more") as caught:
        output.send(frame_message(2))
    assert not caught.value.permanent
    output.close()


@pipes
def test_a_reader_that_does_not_read_gets_whole_lines_later_and_no_thread_hangs(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    runner = Runner(create(f"jsonl:{path}"))
    runner.start()
    wait_for(lambda: runner.status().state == "connected")
    index = 0
    while runner.status().dropped < 10:
        runner.offer(frame_message(index))
        index += 1
    received = bytearray()

    def read_last():
        with contextlib.suppress(BlockingIOError):  # nothing to read yet
            received.extend(os.read(reader, PIECE_BYTES))
        return received.endswith(b"\n") and json.loads(received.splitlines()[-1])["frame"]["index"] == index - 1

    wait_for(read_last)
    numbers = [json.loads(line)["frame"]["index"] for line in received.splitlines()]
    assert numbers == sorted(set(numbers))
    dropped = runner.status().dropped
    while runner.status().dropped < dropped + 10:  # the pipe is full again
        runner.offer(frame_message(index))
        index += 1
    runner.request_stop()
    assert runner.join(PATIENCE_S)
    os.close(reader)


def test_the_program_writes_each_frame_and_change_to_file_and_standard_output(tmp_path):
    path = tmp_path / "faces.jsonl"
    words = ("--source", "demo", "--out", f"jsonl:{path}", "--out", "jsonl:-", "--out-fps", "10")
    program, printed = Running(*words), []
    reader = threading.Thread(target=lambda: printed.extend(program.process.stdout), daemon=True)
    reader.start()  # the program says so where nobody reads

    def writes(state):
        outputs = state["outputs"]
        return len(outputs) == 2 and outputs[0]["sent"] > 20 and {each["state"] for each in outputs} == {"connected"}

    state = program.wait_for(writes)
    assert [each["name"] for each in state["outputs"]] == ["jsonl:faces.jsonl", "jsonl:-"]
    program.process.send_signal(signal.SIGINT)
    reader.join(PATIENCE_S)
    program.process.communicate(timeout=PATIENCE_S)
    assert program.process.returncode == 0
    messages = [json.loads(line) for line in printed]
    assert {"frame", "face_appeared", "source_changed"} <= {each["type"] for each in messages}
    faces = [face for each in messages if each["type"] == "frame" for face in each["faces"]]
    assert {1, 2, 3} <= {face["slot"] for face in faces}
    written = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    assert {each["type"] for each in written} >= {"frame", "face_appeared"}


def test_a_mistake_ends_the_program_with_one_line_and_status_2():
    program = Running("--out", "jsonl:")
    _, errors = program.process.communicate(timeout=PATIENCE_S)
    assert errors.splitlines()[-1] == "mien: --out: expected jsonl:FILE or jsonl:-, found no name of a file"
    assert program.process.returncode == 2
