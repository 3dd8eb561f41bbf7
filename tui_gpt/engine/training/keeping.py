"""From a run to what stays: checkpoints, and models in the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from tui_gpt.core.errors import ModelError, RunError, TuiGptError
from tui_gpt.core.files import sha256_file
from tui_gpt.core.model_handler import ModelEntry, ModelHandler
from tui_gpt.core.model_record import ADAPTER_FOLDER
from tui_gpt.core.runs.checkpoints import checkpoint_folder, verify_checkpoint
from tui_gpt.core.runs.store import Run
from tui_gpt.engine.generation.evaluation import Evaluation, evaluate_corpus
from tui_gpt.engine.interop.hub import PREFIX
from tui_gpt.engine.interop.huggingface import LoadedModel, read_model_folder, write_model_folder
from tui_gpt.engine.interop.weights import WEIGHTS
from tui_gpt.engine.network import GPT
from tui_gpt.engine.text.prepared import PreparedCorpus
from tui_gpt.engine.training.learner import Learner
from tui_gpt.engine.training.publishing import copy_adapters, model_record, note_publication, published_model
from tui_gpt.engine.training.samples import sample_text
from tui_gpt.engine.training.state import Counters, write_state

_LARGEST_SUFFIX = 10_000


class Keeper:
    """Writes what a run's learner has learned."""

    def __init__(self, run: Run, learner: Learner, corpus: PreparedCorpus) -> None:
        self._run, self._learner, self._corpus = run, learner, corpus
        self._config = learner.config

    def write_checkpoint(self, folder: Path, counters: Counters) -> None:
        """Fill `folder` with the model and with all that resuming needs. Raises RunError when weights overflowed."""
        weights = self._learner.model_state()
        if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
            raise RunError(
                f"the weights of step {counters.step} are not finite, so no checkpoint was made of them; the ones "
                "before stay, resume from there with a lower learning rate"
            )
        self._write_model(folder, weights)
        self._write_adapters(folder)
        write_state(folder, self._learner.state_tensors(), counters)

    def _write_model(self, folder: Path, weights: dict[str, Tensor]) -> None:
        try:
            write_model_folder(folder, weights, self._config.model, self._corpus.tokenizer, sample=self._config.sample)
        except ModelError as error:
            # What the disk said, without the hidden folder's name: whoever made that knows the place by another one.
            if isinstance(error.__context__, OSError | SafetensorError):
                raise error.__context__ from None
            raise

    def _write_adapters(self, folder: Path) -> None:
        """The adapters of LoRA, beside the model that they are merged into."""
        if self._learner.adapters is not None:
            base, _, revision = self._run.record.base_model.removeprefix(PREFIX).partition("@")
            trained = self._learner.trained_state()
            self._learner.adapters.write(folder / ADAPTER_FOLDER, trained, base, revision or None)

    def evaluate_whole(self, step: int, progress: Callable[[int, int], None]) -> Evaluation | None:
        """Loss over the whole validation text of a checkpoint's weights, in float32, as anyone can measure it again.

        None where the checkpoint is gone or damaged. `progress` may raise to break off.
        """
        try:
            network = self._intact_model(step).network
        except TuiGptError:
            return None
        return evaluate_corpus(network, self._corpus, progress=progress)

    def _intact_model(self, step: int) -> LoadedModel:
        folder = checkpoint_folder(self._run.folder, step)
        for problem in verify_checkpoint(folder):
            raise RunError(problem)
        return read_model_folder(folder, device=self._learner.device)

    def publish(self, name: str, counters: Counters) -> ModelEntry:
        """Put the weights as they are now into the library as `name`. Raises ModelError when the name is taken."""
        weights = self._learner.model_state()
        with self._learner.evaluation_network() as network:

            def write(folder: Path) -> None:
                self._write_model(folder, weights)
                self._write_adapters(folder)

            return self._save(name, write, network, counters, counters.step, counters.val_loss)

    def publish_checkpoint(self, base: str, counters: Counters, step: int, loss: float) -> ModelEntry:
        """Put the model of a checkpoint into the library, under the first free name that begins with `base`.

        If an earlier trainer of this run has done so, that model is returned.
        """
        network = self._intact_model(step).network
        source = checkpoint_folder(self._run.folder, step)
        sha256 = sha256_file(checkpoint_folder(self._run.folder, step) / WEIGHTS)
        if (entry := published_model(self._run, sha256)) is not None:
            return entry

        def write(folder: Path) -> None:
            self._write_model(folder, {name: p.detach() for name, p in network.named_parameters()})
            copy_adapters(source, folder)

        for number in range(1, _LARGEST_SUFFIX):
            name = base if number == 1 else f"{base}-{number}"
            if _is_taken(name):
                continue
            note_publication(self._run, name, sha256)
            return self._save(name, write, network, counters, step, loss)
        raise ModelError(f"every name from {base} to {base}-{_LARGEST_SUFFIX} is taken; delete models you do not need")

    def _save(
        self,
        name: str,
        write: Callable[[Path], None],
        network: GPT,
        counters: Counters,
        step: int,
        loss: float | None,
    ) -> ModelEntry:
        try:
            sample = sample_text(network, self._corpus, self._config)
        except TuiGptError:
            sample = None  # a model that cannot write one is a model all the same
        record = model_record(
            self._run,
            name,
            step=step,
            loss=loss,
            best_loss=counters.best_val_loss,
            train_loss=counters.train_loss,
            seconds=counters.elapsed_seconds,
            sample=sample,
        )
        return ModelHandler().save(name, write, record)


def _is_taken(name: str) -> bool:
    try:
        ModelHandler().library.refuse_taken(name)
    except ModelError:
        return True
    return False
