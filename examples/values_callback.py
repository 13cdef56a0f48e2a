"""A reward model trained with TRL alone, its values in TRL's own log.

    python examples/values_callback.py MODEL PAIRS.jsonl OUT [LOGGER]

MODEL is a folder or hub id with a chat template; PAIRS.jsonl has `prompt`, `chosen` and `rejected`, each a list of
messages. At each evaluation and save the contrast of Agency and Communion words goes to the LOGGER that the trainer
reports to: `trackio`, `tensorboard`, `wandb`, …, installed beside birthmark. By default there is none, and the contrast is
read from the trainer's own history.
"""

import sys

from datasets import load_dataset
from peft import LoraConfig
from trl import RewardConfig, RewardTrainer

import birthmark as bm


def main(model: str, pairs: str, out: str, logger: str = "none") -> None:
    data = load_dataset("json", data_files=pairs, split="train").train_test_split(test_size=0.25, seed=0)
    trainer = RewardTrainer(
        model=model,
        args=RewardConfig(
            output_dir=out,
            num_train_epochs=1,
            per_device_train_batch_size=2,
            learning_rate=2e-4,
            eval_on_start=True,
            eval_strategy="steps",
            eval_steps=2,
            save_strategy="steps",
            save_steps=3,
            logging_steps=1,
            report_to=logger,
            bf16=False,
        ),
        train_dataset=data["train"],
        eval_dataset=data["test"],
        peft_config=LoraConfig(task_type="SEQ_CLS", r=8, modules_to_save=["score"]),
        callbacks=[bm.ValuesCallback("starter")],
    )
    trainer.train()
    for line in trainer.state.log_history:
        if "values/contrast" in line:
            print(
                f"step {line['step']}: contrast {line['values/contrast']:+.1f} "
                f"({line['values/contrast_ci_low']:+.1f} to {line['values/contrast_ci_high']:+.1f})"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
