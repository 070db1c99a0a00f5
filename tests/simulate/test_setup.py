"""From the configuration to the settings of the forward model."""

import pytest
import torch

from pipeline.config.load import load_config
from pipeline.errors import ConfigError
from pipeline.simulate.setup import forward_model, model_settings
from tests.simulate.deposits import MODULE0, random_deposits


def test_settings_follow_the_configuration() -> None:
    config = load_config(
        None,
        {
            "detector": {"recombination": "box"},
            "simulate": {
                "accuracy": "precise",
                "dtype": "float32",
                "device": "cpu",
                "threads": 1,
                "block_pairs": 512,
                "memory_limit_mib": 300,
            },
        },
    )
    settings = model_settings(config)

    assert (settings.recombination, settings.accuracy, settings.dtype) == ("box", "precise", torch.float32)
    assert (settings.device.type, settings.threads, settings.block_pairs, settings.memory_limit_mib) == (
        "cpu",
        1,
        512,
        300,
    )


def test_recombination_and_precision_reach_the_hits() -> None:
    segments = random_deposits(1, 5)
    birks, box = (
        forward_model(segments, MODULE0, load_config(None, {"detector": {"recombination": name}})).hits({})
        for name in ("birks", "box")
    )

    assert len(birks.time) and abs(birks.charge.sum() / box.charge.sum() - 1) > 1e-4


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_cuda_auto_is_the_cpu_and_cuda_a_sentence() -> None:
    assert model_settings(load_config(None)).device.type == "cpu"
    with pytest.raises(ConfigError, match=r"simulate\.device: there is no CUDA device"):
        model_settings(load_config(None, {"simulate": {"device": "cuda"}}))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_device_gives_the_hits_of_the_cpu() -> None:
    segments = random_deposits(1, 20)
    cpu, cuda = (
        forward_model(segments, MODULE0, load_config(None, {"simulate": {"device": d}})).hits({})
        for d in ("cpu", "cuda")
    )

    assert (cpu.channel == cuda.channel).all()
    assert abs(cpu.charge - cuda.charge).max() < 1e-5
