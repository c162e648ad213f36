from dataclasses import replace

import numpy as np

from pipeline.graph.array import Array
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.project.samples import Samples, load_samples
from pipeline.verify.edge_cases import Edge, edges
from tests.verify.verify_cases import Case


def cases(case: Case, samples: Samples | None = None) -> dict[str, Edge]:
    samples = samples or load_samples(case.config, "validation", 64)
    return {edge.case: edge for edge in edges(case.config, case.signature, samples)}


def test_pictures(pictures: Case) -> None:
    found = cases(pictures)
    assert list(found) == [
        "all zero", "all maximal", "noise", "another size, larger (12 × 10)",
        "another size, smaller (4 × 6)", "batch of 1", "batch of 2", "batch of 7",
    ]  # fmt: skip
    assert not found["all zero"].inputs[0].any()
    assert (found["all maximal"].inputs[0] == 255).all()
    noise = found["noise"].inputs[0]
    assert (noise.dtype, noise.shape) == (np.dtype("uint8"), (1, 8, 8, 3))
    assert noise.max() > 200
    assert found["another size, larger (12 × 10)"].inputs[0].shape == (1, 12, 10, 3)
    assert found["batch of 7"].inputs[0].shape == (7, 8, 8, 3)
    assert [edge.real for edge in found.values()] == [False] * 5 + [True] * 3
    assert len({edge.key for edge in found.values()}) == len(found)


def test_they_are_the_same_every_time(pictures: Case) -> None:
    one, two = cases(pictures), cases(pictures)
    for case, edge in one.items():
        assert np.array_equal(edge.inputs[0], two[case].inputs[0])


def test_floats_are_maximal_at_what_was_seen(table: Case) -> None:
    samples = load_samples(table.config, "validation", 64)
    found = cases(table, samples)
    largest = max(np.abs(row[0]).max() for row in samples.inputs)
    assert (found["all maximal"].inputs[0] == largest).all()
    assert "another size, larger" not in " ".join(found)  # 4 columns are fixed


def test_indices_stay_in_the_vocabulary(tokens: Case) -> None:
    found = cases(tokens)
    ids, mask = found["all maximal"].inputs
    assert (ids == 9).all()
    assert mask.all()
    assert found["noise"].inputs[0].max() <= 9
    larger = found["another size, larger (8)"].inputs
    assert [array.shape for array in larger] == [(1, 8), (1, 8)]  # of one name: of one size
    assert [array.dtype.name for array in larger] == ["int64", "bool"]


def test_a_fixed_batch_is_all_that_is_asked(pictures: Case) -> None:
    fixed = Signature(
        (TensorSpec("image", "uint8", (4, 8, 8, 3)),),
        (TensorSpec("probabilities", "float32", (4, 3)),),
    )
    found = cases(pictures.signed(fixed))
    assert list(found) == ["all zero", "all maximal", "noise", "batch of 4"]
    assert {edge.inputs[0].shape for edge in found.values()} == {(4, 8, 8, 3)}


def test_batches_take_samples_of_one_size(pictures: Case) -> None:
    mixed = pictures.configured(data={"args": {"sizes": [[9, 7], [8, 8], [8, 8]]}})
    found = cases(mixed)
    assert found["batch of 7"].inputs[0].shape == (7, 8, 8, 3)


def test_few_samples_are_repeated(pictures: Case) -> None:
    few = pictures.configured(data={"args": {"validation": 3}})
    batch = cases(few)["batch of 7"].inputs[0]
    assert np.array_equal(batch[0], batch[3])
    assert not np.array_equal(batch[0], batch[1])


def test_what_no_sample_is_like_is_asked_and_not_judged(tokens: Case) -> None:
    samples = load_samples(tokens.config, "validation", 64)
    rng = np.random.default_rng(0)
    padded: list[tuple[Array, ...]] = []
    for ids, _ in samples.inputs:
        padded.append((ids, np.arange(len(ids)) < rng.integers(1, len(ids) + 1)))
    found = cases(tokens, replace(samples, inputs=padded))
    name = tokens.signature.inputs[1].name
    assert found["all zero"].outside == f"{name} has a row of 0 alone"
    assert found["noise"].outside is None
    assert found["noise"].inputs[1].any(-1).all()  # rows as samples have them
