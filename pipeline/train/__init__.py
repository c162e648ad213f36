"""Trains the user's model, or takes its weights as they are; see docs/training.md."""

from pipeline.stage import Job, Summary


def run(job: Job) -> Summary:
    """Writes weights.safetensors, last.safetensors, metrics.jsonl and train.json into `job.out`.

    With `train.epochs = 0`, without data or for a model that is a file, the weights stay as they
    are and are only evaluated. Raises Interrupted after Ctrl-C or SIGTERM: the next call with the
    same `job.scratch` goes on from there.
    """
    if job.config.epochs == 0:
        from pipeline.train.untrained import keep_weights

        return keep_weights(job)
    from pipeline.train.loop import train

    return train(job)
