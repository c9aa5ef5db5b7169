"""How a joint training of exits and layers runs; `engine.training.joint` runs it."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class JointPlan:
    """How the joint training runs.

    Attributes:
        rank: Rank of the low-rank updates, or that of the ones it starts from where theirs is higher; 0 leaves the
            backbone frozen and trains the maps alone.
        learning_rate: Its peak, for the updates and the maps alike.
        batch_blocks: Blocks of text a step, over all processes.
        text_rows: Positions a step at which the last layer is judged; the LM head costs as much as several layers.
        exit_rows: Positions a step at which every exit is judged.
        text_weight: Weight of what the text says to the last layer.
        held_weight: Weight of the last layer's saying what it said before, which the exits then learn from; 0 lets it
            go, and the exits learn from what it says now.
        exit_weight: Weight of all exits together.
        grows: Whether an exit's share of that grows with its depth; else all have the same.
        share: Of what is learned that is kept, beside what it started from; see `averaging`.
        vocabulary: Words that the exits are judged on: the most frequent ones of the training text.
        bf16: Whether the backbone computes in bf16, which takes half the time on a CPU with instructions for it; what
            is learned stays in fp32.
        compiled: Whether the layers are compiled first, which takes a third off where there is a C++ compiler.
        seconds: What it may take, as its first steps tell; None for all of the text.
    """

    rank: int = 16
    learning_rate: float = 3e-4
    batch_blocks: int = 2
    text_rows: int = 1024
    exit_rows: int = 512
    text_weight: float = 1.0
    held_weight: float = 0.0
    exit_weight: float = 1.5
    grows: bool = True
    share: float = 1.0
    vocabulary: int = 8192
    bf16: bool = False
    compiled: bool = False
    seconds: float | None = None

    def going_on(self) -> JointPlan:
        """The same from exits that were trained jointly before: the last layer has learned what there is to learn.

        Left to more text it gets worse, and so is held; the shallow exits, which weigh little at first, catch up. What
        lies between beginning and end is better than the end.
        """
        return replace(
            self,
            rank=self.rank * 2,
            learning_rate=self.learning_rate * 2 / 3,
            text_weight=0.5,
            held_weight=2.0,
            exit_weight=2.5,
            grows=False,
            share=0.7,
        )
