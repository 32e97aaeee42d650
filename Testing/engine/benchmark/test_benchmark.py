"""The benchmark's arithmetic, its scene and its manners; no figure of speed is tested."""

import getpass
import json
import platform
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from SegAnyPETLib.benchmark import bench, describe_machine, describe_software, peak_memory_mb, run_benchmark
from SegAnyPETLib.benchmark.literal import load_literal_encoder
from SegAnyPETLib.benchmark.scene import BALL_RADIUS_MM, ball_logits, benchmark_image, draw_weights
from SegAnyPETLib.benchmark.timing import time_alternating, time_session
from SegAnyPETLib.cli import main
from SegAnyPETLib.errors import InputError, SetupError
from SegAnyPETLib.session import InteractiveSession, Point

MEASURED = {
    "lite": {"encode_s": 0.2, "first_click_s": 0.8, "next_click_s": 0.2, "session_s": 1.6, "peak_memory_mb": 700.0},
    "whole_body_lite": {"first_click_s": 0.9, "next_click_s": 0.2, "session_s": 1.7, "peak_memory_mb": 1200.0},
    "vit_b": {"encode_s": 1.5, "first_click_s": 2.0, "next_click_s": 0.1, "session_s": 2.4},
}
MEASURED["vit_b"]["encoders"] = {"ours_s": 1.5, "literal_s": 18.0, "ours_cpu_s": 2.0, "literal_cpu_s": 22.0}


@pytest.fixture
def measured_before(monkeypatch):
    """Each measurement's process answers at once with figures from above."""

    def run(command, **_):
        name = command[command.index("--repeats") - 1]
        return SimpleNamespace(returncode=0, stdout=json.dumps(MEASURED[name]) + "\n", stderr="")

    monkeypatch.setattr(bench, "subprocess", SimpleNamespace(run=run))


def test_ratios_are_those_of_one_run(measured_before):
    assert run_benchmark(repeats=2)["ratios"] == pytest.approx(
        {
            "literal_encoder_over_ours": 12.0,
            "literal_encoder_over_ours_cpu": 11.0,
            "next_click_over_first_click_vit_b": 0.05,
            "next_click_over_first_click_lite": 0.25,
        }
    )


def test_what_was_not_measured_is_null():
    figures = {"vit_b": {"encode_s": 1.5, "encoders": {"absent": "no checkout"}}}
    assert set(bench.compute_ratios(figures).values()) == {None}


def test_bench_writes_json_and_prints_a_table(measured_before, tmp_path, capsys):
    assert main(["bench", "--json", str(tmp_path / "bench.json"), "--repeats", "1", "--quiet"]) == 0
    document = json.loads((tmp_path / "bench.json").read_text())
    assert document["schema"] == "seganypet-bench/1"
    assert document["repeats"] == 1
    assert "literal_encoder_over_ours: 12" in capsys.readouterr().out


def test_no_repeat_is_refused(capsys):
    assert main(["bench", "--repeats", "0", "--quiet"]) == 3
    with pytest.raises(InputError, match="at least one repeat"):
        run_benchmark(repeats=0)


def test_a_measurement_that_fails_says_why(monkeypatch):
    failed = SimpleNamespace(returncode=1, stdout="", stderr="Traceback\nMemoryError: all of it\n")
    monkeypatch.setattr(bench, "subprocess", SimpleNamespace(run=lambda *_, **__: failed))
    with pytest.raises(SetupError, match="all of it"):
        run_benchmark(repeats=1)


def test_the_machine_is_described_without_names():
    text = json.dumps([describe_machine(), describe_software()])
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text
    assert describe_machine()["cores"] >= 1
    assert describe_software()["torch"]


def test_peak_memory_is_that_of_this_process():
    assert 30 < (peak_memory_mb() or 0) < 100_000


def test_the_image_holds_a_ball_in_its_middle():
    image = benchmark_image((60, 50, 40), 2.0)
    volume_ml = np.count_nonzero(image.array > 4) * 8 / 1000
    assert volume_ml == pytest.approx(4 / 3 * np.pi * (BALL_RADIUS_MM / 10) ** 3, rel=0.03)
    centre = np.mean(np.argwhere(image.array > 4), axis=0)
    np.testing.assert_allclose(image.grid.kji_to_lps(centre), image.ball_centre_lps_mm, atol=1e-6)


PREPROCESSING = SimpleNamespace(
    roi_shape=(16, 16, 16),
    spacings_mm=(5.0,),
    tensor_axes="kji_lps",
    normalization="log_suv",
    mask_prompt_first="none",
    points="accumulate",
    mask_stride=2,
    first_looks=1,
    mask_shape=(8, 8, 8),
)


class NoNetwork:
    """The ball alone, without a network before it."""

    spec = SimpleNamespace(preprocessing=PREPROCESSING)

    def encode(self, volume):
        return volume

    def decode(self, embedding, *, points=None, mask_logits=None):
        torch = pytest.importorskip("torch")
        return ball_logits(torch.zeros(1, 1, 8, 8, 8), points, preprocessing=PREPROCESSING), torch.zeros(1, 1)


def test_the_ball_that_replaces_untrained_answers_lies_at_the_click():
    image = benchmark_image((60, 50, 40), 4.0)
    session = InteractiveSession(NoNetwork())
    session.set_image(image)
    session.add(Point(lps_mm=image.ball_centre_lps_mm))
    mask = session.predict().mask
    centre = image.grid.kji_to_lps(np.mean(np.argwhere(mask), axis=0))
    np.testing.assert_allclose(centre, image.ball_centre_lps_mm, atol=2.0)
    assert mask.sum() * 0.064 == pytest.approx(4 / 3 * np.pi * (BALL_RADIUS_MM / 10) ** 3, rel=0.25)


def test_weights_are_drawn_the_same_way_everywhere():
    torch = pytest.importorskip("torch")
    first, second = torch.nn.Linear(5, 7), torch.nn.Linear(5, 7)
    draw_weights(first)
    draw_weights(second)
    assert torch.equal(first.weight, second.weight)
    assert first.weight.abs().min() > 0


def test_a_session_is_timed_click_by_click():
    timing = time_session(NoNetwork(), benchmark_image((60, 50, 40), 4.0), repeats=1)
    assert 0 < timing.next_click < timing.session
    assert timing.first_click < timing.session


def test_actions_are_timed_in_turn_and_the_first_round_does_not_count():
    calls = []
    durations = time_alternating([lambda: calls.append("a"), lambda: calls.append("b")], repeats=2)
    assert calls == ["a", "b"] * 3
    assert all(0 <= duration.wall < 1.0 for duration in durations)


def test_an_absent_oracle_is_no_error(tmp_path):
    assert load_literal_encoder(tmp_path / "literal_encoder.py") is None
    assert hasattr(load_literal_encoder(), "literal_encode")


def test_measurements_run_as_a_module():
    done = subprocess.run(
        [bench.sys.executable, "-m", "SegAnyPETLib.benchmark.measurements", "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=bench.ROOT,
    )
    assert "whole_body_lite" in done.stdout
